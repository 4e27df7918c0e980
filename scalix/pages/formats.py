"""Figures, times and amounts as pages write them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

NOTHING, MINUS = "–", "−"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def number(value: float | int | None) -> str:
    """`1,234,567`; fractions with up to three digits."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace("-", MINUS)
    return f"{value:,.3f}".rstrip("0").rstrip(".").replace("-", MINUS)


def usd(value: float | None) -> str:
    """An amount in dollars: cents, and of less than one as many digits as show two of them."""
    if value is None:
        return NOTHING
    sign, amount = (MINUS if value < 0 else ""), abs(value)
    if amount == 0 or amount >= 0.995:
        return f"{sign}${amount:,.2f}"
    digits = next((digits for digits in range(2, 9) if amount * 10**digits >= 9.995), 9)
    whole, _, cents = f"{amount:.{digits}f}".partition(".")
    return f"{sign}${whole}.{cents.rstrip('0').ljust(2, '0')}"


def percent(share: float | None) -> str:
    """A share of 1 as `12.3 %`."""
    return NOTHING if share is None else f"{share * 100:.1f}".removesuffix(".0").replace("-", MINUS) + " %"


def duration_ms(value: float | None) -> str:
    """`420 ms`, `3.2 s`, `12 min`."""
    if value is None:
        return NOTHING
    if value < 1_000:
        return f"{value:.0f} ms"
    if value < 120_000:
        return f"{value / 1_000:.1f} s"
    return f"{value / 60_000:.0f} min" if value < 7_200_000 else f"{value / 3_600_000:.1f} h"


def size(value: int | None) -> str:
    """`512 B`, `1.5 MiB`."""
    if value is None:
        return NOTHING
    amount, units = float(value), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1_024 and len(units) > 1:
        amount /= 1_024
        units.pop(0)
    return f"{amount:.1f}".removesuffix(".0") + f" {units[0]}"


def moment(value: int | str | None) -> datetime | None:
    """A time as it comes: Unix time in ms, or RFC 3339."""
    if value is None or value == "":
        return None
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC)
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(UTC)


def time(value: int | str | None) -> str | Markup:
    """`30 Nov 2026, 21:05` as an element that machines read too; all times are UTC."""
    found = moment(value)
    if found is None:
        return NOTHING
    return _element(found, f"{found.day} {found:%b %Y, %H:%M}")


def _element(found: datetime, text: str) -> Markup:
    stamp = found.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(stamp, f"{found:%Y-%m-%d %H:%M:%S}", text)


def day(value: str | None) -> str | Markup:
    """A date such as `2026-11-30`, as `30 Nov 2026`."""
    if not value:
        return NOTHING
    found = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    return Markup('<time datetime="{}">{}</time>').format(value, f"{found.day} {found:%b %Y}")


def span(seconds: float) -> str:
    """`47 minutes`, `2 days`."""
    for length, name in _UNITS:
        if seconds >= length or length == 1:
            count = round(seconds / length)
            return f"{count} {name}{'' if count == 1 else 's'}"
    raise AssertionError


def relative(value: int | str | None, now_ms: int) -> str | Markup:
    """`in 47 minutes`, `3 hours ago`, as an element that holds the moment itself."""
    found = moment(value)
    if found is None:
        return NOTHING
    seconds = found.timestamp() - now_ms / 1000
    return _element(found, f"in {span(seconds)}" if seconds >= 0 else f"{span(-seconds)} ago")


_LIMITS = {"spend_usd": "spending", "rpm_limit": "requests-minute", "tpm_limit": "tokens-minute"}
_LIMITS |= {"max_budget": "budget", "concurrent": "requests at once", "max_parallel_requests": "requests at once"}


def limit(name: str) -> str:
    """A limit's name as its user reads it: `Requests per hour` for `requests-hour`."""
    name = name.removeprefix("key.")
    metric, _, window = _LIMITS.get(name, name).partition("-")
    words = _LIMITS.get(metric, metric)
    return f"{words[:1].upper()}{words[1:]}" + (f" per {window}" if window else "")


def shown(value: Any, kind: str, now_ms: int) -> Any:
    """A value of a table's or a list's kind: `text`, `number`, `money` (dollars), `time`, `day`, `relative`,
    `duration` (ms), `size` (bytes), `percent` (a share of 1), `limit`."""
    if value is None or value == "":
        return NOTHING
    if kind == "relative":
        return relative(value, now_ms)
    return KINDS[kind](value) if kind in KINDS else value


KINDS: dict[str, Callable[[Any], Any]] = {
    "number": number,
    "money": usd,
    "percent": percent,
    "duration": duration_ms,
    "size": size,
    "time": time,
    "day": day,
    "limit": limit,
}
