"""One day's sums, as they are added up once, and kept when the day is over."""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from scalix.domain.ledger.first_bytes import RESCUED, percentile_ms
from scalix.domain.ledger.ledger import name_word
from scalix.domain.ledger.people import LATE, PEOPLE_DAYS
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.policy_source import PolicySource
from scalix.service.usage.failures import error_of
from scalix.store.ledger.redis_figures import Book, DayBooks, FiguresStore, Numbers
from scalix.store.ledger.redis_ledger import LedgerReader

DAYS = 30
"""How many days a view has."""
ADD_UP_EVERY_S = 600.0
_OVER_AFTER_MS = 600_000
"""How long after its end a day is kept: a server whose clock is behind admits to it meanwhile, in time as it thinks."""


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

    async def of(self, days: Sequence[int]) -> tuple[dict[int, Numbers], dict[int, DaySums]]:
        """How many users there were of each kind on each day, and its sums."""
        async with self._turn:  # two who ask at once need not both add up what is not kept yet
            today, over = await self._today_and_over()
            free = self._policy.current.default_tier
            kept = {day: DaySums(**found) for day, found in (await self._figures.kept(days)).items() if day < over}
            first = next(
                (day for day in reversed(days) if day not in kept), None
            )  # read with the numbers: today, mostly
            people, books = await self._figures.read(days, None if first is None else self._book(first, today))
            sums, new = dict[int, DaySums](), dict[int, DaySums]()
            for day, numbers in [*people.items()]:
                known = kept.get(day)
                if known is not None and (known.late, known.free) == (numbers.get(LATE, 0), free):
                    sums[day] = known
                    continue
                if day != first:
                    of_day, books_of_day = await self._figures.read([day], self._book(day, today))
                    people[day] = numbers = of_day[day]
                else:
                    books_of_day = books
                sums[day] = new[day] = await self._add_up(day, numbers, books_of_day, today)
            to_keep = {day: asdict(one) for day, one in new.items() if day < over}
            await self._figures.keep(to_keep, self._policy.current.retention.days_days)
            return people, sums

    async def add_up(self) -> None:
        """Add up the days that are over, unless somebody has, or is at it: so that no view waits for it."""
        _, over = await self._today_and_over()
        # By a clock that was ahead: what is written to them until they are over is in time.
        await self._figures.forget(range(over, over + DAYS))
        days, free = range(over - DAYS, over), self._policy.current.default_tier
        kept = await self._figures.kept(days)
        left = [day for day in days if day not in kept or kept[day]["free"] != free]
        if left and await self._figures.take_turn():
            for day in left:
                await self.of([day])

    async def _today_and_over(self) -> tuple[int, int]:
        """Today, and the day before which days are over."""
        now_ms = await self._ledger.now_ms()
        return now_ms // DAY_MS, (now_ms - _OVER_AFTER_MS) // DAY_MS

    async def _add_up(self, day: int, numbers: Numbers, books: DayBooks, today: int) -> DaySums:
        free = self._policy.current.default_tier
        events, rescued = sum(one.sums.events for one in books.sums), books.first_bytes.get(RESCUED, 0)
        kept_from = today - self._policy.current.retention.days_days
        is_known = day >= kept_from and _events(books.first_bytes) == events  # all gateways have counted
        tiers: dict[str, list[int]] = {}
        errors = Counter[str]()
        for one in books.sums:
            sums = one.sums
            more = (sums.requests, sums.tokens, sums.cost_nano_usd, sums.charge_nano_usd)
            tiers[one.tier] = list(map(int.__add__, tiers.get(one.tier, [0] * len(more)), more))
            if error := error_of(one):
                errors[error] += sums.events
        top = None
        if is_known and day > today - PEOPLE_DAYS:
            most = math.ceil(numbers.get(f"a,{name_word(free)}", 0) / 100)
            top = (most, sum(await self._figures.dearest(books, day, free, most)))
        p50_ms, p95_ms = percentile_ms(books.first_bytes, 50), percentile_ms(books.first_bytes, 95)
        return DaySums(numbers.get(LATE, 0), free, is_known, events, tiers, dict(errors), rescued, p50_ms, p95_ms, top)

    def _book(self, day: int, today: int) -> Book:
        # A day alone is less to read than its month; sums by hour are not kept for as long.
        return Book(day, is_old=today > day + self._policy.current.retention.hours_days)


def _events(first_bytes: Numbers) -> int:
    return sum(number for name, number in first_bytes.items() if name != RESCUED)
