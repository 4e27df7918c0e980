"""Lines on their way to the log and the terminal: which program wrote them, when, and without secrets."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

LABEL_WIDTH = 10
_JSON_HEAD = b'{"time":"'
_STAMP_CHARS = 24

Redact = Callable[[bytes], bytes]


def rfc3339() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def for_people(label: str, line: bytes) -> tuple[bytes, bytes]:
    """A line for the log file, with its time, and for the terminal, without. A worker's line has its time itself."""
    stamp, text = rfc3339().encode(), line
    if line[_STAMP_CHARS - 1 : _STAMP_CHARS + 1] == b"Z " and line[:4].isdigit() and line[10:11] == b"T":
        stamp, text = line[:_STAMP_CHARS], line[_STAMP_CHARS + 1 :]
    shown = b"%-*s%s\n" % (LABEL_WIDTH, label.encode(), text)
    return stamp + b" " + shown, shown


def for_programs(process: str, line: bytes, redact: Redact, *, logger: str = "", level: str = "INFO") -> bytes:
    """A line as a JSON object. What is one already gets the name of its process."""
    if line.startswith(_JSON_HEAD):
        clean = redact(line)
        if line.endswith(b"}") if clean == line else _is_json(clean):
            return b'{"process":%s,%s\n' % (json.dumps(process).encode(), clean[1:])
        try:
            return _dumped({"process": process, **_redacted(json.loads(line), redact)})
        except ValueError:
            line = clean  # it was cut
    message = redact(line).decode("utf-8", "replace")
    head = {"process": process, "time": rfc3339(), "level": level, "logger": logger or process}
    return _dumped({**head, "message": message})


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _redacted(value: Any, redact: Redact) -> Any:
    """A value whose texts have been redacted one by one, so that it stays what it is."""
    if isinstance(value, dict):
        return {name: _redacted(one, redact) for name, one in value.items()}
    if isinstance(value, list):
        return [_redacted(one, redact) for one in value]
    return redact(value.encode()).decode("utf-8", "replace") if isinstance(value, str) else value


def _dumped(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
