"""A user's own limits: single entries that stand in place of those of the user's tier.

Written as in the config file's tiers, except that `null` takes the tier's limit away:
`{"requests": {"hour": 20, "day": null}, "spend_usd": {"month": {"limit": 5, "enforce": false}}, "concurrent": 3}`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from scalix.domain.limits.limit_amounts import WrongAmount, count, nano_usd
from scalix.domain.limits.limits import CONCURRENT, LIMIT_NAMES, Limit, Limits, Metric, Window

OF_TIER = "tier"
"""In place of a value: no entry of one's own."""
_METRICS = tuple(metric.value for metric in Metric)
_WINDOWS = tuple(window.value for window in Window)
_ENTRY = ("limit", "enforce")
_EXAMPLE = "write for example {hour: 20, day: null}"


class LimitSyntaxError(ValueError):
    """Limits that make no sense. `where` is the place, such as `limits.requests.hour`."""

    def __init__(self, where: str, what: str, fix: str) -> None:
        super().__init__(f"{where} {what}; {fix}")
        self.where = where
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True)
class AtOnce:
    """At most `value` requests in flight; `None` is any number."""

    value: int | None
    enforce: bool = True


@dataclass(frozen=True, slots=True)
class Overrides:
    """The entries that replace a tier's. A window's `None` lifts its limit; a `concurrent` of `None` is the tier's."""

    windows: Mapping[tuple[Metric, Window], Limit | None] = field(default_factory=dict)
    concurrent: AtOnce | None = None

    def over(self, limits: Limits) -> Limits:
        """`limits` with these entries in place of its own; windows of one metric stand shortest first."""
        if not self.windows and self.concurrent is None:
            return limits
        merged: dict[tuple[Metric, Window], Limit | None] = {
            (limit.metric, limit.window): limit for limit in limits.windows
        }
        merged.update(self.windows)
        ordered = (merged.get((metric, window)) for metric in Metric for window in Window)
        at_once = self.concurrent or AtOnce(limits.concurrent, limits.enforce_concurrent)
        return Limits(tuple(limit for limit in ordered if limit is not None), at_once.value, at_once.enforce)

    def replaces(self, metric: Metric, window: Window) -> bool:
        """Whether the limit of this name is the user's own, not the tier's."""
        return (metric, window) in self.windows


def with_entry(own: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A user's own limits as they are written, with the limit of this name set to `value`, and all others as before."""
    if name not in LIMIT_NAMES:
        return _with(own, name, value)
    metric, window = LIMIT_NAMES[name]
    return _with(own, metric.value, _with(own.get(metric.value, {}), window.value, value) or OF_TIER)


def _with(entries: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    return {name: entry for name, entry in {**entries, key: value}.items() if name != key or value != OF_TIER}


def parse_overrides(value: object, where: str = "limits") -> Overrides:
    """The overrides that `value`, as JSON or YAML gives it, says. Raises `LimitSyntaxError`."""
    if not isinstance(value, Mapping):
        raise LimitSyntaxError(where, "is not an object", 'write for example {"requests": {"hour": 20}}, or {}')
    _refuse_unknown(value, (*_METRICS, CONCURRENT), where)
    windows: dict[tuple[Metric, Window], Limit | None] = {}
    for metric in Metric:
        if metric.value in value:
            windows.update(_windows(metric, value[metric.value], f"{where}.{metric.value}"))
    at_once = None
    if CONCURRENT in value:
        at_once = AtOnce(*_amount_and_enforce(value[CONCURRENT], None, f"{where}.{CONCURRENT}"))
    return Overrides(windows, at_once)


def _windows(metric: Metric, value: object, where: str) -> dict[tuple[Metric, Window], Limit | None]:
    if not isinstance(value, Mapping) or not value:
        raise LimitSyntaxError(where, "names no window", f"{_EXAMPLE}, or remove the key for the tier's limits")
    _refuse_unknown(value, _WINDOWS, where)
    found: dict[tuple[Metric, Window], Limit | None] = {}
    for window in Window:
        if window.value in value:
            amount, enforce = _amount_and_enforce(value[window.value], metric, f"{where}.{window.value}")
            found[metric, window] = None if amount is None else Limit(metric, window, amount, enforce)
    return found


def _amount_and_enforce(value: object, metric: Metric | None, where: str) -> tuple[int | None, bool]:
    """A number, `{limit: number, enforce: bool}`, or `null` for no limit."""
    if value is None:
        return None, True
    enforce = True
    if isinstance(value, Mapping):
        _refuse_unknown(value, _ENTRY, where)
        if "limit" not in value:
            raise LimitSyntaxError(where, "has no 'limit'", "add limit: 100")
        enforce = value.get("enforce", True)
        if not isinstance(enforce, bool):
            raise LimitSyntaxError(f"{where}.enforce", "is neither true nor false", "write true or false")
        value = value["limit"]
    try:
        return (nano_usd(value) if metric is not None and metric.unit.is_money else count(value)), enforce
    except WrongAmount as wrong:
        raise LimitSyntaxError(where, wrong.what, f"{wrong.fix}, or null for no limit") from None


def _refuse_unknown(value: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    names = list(known)
    for key in value:
        if key not in names:
            guess = get_close_matches(str(key).casefold(), names, n=1)
            fix = f"write '{guess[0]}'" if guess else f"known are {', '.join(names)}"
            raise LimitSyntaxError(f"{where}.{str(key)[:40]}", "is not known", fix)
