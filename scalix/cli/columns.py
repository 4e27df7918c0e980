"""What stands in the columns of tables: heads with their units, and which columns matter more than others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from scalix.domain.limits.durations import in_words

MOST_DECIMALS = 6


class Kind(Enum):
    """How a column's values are written, and what may be done to them where there is too little room."""

    NAME = auto()
    """Wrapped, never cut."""
    MONEY = auto()
    """In dollars, never cut."""
    NUMBER = auto()
    PERCENT = auto()
    SHARE = auto()
    """Of one, shown as per cent."""
    TIME = auto()
    """Without year and seconds, where there is little room."""
    ID = auto()
    """Shortened in the middle."""
    TEXT = auto()
    """Wrapped."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Of those that may be left out, the one of the least `rank` goes first; names and money never do."""

    name: str
    head: str
    kind: Kind = Kind.NUMBER
    rank: int = 7

    @property
    def is_needed(self) -> bool:
        """Whether it is shown however narrow the terminal is."""
        return self.kind in (Kind.NAME, Kind.MONEY)

    @property
    def is_right(self) -> bool:
        """Whether its values are figures, which stand at the right."""
        return self.kind in (Kind.MONEY, Kind.NUMBER, Kind.PERCENT, Kind.SHARE)

    def cells(self, values: Sequence[Any]) -> list[str]:
        """The values as texts; an empty one for nothing."""
        if self.kind is Kind.MONEY:
            return _money(values)
        if self.kind in (Kind.PERCENT, Kind.SHARE):
            factor = 100 if self.kind is Kind.SHARE else 1
            return ["" if value is None else f"{factor * value:,.2f}" for value in values]
        # What is not so says nothing: a column of it is left out.
        return ["" if value is None or value is False or value == [] else shown_amount(value) for value in values]


_HEADS = {
    "charge_usd": "charge $",
    "provider_cost_usd": "provider cost $",
    "margin_usd": "margin $",
    "spend": "spend $",
    "max_budget": "budget $",
    "margin_percent": "margin %",
    "cached_percent": "cached %",
    "error_rate": "errors %",
    "mean_latency_ms": "mean ms",
    "latency_ms": "ms",
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "cached_tokens": "cached",
    "reasoning_tokens": "reasoning",
    "user_id": "user",
    "user_email": "e-mail",
    "key_alias": "alias",
    "key_name": "key",
    "model_served": "model",
    "limit_value": "of",
    "remaining": "left",
    "right": "by the events",
    "percent": "%",
    "new_users": "new",
    "upgraded_users": "upgraded",
    "within_days": "within days",
    "own_limits": "own limits",
    "size_bytes": "bytes",
    "created_at": "made",
    "created_by": "made by",
}


def _columns(kind: Kind, rank: int, names: str) -> list[Column]:
    return [Column(name, _head(name), kind, rank) for name in names.split()]


def _head(name: str) -> str:
    """A unit is never wrapped away from what it is of."""
    return _HEADS.get(name, name.replace("_", " ")).replace(" $", "\u00a0$").replace(" %", "\u00a0%")


_KNOWN = {
    column.name: column
    for column in (
        *_columns(Kind.NAME, 9, "user_id user tier model provider deployment limit name date cohort_date day act"),
        *_columns(Kind.NAME, 9, "key key_alias error model_served where"),
        *_columns(Kind.MONEY, 9, "charge_usd provider_cost_usd margin_usd spend max_budget"),
        *_columns(Kind.NUMBER, 8, "requests tokens errors failed_attempts used remaining limit_value size_bytes"),
        *_columns(Kind.NUMBER, 8, "rank found right active_users users upgraded"),
        *_columns(Kind.NUMBER, 7, "new_users upgraded_users within_days came_back left"),
        *_columns(Kind.NUMBER, 5, "events reserved"),
        *_columns(Kind.NUMBER, 4, "seq prompt_tokens completion_tokens latency_ms mean_latency_ms"),
        *_columns(Kind.NUMBER, 2, "cached_tokens reasoning_tokens"),
        *_columns(Kind.PERCENT, 8, "percent"),
        *_columns(Kind.PERCENT, 6, "margin_percent"),
        *_columns(Kind.PERCENT, 3, "cached_percent"),
        *_columns(Kind.SHARE, 6, "error_rate"),
        *_columns(Kind.TIME, 7, "time expires at"),
        *_columns(Kind.TIME, 5, "created_at"),
        *_columns(Kind.ID, 5, "key_name"),
        *_columns(Kind.ID, 3, "id token key_id"),
        *_columns(Kind.TEXT, 8, "object what resets"),
        *_columns(Kind.TEXT, 7, "outcome status"),
        *_columns(Kind.TEXT, 6, "actor"),
        *_columns(Kind.TEXT, 5, "source own_limits blocked user_email created_by"),
        *_columns(Kind.TEXT, 2, "engine address"),
    )
}


def columns_of(names: Iterable[str]) -> list[Column]:
    """The columns of these fields."""
    return [_KNOWN.get(name) or Column(name, name.replace("_", " "), Kind.TEXT, 5) for name in names]


def shown_amount(value: Any) -> str:
    """A value as people read it: `1,234`, money to the millionth, `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.{MOST_DECIMALS}f}".rstrip("0").rstrip(".")
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def _money(values: Sequence[Any]) -> list[str]:
    """Amounts with as many decimals as the least of them needs: 2, 4 or 6."""
    least = min((abs(value) for value in values if value), default=1)
    decimals = 2 if least >= 0.1 else 4 if least >= 0.001 else MOST_DECIMALS
    return ["" if value is None else f"{value:,.{decimals}f}" for value in values]


def until(moment: str | None, now: str | None = None) -> str:
    """`in 47 minutes`: how long it is to a time as the gateway answers it, from `now` or from the clock of here."""
    if moment is None:
        return ""
    since = datetime.fromisoformat(now) if now else datetime.now(UTC)
    left_ms = int((datetime.fromisoformat(moment) - since).total_seconds() * 1000)
    return in_words(left_ms) if left_ms > 0 else "now"


def full_time(text: str) -> str:
    """`2026-11-30 21:19:43` for a time as the gateway answers it, in UTC."""
    return _moment(text, "%Y-%m-%d %H:%M:%S")


def short_time(text: str) -> str:
    """The same without year and seconds."""
    return _moment(text, "%m-%d %H:%M")


def _moment(text: str, shape: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime(shape)
    except ValueError:
        return text
