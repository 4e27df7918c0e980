"""The hours in which a provider is cheaper, and its rates in them."""

from dataclasses import dataclass

from scalix.domain.json_values import listed

_MINUTE_MS, _DAY_MINUTES = 60_000, 1_440
_FIRST_WEEKDAY = 4  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class OffPeakWindow:
    """A part of the day, in minutes since midnight UTC. It lasts past midnight if it ends before it begins, and all day
    if it ends when it begins. `weekdays` are 1 (Monday) to 7; none means all."""

    from_minute: int
    to_minute: int
    weekdays: tuple[int, ...] = ()

    def is_open(self, at_ms: int) -> bool:
        """Whether `at_ms` (Unix time) is within it."""
        day, minute = divmod(at_ms // _MINUTE_MS, _DAY_MINUTES)
        if self.weekdays and (day + _FIRST_WEEKDAY - 1) % 7 + 1 not in self.weekdays:
            return False
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


@dataclass(frozen=True, slots=True)
class OffPeak:
    """Rates, in atto-dollars by name, that replace the usual ones while one of `windows` is open."""

    windows: tuple[OffPeakWindow, ...]
    rates: tuple[tuple[str, int], ...]

    def is_open(self, at_ms: int) -> bool:
        """Whether these rates apply at `at_ms` (Unix time)."""
        return any(window.is_open(at_ms) for window in self.windows)


def read_off_peak(value: object, rates: tuple[tuple[str, int], ...]) -> OffPeak | None:
    """Reads `off_peak_pricing` of LiteLLM's price map, whose rates are `rates`; `None` if it is not understood."""
    if not isinstance(value, dict) or "weekday_timezone" in value:
        return None
    windows: list[OffPeakWindow] = []
    for rule in (value, *listed(value.get("windows"))):
        weekdays = listed(rule.get("weekdays"))
        if not all(isinstance(day, int) and 1 <= day <= 7 for day in weekdays):
            return None
        hours = rule.get("hours_utc")
        for text in [hours] if isinstance(hours, str) else listed(hours):
            first, _, last = str(text).partition("-")
            minutes = _minute(first), _minute(last)
            if minutes[0] is None or minutes[1] is None:
                return None
            windows.append(OffPeakWindow(minutes[0], minutes[1], tuple(weekdays)))
    return OffPeak(tuple(windows), rates) if windows else None


def _minute(text: str) -> int | None:
    hours, _, minutes = text.strip().partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        return None
    return int(hours) * 60 + int(minutes)
