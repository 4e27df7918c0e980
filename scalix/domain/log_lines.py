"""What a line of the log looks like: for people, or as a JSON object of stable names. One event is one line."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Fields = Mapping[str, Any]

MOST_CHARS = 8_000
"""The most of one text in a line."""


@lru_cache(maxsize=2)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def stamp(unix_s: float) -> str:
    """A time as RFC 3339 has it: UTC, with milliseconds."""
    whole = int(unix_s)
    return f"{_second(whole)}.{int((unix_s - whole) * 1000):03d}Z"


def one_line(text: str) -> str:
    """A text of several lines as one, cut where it is very long."""
    lines = text[:MOST_CHARS].splitlines()
    return lines[0] if len(lines) == 1 else " | ".join(line.strip() for line in lines if line.strip())


def text_line(unix_s: float, said: str) -> str:
    """A line for people."""
    return f"{stamp(unix_s)} {said}\n"


def json_line(unix_s: float, level: str, logger: str, message: str, fields: Fields) -> str:
    """A line for programs: `time`, `level`, `logger` and `message`, and what else is known."""
    head = {"time": stamp(unix_s), "level": level, "logger": logger, "message": message}
    return json.dumps(head | dict(fields), separators=(",", ":"), default=str) + "\n"


def named(fields: Fields) -> str:
    """Fields in a line for people: ` name=value` each; texts with blanks in them are quoted."""
    return "".join(f" {name}={_shown(value)}" for name, value in fields.items())


def _shown(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or '"' in text else text
