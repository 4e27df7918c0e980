"""`GET /scalix/v1/reports/today`: puts together what an owner looks at every morning."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scalix.domain.errors import BadRequest
from scalix.domain.ledger.ledger import name_word
from scalix.domain.ledger.people import AFTER_DAYS, COHORT_DAYS, AfterHits, after_hits
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.limits.quota import ANY_LIMIT
from scalix.service.policy_source import PolicySource
from scalix.service.queries import date_of, day_index, refuse_unknown_parameters
from scalix.service.usage.days import DAYS, Days, DaySums
from scalix.service.usage.failures import rate
from scalix.service.usage.sums import percent_of
from scalix.service.usage.today import (
    AfterLimit,
    BreakEven,
    Conversion,
    DayFigures,
    ErrorCount,
    LimitHits,
    TierDay,
    Today,
    TopFree,
)
from scalix.store.ledger.redis_figures import Numbers
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.redis_limits import limit_of_word

COHORTS_DAYS = (0, 7, COHORT_DAYS)
_OPERATOR = ""


@dataclass(frozen=True, eq=False)
class TodaysFigures:
    """The use case. `days` adds up what `ledger` reads."""

    ledger: LedgerReader
    days: Days
    policy: PolicySource

    async def today(self, query: Mapping[str, str]) -> Today:
        """The figures of `day`, of today if none is named. Raises `BadRequest`, `StoreUnavailable`."""
        refuse_unknown_parameters(query, {"day"})
        now = await self.ledger.now_ms() // DAY_MS
        day = day_index(query, "day", now)
        if day > now:
            raise BadRequest("'day' must not be later than today.", param="day")
        people, sums = await self.days.of([day - back for back in reversed(range(DAYS))])
        return _Figures(self.policy.current.default_tier, people, sums).today(day, is_over=day < now)


class _Figures:
    """Makes figures of the numbers of some days, the chosen one last."""

    def __init__(self, free: str, people: Mapping[int, Numbers], sums: Mapping[int, DaySums]) -> None:
        self._free = free
        self._word = name_word(free)
        self._people = people
        self._sums = sums

    def today(self, day: int, *, is_over: bool) -> Today:
        sums, week_ago = self._sums[day], day - AFTER_DAYS
        hits, after = self._hits(day), self._hits(week_ago, until=day)
        return Today(
            date=date_of(day),
            is_over=is_over,
            free_tier=self._free,
            known_from=self._known_from(),
            day=self._day(day),
            conversions=[self._conversion(day, days) for days in COHORTS_DAYS],
            limit_hits=None if hits is None else [LimitHits(limit=name, users=hit.users) for name, hit in hits.items()],
            limit_cohort_date=date_of(week_ago),
            after_limit_hits=None if after is None else [_after(name, hit) for name, hit in after.items()],
            top_free=self._top(day),
            break_even=self._break_even(),
            errors=[
                ErrorCount(error=name, requests=number)
                for name, number in sorted(sums.errors.items(), key=lambda one: (-one[1], one[0]))
            ],
            series=[self._day(one) for one in self._people],
        )

    def _known_from(self) -> str | None:
        """The first day from which on all days are known."""
        first = None
        for day in reversed([*self._people]):
            if not self._sums[day].is_known:
                break
            first = day
        return None if first is None else date_of(first)

    def _are_known(self, first: int, last: int) -> bool:
        return all(day in self._sums and self._sums[day].is_known for day in range(first, last + 1))

    def _count(self, day: int, name: str) -> int | None:
        return self._people[day].get(name, 0) if self._are_known(day, day) else None

    def _day(self, day: int) -> DayFigures:
        sums = self._sums[day]
        top, cost, charge = sums.top, _total(sums, 2), _total(sums, 3)
        errors, free_cost = sum(sums.errors.values()), sums.free_cost_nano_usd
        hits = self._hits(day)
        return DayFigures(
            date=date_of(day),
            active_users=self._count(day, "u"),
            new_users=self._count(day, "n"),
            upgraded_users=self._count(day, f"x,{self._word}"),
            limited_users=None if hits is None else hits[ANY_LIMIT].users if ANY_LIMIT in hits else 0,
            requests=_total(sums, 0),
            errors=errors,
            error_rate=rate(errors, sums.events),
            rescued=sums.rescued if sums.is_known else None,
            provider_cost_usd=_usd(cost),
            charge_usd=_usd(charge),
            margin_usd=_usd(charge - cost),
            margin_percent=percent_of(charge - cost, charge),
            free_cost_usd=_usd(free_cost),
            top_free_percent=None if top is None else percent_of(top[1], free_cost),
            first_byte_p50_ms=sums.p50_ms if sums.is_known else None,
            first_byte_p95_ms=sums.p95_ms if sums.is_known else None,
            tiers=[self._tier(day, name) for name in self._tiers(day)],
        )

    def _tiers(self, day: int) -> list[str]:
        """The free tier first, the operator last."""
        return sorted(self._sums[day].tiers, key=lambda name: (name != self._free, name == _OPERATOR, name))

    def _tier(self, day: int, tier: str) -> TierDay:
        requests, tokens, cost, charge = self._sums[day].tiers[tier]
        word = name_word(tier)
        return TierDay(
            tier=tier,
            active_users=self._count(day, f"a,{word}"),
            new_users=self._count(day, f"n,{word}"),
            requests=requests,
            tokens=tokens,
            provider_cost_usd=_usd(cost),
            charge_usd=_usd(charge),
            margin_usd=_usd(charge - cost),
            margin_percent=percent_of(charge - cost, charge),
        )

    def _conversion(self, day: int, within: int) -> Conversion:
        cohort = day - within
        new = upgraded = None
        if self._are_known(cohort, day):
            numbers = self._people[cohort]
            new = numbers.get(f"n,{self._word}", 0)
            upgraded = sum(numbers.get(f"c,{self._word},{days}", 0) for days in range(within + 1))
        return Conversion(
            within_days=within,
            cohort_date=date_of(cohort),
            new_users=new,
            upgraded_users=upgraded,
            percent=percent_of(upgraded or 0, new or 0),
        )

    def _hits(self, day: int, *, until: int | None = None) -> dict[str, AfterHits] | None:
        if not self._are_known(day, until or day):
            return None
        named = {limit_of_word(word): hit for word, hit in after_hits(self._people[day], self._word).items()}
        return dict(sorted(named.items(), key=lambda one: (one[0] != ANY_LIMIT, -one[1].users, one[0])))

    def _top(self, day: int) -> TopFree | None:
        sums = self._sums[day]
        if sums.top is None:
            return None
        users, cost = sums.top
        return TopFree(
            users=users,
            of_users=self._people[day].get(f"a,{self._word}", 0),
            cost_usd=_usd(cost),
            free_cost_usd=_usd(sums.free_cost_nano_usd),
            percent=percent_of(cost, sums.free_cost_nano_usd),
        )

    def _break_even(self) -> BreakEven:
        """See docs/usage.md for the formula."""
        days = [day for day in self._people if self._sums[day].is_known]
        free = self._word
        free_users = sum(self._people[day].get(f"a,{free}", 0) for day in days)
        paying = sum(_paying(self._people[day], free) for day in days)
        loss = sum(cost - charge for day in days for cost, charge in self._money(day, is_free=True))
        margin = sum(charge - cost for day in days for cost, charge in self._money(day, is_free=False))
        loss_per_user = loss / free_users if free_users else None
        margin_per_user = margin / paying if paying else None
        percent = None
        if loss_per_user is not None and loss_per_user <= 0:
            percent = 0.0
        elif loss_per_user is not None and margin_per_user is not None and margin_per_user > 0:
            percent = round(100 * loss_per_user / (loss_per_user + margin_per_user), 2)
        return BreakEven(
            days=len(days),
            free_loss_per_user_usd=None if loss_per_user is None else _usd(loss_per_user),
            paid_margin_per_user_usd=None if margin_per_user is None else _usd(margin_per_user),
            percent=percent,
            paying_percent=percent_of(paying, free_users + paying),
        )

    def _money(self, day: int, *, is_free: bool) -> Iterable[tuple[int, int]]:
        for tier, (_, _, cost, charge) in self._sums[day].tiers.items():
            if tier != _OPERATOR and (tier == self._free) is is_free:
                yield cost, charge


def _after(limit: str, hit: AfterHits) -> AfterLimit:
    left = hit.users - hit.upgraded - hit.came_back
    return AfterLimit(limit=limit, users=hit.users, upgraded=hit.upgraded, came_back=hit.came_back, left=left)


def _paying(numbers: Numbers, free: str) -> int:
    return sum(number for name, number in numbers.items() if name.startswith("a,") and name != f"a,{free}")


def _total(sums: DaySums, place: int) -> int:
    return sum(figures[place] for figures in sums.tiers.values())


def _usd(nano_usd: float) -> float:
    return nano_usd / NANO_USD_PER_USD
