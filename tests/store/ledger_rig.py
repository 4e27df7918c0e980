"""A day of many users in a real store, to be compared with itself, spoiled and mended."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.books import Difference
from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Receipt
from scalix.service.ledger.verification import Findings, LedgerCheck
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger_repair import RedisBooks
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.pseudonyms import Pseudonyms
from tests.store.stores import NOON_MS, Clock, ask, limits

TODAY = NOON_MS // DAY_MS
# Between two settlements beside what is tested: as fast as they could be, they would be most of the work.
PACE_S = 0.005
OPEN = limits(requests={"day": 1_000_000}, tokens={"day": 10**12})
MODELS, TIERS, PROVIDERS = ("gpt-4", "free a,b%c", "-odd"), ("free", "premium", ""), ("openai", "anthropic", "")


class LedgerRig:
    """One store under a prefix of the test's own, and the ledger's tools over it."""

    def __init__(
        self, url: str, prefix: str, *, clock: Clock | None = None, retention: Retention | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.retention = retention or Retention()
        self.client: Any = connect(url, timeout_ms=10_000)
        self.keys = Keys(prefix)
        self.session = StoreSession(self.client, self.keys, clock=self.clock, timeout_ms=10_000)
        self.pseudonyms = Pseudonyms(self.session)
        self.quotas = QuotaStore(
            self.session,
            retention=lambda: self.retention,
            pseudonyms=self.pseudonyms,
        )
        self.books = RedisBooks(
            self.session,
            self.pseudonyms,
            lambda: self.retention,
        )
        self.check = LedgerCheck(self.books, lambda: self.retention)
        self.random = random.Random(20260226)

    async def close(self) -> None:
        await self.client.aclose()

    async def admit(self, request_id: str, subject: str, **changes: Any) -> Receipt:
        admitted = await self.quotas.admit(ask(request_id, OPEN, subject=subject, **changes))
        assert isinstance(admitted, Admitted)
        return admitted.receipt

    async def settle(self, request_id: str, subject: str, charge: Charge | None = None) -> Receipt:
        receipt = await self.admit(request_id, subject)
        settled = await self.quotas.settle(receipt, charge or self.charge())
        assert settled.status == "settled"
        return receipt

    def charge(self) -> Charge:
        """One of many kinds of end."""
        chooser = self.random
        outcome = chooser.choice(list(Outcome)[:-1])
        is_free = outcome in (Outcome.PROVIDER_FAILED, Outcome.PROVIDER_REFUSED, Outcome.CACHE_HIT)
        prompt, completion = (0, 0) if is_free else (chooser.randrange(1, 5_000), chooser.randrange(5_000))
        nano_usd = 0 if is_free else chooser.randrange(10**9)
        model = chooser.choice(MODELS)
        detail = Detail(
            tier=chooser.choice(TIERS),
            model=model,
            served=chooser.choice((model, "gpt-4", "")),
            provider=chooser.choice(PROVIDERS),
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=prompt // 2,
            reasoning_tokens=completion // 3,
            cost_nano_usd=nano_usd,
            charge_nano_usd=nano_usd * 6 // 5,
            price_version="2026-02-01",
            latency_ms=chooser.randrange(60_000),
            error="provider_down" if outcome is Outcome.PROVIDER_FAILED else "",
        )
        requests = int(outcome is not Outcome.PROVIDER_FAILED)
        return Charge(outcome, requests, prompt + completion, nano_usd, detail=detail)

    async def a_day(self, users: int = 6, requests: int = 8) -> list[str]:
        """Settle requests of some users over the last two hours; the users' subjects."""
        subjects = [f"user:u{number} é|:{number}" for number in range(users)]
        self.clock.advance(hours=-1)
        for number in range(requests):
            if number == requests // 2:
                self.clock.advance(hours=1)
            for subject in subjects:
                await self.settle(f"r-{subject}-{number}", subject)
        return subjects

    async def verify(self, subject: str | None = None, day: int = TODAY) -> Findings:
        return await self.check.verify(day, subject)

    async def repair(self, subject: str | None = None, day: int = TODAY) -> Findings:
        return await self.check.repair(day, subject)

    def names(self, subject: str, day: int = TODAY) -> "Names":
        """The store's keys of a subject and day."""
        month, shard = window_index(Window.MONTH, day * DAY_MS), shard_of(subject)
        return Names(
            self.keys.windows(subject),
            self.keys.events(subject, day * DAY_MS),
            self.keys.summaries(subject, month),
            self.keys.hour_sums(shard, day),
            self.keys.day_sums(shard, month),
            self.keys.ranking(shard, day, "tokens"),
            self.keys.ranking(shard, day, "cost"),
            self.keys.first_bytes(shard, day),
            self.keys.in_time(shard, day),
            self.keys.people(subject),
        )


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of the store."""

    windows: str
    events: str
    summaries: str
    hours: str
    days: str
    tokens: str
    cost: str
    first_bytes: str
    in_time: str
    people: str

    @property
    def of_sums(self) -> tuple[str, ...]:
        """Windows, sums and rankings."""
        return self.windows, self.summaries, self.hours, self.days, self.tokens, self.cost


def parts(differences: Sequence[Difference]) -> set[str]:
    """Which kinds of keys differ."""
    return {difference.part or "event" for difference in differences}
