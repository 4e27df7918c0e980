"""Lengths of time as people read them, rounded up: whoever waits so long has waited long enough."""

_LONG = {"s": ("second", "seconds"), "min": ("minute", "minutes"), "h": ("hour", "hours"), "d": ("day", "days")}
_UP_TO = 3
"""From so many hours or days on, minutes or hours are not told beside them."""


def length_in_words(length_ms: int) -> str:
    """`47 minutes`, `1 hour 20 minutes`, `12 days`."""
    return " ".join(f"{count} {_LONG[unit][count != 1]}" for count, unit in _parts(length_ms))


def length_in_letters(length_ms: int) -> str:
    """`47 min`, `1 h 20 min`, `12 d`."""
    return " ".join(f"{count} {unit}" for count, unit in _parts(length_ms))


def in_words(length_ms: int) -> str:
    """`in 47 minutes`."""
    return f"in {length_in_words(length_ms)}"


def _parts(length_ms: int) -> list[tuple[int, str]]:
    seconds = max(1, -(-length_ms // 1_000))
    minutes = -(-seconds // 60)
    hours = -(-minutes // 60)
    if seconds < 60:
        return [(seconds, "s")]
    if minutes < 60:
        return [(minutes, "min")]
    if minutes < _UP_TO * 60:
        return _both(minutes, 60, "h", "min")
    if hours < 24:
        return [(hours, "h")]
    if hours < _UP_TO * 24:
        return _both(hours, 24, "d", "h")
    return [(-(-hours // 24), "d")]


def _both(count: int, in_one: int, unit: str, smaller: str) -> list[tuple[int, str]]:
    whole, rest = divmod(count, in_one)
    return [(whole, unit), (rest, smaller)] if rest else [(whole, unit)]
