"""Operators' reports. All of them read sums that settlements have kept, never single events."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NotRequired

from scalix.domain.errors import BadRequest
from scalix.domain.identity.subjects import Subject
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.ledger.deployment_sums import DeploymentSums
from scalix.domain.ledger.ledger import Aggregate, Sums
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.service.described import Fields, Json
from scalix.service.policy_source import PolicySource
from scalix.service.queries import date_of, day_index, one_of, refuse_unknown_parameters, whole_number
from scalix.service.usage.failures import errors_table, rate
from scalix.service.usage.report_names import OF_A_USER
from scalix.service.usage.sums import COUNTS, KeyNames, S, counts, percent_of, summed
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.records.redis_keys import KeyStore

DEFAULT_DAYS = 30
DEFAULT_TOP, MOST_TOP = 20, 1_000
_USERS = "user:"

FIGURES = (*COUNTS, "cached_percent", "provider_cost_usd", "charge_usd", "margin_usd", "mean_latency_ms")
_MONEY = ("requests", "charge_usd", "provider_cost_usd", "margin_usd", "margin_percent")
_DEPLOYMENTS = (
    *("deployment", "engine", "requests", "errors", "error_rate"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "cached_percent"),
    *("provider_cost_usd", "charge_usd", "mean_latency_ms"),
)
# A row has the columns that its report names.
_ROW = Fields(
    {
        NotRequired[str]: "date tier model provider error user_id key_id deployment engine",
        NotRequired[str | None]: "key",
    },
    {NotRequired[int]: (*COUNTS, "mean_latency_ms", "errors", "failed_attempts", "events", "rank")},
    {NotRequired[float]: "provider_cost_usd charge_usd margin_usd error_rate"},
    {NotRequired[float | None]: "margin_percent cached_percent"},
)
Row = Annotated[Json, _ROW]
_REPORT = Fields({str: "report from to", list[str]: "columns", list[Row]: "rows", NotRequired[Row]: "total"})
ShownReport = Annotated[Json, _REPORT]
_DATES = frozenset({"from", "to"})
_DEPLOYMENT, _ERRORS = "deployment", "errors"


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

    def as_json(self) -> ShownReport:
        """The report as one JSON object."""
        shown: dict[str, Any] = {
            "report": self.name,
            "from": self.first_date,
            "to": self.last_date,
            "columns": self.columns,
            "rows": self.rows,
        }
        return shown if self.total is None else {**shown, "total": self.total}


@dataclass(frozen=True, eq=False)
class Reporting:
    """The use cases behind `GET /scalix/v1/reports/…`."""

    ledger: LedgerReader
    policy: PolicySource
    keys: KeyStore
    deployments: DeploymentSumStore

    async def report(self, name: str, query: Mapping[str, str]) -> Report:
        """The report called `name`, which must be among `REPORTS`. Raises `BadRequest`, `StoreUnavailable`."""
        if name not in _MORE:
            return (await self.of_sums((name,), query))[name]
        refuse_unknown_parameters(query, _DATES | _MORE[name])
        first, last = await self._days(query)
        table = await (self._top(query, first, last) if name == "top" else self._of_user(name, query, first, last))
        return Report(name, date_of(first), date_of(last), *table)

    async def of_sums(self, names: Sequence[str], query: Mapping[str, str]) -> dict[str, Report]:
        """Several reports that are made of everybody's sums and those of deployments, which are read once. Raises as
        `report`."""
        refuse_unknown_parameters(query, _DATES)
        first, last = await self._days(query)
        everybodys = await self.ledger.by_day(first, last) if set(names) - {_DEPLOYMENT} else []
        deployments = await self.deployments.sums(first, last) if {_DEPLOYMENT, _ERRORS} & set(names) else []

        def table(name: str) -> _Table:
            if name == _DEPLOYMENT:
                return _DEPLOYMENTS, list(map(_of_deployment, deployments)), None
            if name == _ERRORS:
                return errors_table(everybodys, deployments, self.policy.current)
            return _FROM_AGGREGATES[name](everybodys)

        return {name: Report(name, date_of(first), date_of(last), *table(name)) for name in names}

    async def _days(self, query: Mapping[str, str]) -> tuple[int, int]:
        today = await self.ledger.now_ms() // DAY_MS
        last = min(day_index(query, "to", today), today)
        first = day_index(query, "from", last - DEFAULT_DAYS + 1)
        if first > last:
            raise BadRequest("'from' must not be later than 'to', nor than today.", param="from")
        # What is older has been removed; without a bound, one request could ask for a century.
        return max(first, today - self.policy.current.retention.days_days), last

    async def _of_user(self, name: str, query: Mapping[str, str], first: int, last: int) -> "_Table":
        if "user_id" not in query:
            raise BadRequest(f"Name the user: /scalix/v1/reports/{name}?user_id=…", param="user_id")
        user_id = checked_user_id(query["user_id"], "user_id")
        subject = Subject("user", user_id)
        summaries = await self.ledger.summaries(str(subject), first, last)
        if name == "user":
            return _grouped(summaries, ("date", "model", "tier"), lambda one: (date_of(one.day), one.model, one.tier))
        columns, rows, total = _grouped(summaries, ("key_id",), lambda one: (one.key_id,))
        names = KeyNames(subject, self.keys)
        for row in rows:
            await names.learn(row["key_id"])
        return ("key", *columns), [{"key": names.name(row["key_id"]), **row} for row in rows], total

    async def _top(self, query: Mapping[str, str], first: int, last: int) -> "_Table":
        by = one_of(query, "by", ("tokens", "cost"), "tokens")
        most = whole_number(query, "limit", DEFAULT_TOP, MOST_TOP)
        ranking = await self.ledger.top(first, last, "cost" if by == "cost" else "tokens", most)
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


def _grouped(items: Iterable[S], names: tuple[str, ...], group_of: Callable[[S], tuple[str, ...]]) -> _Table:
    """Rows of all figures, one for each group, in the order of the groups."""
    groups = summed(items, group_of)
    rows = [{**dict(zip(names, group, strict=True)), **figures(groups[group])} for group in sorted(groups)]
    return (*names, *FIGURES), rows, figures(_all(groups))


def _of_deployment(sums: DeploymentSums) -> dict[str, Any]:
    errors = sum(sums.errors.values())
    values = (
        *(sums.deployment, sums.engine, sums.requests, errors, rate(errors, sums.requests)),
        *(sums.prompt_tokens, sums.completion_tokens, sums.cached_tokens),
        percent_of(sums.cached_tokens, sums.prompt_tokens),
        *(sums.cost_nano_usd / NANO_USD_PER_USD, sums.charge_nano_usd / NANO_USD_PER_USD),
        round(sums.latency_ms / sums.timed) if sums.timed else 0,
    )
    return dict(zip(_DEPLOYMENTS, values, strict=True))


def _margin(aggregates: list[Aggregate]) -> _Table:
    groups = summed(aggregates, lambda one: (one.tier, one.model))
    rows = [{"tier": tier, "model": model, **money(groups[tier, model])} for tier, model in sorted(groups)]
    return ("tier", "model", *_MONEY), rows, money(_all(groups))


def figures(sums: Sums) -> dict[str, Any]:
    """Sums as operators see them. Money is in US dollars; the margin is what is billed less what providers take."""
    latency_ms = round(sums.latency_ms / sums.events) if sums.events else 0
    cached_percent = percent_of(sums.cached_tokens, sums.prompt_tokens)
    return {**counts(sums), "cached_percent": cached_percent, **_usd(sums), "mean_latency_ms": latency_ms}


def money(sums: Sums) -> dict[str, Any]:
    """What is billed, what providers take, and what is left; `margin_percent` is of what is billed."""
    shown = {"requests": sums.requests, **_usd(sums)}
    margin = sums.charge_nano_usd - sums.cost_nano_usd
    return {**shown, "margin_percent": percent_of(margin, sums.charge_nano_usd)}


def _usd(sums: Sums) -> dict[str, float]:
    return {
        "provider_cost_usd": sums.cost_nano_usd / NANO_USD_PER_USD,
        "charge_usd": sums.charge_nano_usd / NANO_USD_PER_USD,
        "margin_usd": (sums.charge_nano_usd - sums.cost_nano_usd) / NANO_USD_PER_USD,
    }


def _all(groups: Mapping[Any, Sums]) -> Sums:
    return sum(groups.values(), Sums())


_FROM_AGGREGATES: dict[str, Callable[[list[Aggregate]], _Table]] = {
    "day": partial(_grouped, names=("date",), group_of=lambda one: (date_of(one.index),)),
    "tier": partial(_grouped, names=("tier",), group_of=lambda one: (one.tier,)),
    "model": partial(_grouped, names=("model",), group_of=lambda one: (one.model,)),
    "provider": partial(_grouped, names=("provider",), group_of=lambda one: (one.provider,)),
    "margin": _margin,
}
_MORE = {**dict.fromkeys(OF_A_USER, frozenset({"user_id"})), "top": frozenset({"by", "limit"})}
