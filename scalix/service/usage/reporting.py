"""Operators' reports. All of them read sums that settlements have kept, never single events."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.identity.subjects import user_subject
from scalix.domain.ledger.ledger import Aggregate, Summary, Sums
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.service.identity.identity import checked_user_id
from scalix.service.policy_source import PolicySource
from scalix.service.queries import date_of, day_index, one_of, refuse_unknown_parameters, whole_number
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.records.redis_keys import KeyStore

DEFAULT_DAYS = 30
DEFAULT_TOP, MOST_TOP = 20, 1_000
UNCLASSIFIED = "unclassified"
# A provider's failure whose class nobody has told is one all the same.
_FAILED = frozenset({"provider_failed", "provider_broke", "provider_refused"})
_USERS = "user:"

FIGURES = (
    *("requests", "tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("provider_cost_usd", "charge_usd", "margin_usd", "mean_latency_ms"),
)
_MONEY = ("requests", "charge_usd", "provider_cost_usd", "margin_usd", "margin_percent")
_ERRORS = ("provider", "model", "error", "errors", "events", "error_rate")
_DATES = frozenset({"from", "to"})


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `columns` are the names in each of `rows`, in order; `total` sums all rows, where that means
    something. Days are dates in UTC, both included."""

    name: str
    first_date: str
    last_date: str
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    total: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        shown: dict[str, Any] = {
            "report": self.name,
            "from": self.first_date,
            "to": self.last_date,
            "columns": self.columns,
            "rows": self.rows,
        }
        return shown if self.total is None else {**shown, "total": self.total}


class Reporting:
    """The use cases behind `GET /scalix/v1/reports/…`."""

    def __init__(self, ledger: LedgerReader, policy: PolicySource, keys: KeyStore | None = None) -> None:
        self._ledger = ledger
        self._policy = policy
        self._keys = keys

    async def report(self, name: str, query: Mapping[str, str]) -> Report:
        """The report called `name`, which must be among `REPORTS`. Raises `BadRequest`, `StoreUnavailable`."""
        refuse_unknown_parameters(query, _DATES | _MORE.get(name, frozenset()))
        first, last = await self._days(query)
        dates = date_of(first), date_of(last)
        if name in _BY_USER:
            columns, rows, total = await self._of_user(name, query, first, last)
        elif name == "top":
            columns, rows, total = await self._top(query, first, last)
        else:
            aggregates = await self._ledger.by_day(first, last)
            columns, rows, total = _FROM_AGGREGATES[name](aggregates)
        return Report(name, *dates, columns, rows, total)

    async def _days(self, query: Mapping[str, str]) -> tuple[int, int]:
        today = await self._ledger.now_ms() // DAY_MS
        last = day_index(query, "to")
        last = today if last is None else min(last, today)
        first = day_index(query, "from")
        first = last - DEFAULT_DAYS + 1 if first is None else first
        if first > last:
            raise BadRequest("'from' must not be later than 'to', nor than today.", param="from")
        # What is older has been removed; without a bound, one request could ask for a century.
        return max(first, today - self._policy.current.retention.days_days), last

    async def _of_user(self, name: str, query: Mapping[str, str], first: int, last: int) -> "_Table":
        if "user_id" not in query:
            raise BadRequest(f"Name the user: /scalix/v1/reports/{name}?user_id=…", param="user_id")
        user_id = checked_user_id(query["user_id"], "user_id")
        summaries = await self._ledger.summaries(user_subject(user_id), first, last)
        if name == "user":
            return _grouped(summaries, ("date", "model", "tier"), lambda one: (date_of(one.day), one.model, one.tier))
        columns, rows, total = _grouped(summaries, ("key_id",), lambda one: (one.key_id,))
        named = [await self._with_name(row, user_id) for row in rows]
        return ("key", *columns), named, total

    async def _with_name(self, row: dict[str, Any], user_id: str) -> dict[str, Any]:
        record = await self._keys.get(row["key_id"], user_id) if self._keys is not None and row["key_id"] else None
        name = None if record is None else record.alias or f"sk-...{record.last_four}"
        return {"key": name, **row}

    async def _top(self, query: Mapping[str, str], first: int, last: int) -> "_Table":
        by = one_of(query, "by", ("tokens", "cost"), "tokens")
        most = whole_number(query, "limit", DEFAULT_TOP, MOST_TOP)
        ranking = await self._ledger.top(first, last, "cost" if by == "cost" else "tokens", most)
        column = "provider_cost_usd" if by == "cost" else "tokens"
        rows = [
            {
                "rank": rank,
                "user_id": subject.removeprefix(_USERS),
                column: amount / NANO_USD_PER_USD if by == "cost" else amount,
            }
            for rank, (subject, amount) in enumerate(ranking, start=1)
        ]
        return ("rank", "user_id", column), rows, None


_Table = tuple[tuple[str, ...], list[dict[str, Any]], dict[str, Any] | None]


def _grouped(
    items: Iterable[Aggregate] | Iterable[Summary], names: tuple[str, ...], key: Callable[[Any], tuple[str, ...]]
) -> _Table:
    """Rows of all figures, one for each key, in the order of the keys."""
    groups = _sums(items, key)
    rows = [{**dict(zip(names, group, strict=True)), **figures(groups[group])} for group in sorted(groups)]
    return (*names, *FIGURES), rows, figures(_all(groups))


def _by_day(aggregates: list[Aggregate]) -> _Table:
    return _grouped(aggregates, ("date",), lambda one: (date_of(one.index),))


def _by_tier(aggregates: list[Aggregate]) -> _Table:
    return _grouped(aggregates, ("tier",), lambda one: (one.tier,))


def _by_model(aggregates: list[Aggregate]) -> _Table:
    return _grouped(aggregates, ("model",), lambda one: (one.model,))


def _by_provider(aggregates: list[Aggregate]) -> _Table:
    return _grouped(aggregates, ("provider",), lambda one: (one.provider,))


def _margin(aggregates: list[Aggregate]) -> _Table:
    groups = _sums(aggregates, lambda one: (one.tier, one.model))
    rows = [{"tier": tier, "model": model, **money(groups[tier, model])} for tier, model in sorted(groups)]
    return ("tier", "model", *_MONEY), rows, money(_all(groups))


def _errors(aggregates: list[Aggregate]) -> _Table:
    of_class = _sums((one for one in aggregates if error_of(one)), lambda one: (one.provider, one.model, error_of(one)))
    of_model = _sums(aggregates, lambda one: (one.provider, one.model))
    rows: list[dict[str, Any]] = []
    for (provider, model, error), sums in sorted(of_class.items(), key=lambda item: (-item[1].events, item[0])):
        events = of_model[provider, model].events
        values = (provider, model, error, sums.events, events, _rate(sums.events, events))
        rows.append(dict(zip(_ERRORS, values, strict=True)))
    errors, events = _all(of_class).events, _all(of_model).events
    return _ERRORS, rows, {"errors": errors, "events": events, "error_rate": _rate(errors, events)}


def error_of(one: Aggregate) -> str:
    """The class of what went wrong; empty where nothing did."""
    return one.error or (UNCLASSIFIED if one.outcome in _FAILED else "")


def _rate(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def figures(sums: Sums) -> dict[str, Any]:
    """Sums as operators see them. Money is in US dollars; the margin is what is billed less what providers take."""
    values = (
        *(sums.requests, sums.tokens, sums.prompt_tokens, sums.completion_tokens, sums.cached_tokens),
        sums.reasoning_tokens,
        sums.cost_nano_usd / NANO_USD_PER_USD,
        sums.charge_nano_usd / NANO_USD_PER_USD,
        (sums.charge_nano_usd - sums.cost_nano_usd) / NANO_USD_PER_USD,
        round(sums.latency_ms / sums.events) if sums.events else 0,
    )
    return dict(zip(FIGURES, values, strict=True))


def money(sums: Sums) -> dict[str, Any]:
    """What is billed, what providers take, and what is left; `margin_percent` is of what is billed."""
    margin = sums.charge_nano_usd - sums.cost_nano_usd
    values = (
        sums.requests,
        sums.charge_nano_usd / NANO_USD_PER_USD,
        sums.cost_nano_usd / NANO_USD_PER_USD,
        margin / NANO_USD_PER_USD,
        round(100 * margin / sums.charge_nano_usd, 2) if sums.charge_nano_usd else None,
    )
    return dict(zip(_MONEY, values, strict=True))


def _sums(items: Iterable[Any], key: Callable[[Any], tuple[str, ...]]) -> dict[tuple[str, ...], Sums]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for item in items:
        group, values = key(item), item.sums.values()
        known = groups.get(group)
        groups[group] = list(values) if known is None else list(map(int.__add__, known, values))
    return {group: Sums(*values) for group, values in groups.items()}


def _all(groups: Mapping[Any, Sums]) -> Sums:
    return sum(groups.values(), Sums())


_FROM_AGGREGATES: dict[str, Callable[[list[Aggregate]], _Table]] = {
    "day": _by_day,
    "tier": _by_tier,
    "model": _by_model,
    "provider": _by_provider,
    "errors": _errors,
    "margin": _margin,
}
_BY_USER = ("user", "key")
_MORE = {**dict.fromkeys(_BY_USER, frozenset({"user_id"})), "top": frozenset({"by", "limit"})}
REPORTS = ("day", "tier", "model", "provider", *_BY_USER, "top", "errors", "margin")
