"""Spans of time as LiteLLM writes them: `30s`, `15m`, `24h`, `30d`, `2w`, `1mo`."""

import re

_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000, "mo": 30 * 86_400_000}
LONGEST_MS = 10 * 366 * 86_400_000
_SHAPE = re.compile(r"([0-9]{1,10})(s|mo|m|h|d|w)")


def span_ms(text: object) -> int | None:
    """The length of a span in ms, more than 0 and at most ten years; `None` for anything else. A month is 30 days."""
    shape = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if shape is None:
        return None
    length_ms = int(shape[1]) * _MS[shape[2]]
    return length_ms if 0 < length_ms <= LONGEST_MS else None
