"""Lines on their way to the log and the terminal: which program wrote them, when, and without secrets."""

import json
import time
from collections.abc import Callable
from typing import Any

from scalix.domain.log_lines import json_line, stamp

LABEL_WIDTH = 10
_JSON_HEAD = b'{"time":"'
_STAMP_CHARS = 24

Redact = Callable[[bytes], bytes]


def for_people(label: str, line: bytes) -> tuple[bytes, bytes]:
    """A line for the log file, with its time, and for the terminal, without. A worker's line has its time itself."""
    if line[_STAMP_CHARS - 1 : _STAMP_CHARS + 1] == b"Z " and line[:4].isdigit() and line[10:11] == b"T":
        at, text = line[:_STAMP_CHARS], line[_STAMP_CHARS + 1 :]
    else:
        at, text = stamp(time.time()).encode(), line
    shown = b"%-*s%s\n" % (LABEL_WIDTH, label.encode(), text)
    return at + b" " + shown, shown


def for_programs(process: str, line: bytes, redact: Redact, *, logger: str = "", level: str = "INFO") -> bytes:
    """A line as a JSON object. What is one already gets the name of its process."""
    if line.startswith(_JSON_HEAD):
        clean = redact(line)
        if line.endswith(b"}") if clean == line else _is_json(clean):
            return _of(process, clean + b"\n")
        try:
            return _of(process, json.dumps(_redacted(json.loads(line), redact), separators=(",", ":")).encode() + b"\n")
        except ValueError:
            line = clean  # it was cut
    message = redact(line).decode("utf-8", "replace")
    return _of(process, json_line(time.time(), level, logger or process, message, {}).encode())


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


def _of(process: str, line: bytes) -> bytes:
    return b'{"process":%s,%s' % (json.dumps(process).encode(), line[1:])
