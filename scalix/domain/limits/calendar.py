"""Calendar windows in UTC, as whole numbers: which window a moment lies in, and when that window ends.

A window's index counts minutes, hours or days since 1970-01-01, and months as `year * 12 + month - 1`.
`store/lua/windows.lua` holds the same arithmetic; the store's contract suite compares the two.
"""

from datetime import UTC, datetime

from scalix.domain.limits.limits import Window

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_MS_PER = {Window.MINUTE: 60_000, Window.HOUR: HOUR_MS, Window.DAY: DAY_MS}


def window_index(window: Window, now_ms: int) -> int:
    """The index of the `window` that `now_ms` (Unix time) lies in."""
    if window is Window.MONTH:
        moment = datetime.fromtimestamp(now_ms // 1000, UTC)
        return moment.year * 12 + moment.month - 1
    return now_ms // _MS_PER[window]


def window_end_ms(window: Window, index: int) -> int:
    """The first millisecond after the window with this `index`."""
    if window is Window.MONTH:
        year, month0 = divmod(index + 1, 12)
        return int(datetime(year, month0 + 1, 1, tzinfo=UTC).timestamp()) * 1000
    return (index + 1) * _MS_PER[window]


def window_length_ms(window: Window, end_ms: int) -> int:
    """How long the `window` that ends at `end_ms` is; months differ."""
    return end_ms - window_end_ms(window, window_index(window, end_ms - 1) - 1)


def rfc3339(moment_ms: int) -> str:
    """`2026-01-31T23:00:00Z`, for `moment_ms` of Unix time."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
