"""One day's sums, as they are added up once, and kept when the day is over."""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from scalix.domain.ledger.first_bytes import RESCUED, percentile_ms
from scalix.domain.ledger.ledger import Aggregate, name_word
from scalix.domain.ledger.people import LATE, PEOPLE_DAYS
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.policy_source import PolicySource
from scalix.service.usage.failures import error_of
from scalix.store.ledger.redis_figures import FiguresStore, Numbers
from scalix.store.ledger.redis_ledger import LedgerReader

_HOURS = 24


@dataclass(frozen=True, slots=True)
class DaySums:
    """One day. `late` and `free` say of what it was made: how much had come late by then, and which was the free tier.

    `is_known`: all gateways have counted users and first bytes. `tiers` has requests, tokens, cost and charge in
    nano-dollars of each tier; `errors` how many requests of each class failed; `top` how many users are 1 % of the free
    tier's of that day, and what they have cost (`None`: not known).
    """

    late: int
    free: str
    is_known: bool
    events: int
    tiers: Mapping[str, Sequence[int]]
    errors: Mapping[str, int]
    rescued: int
    p50_ms: int | None
    p95_ms: int | None
    top: Sequence[int] | None

    @property
    def free_cost_nano_usd(self) -> int:
        """What the free tier has cost."""
        return self.tiers[self.free][2] if self.free in self.tiers else 0


class Days:
    """Adds days up. Every method may raise `StoreUnavailable`."""

    def __init__(self, ledger: LedgerReader, figures: FiguresStore, policy: PolicySource) -> None:
        self._ledger = ledger
        self._figures = figures
        self._policy = policy
        self._turn = asyncio.Lock()

    async def of(self, people: Mapping[int, Numbers]) -> dict[int, DaySums]:
        """The days that `people` has the numbers of."""
        async with self._turn:  # two who ask at once need not both add up what is not kept yet
            today = await self._ledger.now_ms() // DAY_MS
            free = self._policy.current.default_tier
            kept = {day: DaySums(**found) for day, found in (await self._figures.kept([*people])).items()}
            days, new = dict[int, DaySums](), dict[int, DaySums]()
            for day, numbers in people.items():
                known = kept.get(day)
                if known is not None and (known.late, known.free) == (numbers.get(LATE, 0), free):
                    days[day] = known
                else:
                    days[day] = new[day] = await self._add_up(day, numbers, free, today)
            over = {day: asdict(sums) for day, sums in new.items() if day < today}
            await self._figures.keep(over, self._policy.current.retention.days_days)
            return days

    async def _add_up(self, day: int, numbers: Numbers, free: str, today: int) -> DaySums:
        # Requests go on. What was counted before and after has the events of the sums between, if all have counted.
        before = await self._figures.first_bytes(day)
        aggregates = await self._aggregates(day, today)
        after = await self._figures.first_bytes(day)
        events = sum(one.sums.events for one in aggregates)
        is_known = _events(before) <= events <= _events(after)
        tiers: dict[str, list[int]] = {}
        errors = Counter[str]()
        for one in aggregates:
            sums = one.sums
            more = (sums.requests, sums.tokens, sums.cost_nano_usd, sums.charge_nano_usd)
            tiers[one.tier] = list(map(int.__add__, tiers.get(one.tier, [0] * len(more)), more))
            if error := error_of(one):
                errors[error] += sums.events
        top = None
        if is_known and day > today - PEOPLE_DAYS:
            most = math.ceil(numbers.get(f"a,{name_word(free)}", 0) / 100)
            top = (most, sum(await self._figures.dearest(day, free, most)))
        rescued, p50_ms, p95_ms = after.get(RESCUED, 0), percentile_ms(after, 50), percentile_ms(after, 95)
        return DaySums(numbers.get(LATE, 0), free, is_known, events, tiers, dict(errors), rescued, p50_ms, p95_ms, top)

    async def _aggregates(self, day: int, today: int) -> list[Aggregate]:
        # A day alone is less to read than its month; sums by hour are not kept for as long.
        if today > day + self._policy.current.retention.hours_days:
            return await self._ledger.by_day(day, day)
        return await self._ledger.by_hour(day * _HOURS, day * _HOURS + _HOURS - 1)


def _events(first_bytes: Numbers) -> int:
    return sum(number for name, number in first_bytes.items() if name != RESCUED)
