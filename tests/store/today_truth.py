"""What the report of today has to say, worked out from all events and refusals, without any sum that is kept."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.ledger.first_bytes import bucket_of, ms_of
from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.queries import date_of
from scalix.service.usage.today import Today
from scalix.store.ledger.redis_ledger import LedgerReader
from tests.store.ledger_rig import LedgerRig

SERVED = {"success", "client_cut", "client_left"}
FAILED = {"provider_failed", "provider_broke", "provider_refused"}
USD = 10**9


async def all_events(rig: LedgerRig) -> list[Event]:
    """Every event that the store holds."""
    found = []
    async for name in rig.session.names_like("{s*}:e:*"):
        subject, _, day = name.partition("}:e:")[2].rpartition(":")
        found += await rig_events(rig, subject, int(day))
    return found


async def rig_events(rig: LedgerRig, subject: str, day: int) -> list[Event]:
    return await LedgerReader(rig.session).events(subject, day)


@dataclass
class Truth:
    """`hits` are (day, limit, subject, tier of then)."""

    events: list[Event]
    hits: set[tuple[int, str, str, str]] = field(default_factory=set)
    free: str = "free"

    def __post_init__(self) -> None:
        self.there: dict[tuple[str, str], set[int]] = defaultdict(set)
        for event in self.events:
            if event.detail.tier:
                self.there[event.subject, event.detail.tier].add(event.admitted_ms // DAY_MS)

    def days_of(self, subject: str) -> set[int]:
        return set().union(*(days for (one, _), days in self.there.items() if one == subject))

    def firsts(self, subject: str) -> dict[str, int]:
        return {tier: min(days) for (one, tier), days in self.there.items() if one == subject}

    def subjects(self) -> set[str]:
        return {subject for subject, _ in self.there}

    def came_free(self) -> dict[str, tuple[int, int | None]]:
        """Of those who came in the free tier: their first day, and the first one in another tier."""
        found = {}
        for subject in self.subjects():
            firsts = self.firsts(subject)
            if firsts.get(self.free) == min(firsts.values()):
                others = [day for tier, day in firsts.items() if tier != self.free]
                found[subject] = (firsts[self.free], min(others, default=None))
        return found

    def of_day(self, day: int) -> dict[str, Any]:
        events = [event for event in self.events if event.admitted_ms // DAY_MS == day]
        there = {event.subject for event in events if event.detail.tier}
        cost, charge = (sum(getattr(e.detail, f"{n}_nano_usd") for e in events) for n in ("cost", "charge"))
        errors = [event for event in events if event.detail.error or event.outcome in FAILED]
        free = [event for event in events if event.detail.tier == self.free]
        return {
            "date": date_of(day),
            "active_users": len(there),
            "new_users": sum(min(self.days_of(one)) == day for one in there),
            "upgraded_users": sum(other == day for _, other in self.came_free().values()),
            "limited_users": len({subject for of_day, _, subject, _ in self.hits if of_day == day}),
            "requests": sum(event.requests for event in events),
            "errors": len(errors),
            "error_rate": round(len(errors) / len(events), 6) if events else 0.0,
            "rescued": sum(
                e.outcome in SERVED and bool(e.detail.served and (e.detail.fallbacks or e.detail.failed_deployments))
                for e in events
            ),
            "provider_cost_usd": cost / USD,
            "charge_usd": charge / USD,
            "margin_usd": (charge - cost) / USD,
            "free_cost_usd": sum(event.detail.cost_nano_usd for event in free) / USD,
            "first_byte_p50_ms": self._percentile(events, 50),
            "first_byte_p95_ms": self._percentile(events, 95),
            "tiers": {tier: self._tier(day, tier, events) for tier in {event.detail.tier for event in events}},
        }

    def _tier(self, day: int, tier: str, events: Iterable[Event]) -> dict[str, Any]:
        of_tier = [event for event in events if event.detail.tier == tier]
        users = {event.subject for event in of_tier} if tier else set()
        cost, charge = (sum(getattr(e.detail, f"{n}_nano_usd") for e in of_tier) for n in ("cost", "charge"))
        return {
            "active_users": len(users),
            "new_users": sum(min(self.days_of(one)) == day for one in users),
            "requests": sum(event.requests for event in of_tier),
            "tokens": sum(event.tokens for event in of_tier),
            "provider_cost_usd": cost / USD,
            "charge_usd": charge / USD,
            "margin_usd": (charge - cost) / USD,
        }

    def _percentile(self, events: Iterable[Event], percent: int) -> int | None:
        times = sorted(e.detail.first_token_ms for e in events if e.detail.first_token_ms is not None)
        return ms_of(bucket_of(times[math.ceil(len(times) * percent / 100) - 1])) if times else None

    def conversion(self, cohort: int, within: int) -> tuple[int, int]:
        others = [other for first, other in self.came_free().values() if first == cohort]
        return len(others), sum(other is not None and other - cohort <= within for other in others)

    def after_hits(self, day: int) -> dict[str, tuple[int, int, int, int]]:
        """By limit: users, upgraded, came back, left."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        of_day = {(limit, subject, tier) for one, limit, subject, tier in self.hits if one == day}
        for limit, subject, tier in of_day | {("any", subject, tier) for _, subject, tier in of_day}:
            firsts, week = self.firsts(subject), range(day, day + 8)
            new = [one for one, first in firsts.items() if one not in (tier, self.free) and first in week]
            back = any(day < one < day + 8 for one in self.days_of(subject))
            found[limit]["upgraded" if new else "back" if back else "left"] += 1
        return {name: (n.total(), n["upgraded"], n["back"], n["left"]) for name, n in found.items()}

    def top_free(self, day: int) -> tuple[int, int, float]:
        costs = Counter[str]()
        for event in self.events:
            if event.admitted_ms // DAY_MS == day and event.detail.tier == self.free:
                costs[event.subject] += event.detail.cost_nano_usd
        most = math.ceil(len(costs) / 100)
        return most, len(costs), sum(sorted(costs.values(), reverse=True)[:most]) / USD


def agrees(today: Today, truth: Truth, day: int) -> None:
    """Every figure is what the events say."""
    for back, shown in enumerate(reversed(today.series)):
        right = truth.of_day(day - back)
        tiers = right.pop("tiers")
        assert {name: getattr(shown, name) for name in right} == right
        found = {one.tier: {name: getattr(one, name) for name in tiers[one.tier]} for one in shown.tiers}
        assert found == tiers
    for one in today.conversions:
        cohort = day - one.within_days
        assert (one.new_users, one.upgraded_users) == truth.conversion(cohort, one.within_days), one
    assert today.limit_hits is not None
    assert today.after_limit_hits is not None
    assert {one.limit: one.users for one in today.limit_hits} == {n: c[0] for n, c in truth.after_hits(day).items()}
    after = {one.limit: (one.users, one.upgraded, one.came_back, one.left) for one in today.after_limit_hits}
    assert after == truth.after_hits(day - 7)
    assert today.top_free is not None
    assert (today.top_free.users, today.top_free.of_users, today.top_free.cost_usd) == truth.top_free(day)
