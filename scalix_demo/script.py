"""Directives: how a prompt tells the demo provider what to do.

A directive is `[[demo name=value name=value …]]` anywhere in a message, a prompt or an input text, so that tests that
run in parallel don't disturb each other. Several are read in order, and the last value counts. One with `models=a,b`
applies only to requests for one of these models, which lets a test make the first model of a fallback chain fail. An
unknown name or value is answered with 400, so that a typing error in a test is noticed.

The demo provider only runs under `--demo` and in tests, on loopback, where a directive in a user's prompt does no
harm.

| directive | effect |
|---|---|
| `words=N` | length of the answer in words; one word is one delta and one token |
| `chunk_chars=N` | deltas of N characters in place of words; each is one token |
| `delay_ms=N`, `gap_ms=N` | wait before the first byte; wait between two deltas |
| `status=N` | an error of that status; with `error_type`, `error_code`, `error_message` (`_` becomes a space) |
| `statuses=500,500,200` | one per attempt with the same `key=<id>`; the last one stays |
| `retry_after=V` | the `Retry-After` header of an error |
| `usage=MODE` | `none` (absent), `null`, `negative`, `huge` (10^12), `string`, `zero`; in chunks also `late` (a |
| | chunk after the finish chunk) and `in_finish` (in the finish chunk), both even when not asked for |
| `cached=N`, `reasoning=N` | cached prompt tokens (at most all of them); reasoning tokens, which are output tokens |
| `prompt_tokens=N`, `completion_tokens=N` | these figures in place of the counted ones |
| `finish=R` | `stop`, `length`, `content_filter` or `tool_calls`, in the words of the route's API |
| `tool=1` | a call of the first tool offered, its arguments in fragments; each fragment is one token |
| `cut_after=K` | after K deltas the connection is closed without the end of the answer |
| `reset_after=K` | the same with a TCP reset; what is still on its way may be lost |
| `error_after=K` | after K deltas an error event in the stream, which then ends |
| `hang_after=K` | after K deltas nothing more until the client leaves |
| | (not streamed, whatever K is: half the answer and the end; a 200 with an error in it; no answer) |
| `drop=1` | the connection is closed before the first byte of an answer |
| `empty=1`, `empty=choices` | a 200 without a body; a 200 with no choices (a stream: only its end) |
| `hang=1` | no answer until the client leaves |
| `burst=1` | the whole stream in one write |
| `crlf=1` | lines end in CRLF, comments and keep-alives between the events |
| `no_done=1` | the stream ends without `data: [DONE]` |
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import re2

from scalix_demo.problem import BadRequestError

MARK = b"[[demo"
MAX_WORDS = 200_000
USAGE_MODES = frozenset({"normal", "none", "null", "negative", "huge", "string", "zero", "late", "in_finish"})
FINISHES = frozenset({"stop", "length", "content_filter", "tool_calls"})

_DIRECTIVE = re2.compile(r"\[\[demo\b([^\]]*)\]\]")
_HEADER_VALUE = re2.compile(r"[\x21-\x7e]+")


@dataclass(slots=True)
class Script:
    """What the directives of one request ask for; by default a plain, immediate, correct answer."""

    words: int | None = None
    chunk_chars: int | None = None
    delay_ms: float = 0.0
    gap_ms: float = 0.0
    status: int = 200
    statuses: tuple[int, ...] = ()
    key: str = ""
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    retry_after: str | None = None
    usage: str = "normal"
    cached: int = 0
    reasoning: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish: str | None = None
    tool: bool = False
    cut_after: int | None = None
    reset_after: int | None = None
    error_after: int | None = None
    hang_after: int | None = None
    drop: bool = False
    empty: str = ""
    hang: bool = False
    burst: bool = False
    crlf: bool = False
    no_done: bool = False


def parse_script(texts: Iterable[str], model: str, defaults: Script) -> Script:
    """The directives in `texts` that apply to `model`, over `defaults`. Raises BadRequestError."""
    script = copy.copy(defaults)
    for text in texts:
        for found in _DIRECTIVE.finditer(text):
            _apply(script, found.group(1).split(), model)
    return script


def _apply(script: Script, words: list[str], model: str) -> None:
    settings: list[tuple[str, Any]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadRequestError(f"demo directive {word!r} is not name=value")
        if name == "models":
            if model not in value.split(","):
                return
            continue
        reader = _READERS.get(name)
        if reader is None:
            raise BadRequestError(f"unknown demo directive {name!r}; known are: models, {', '.join(_READERS)}")
        try:
            settings.append((name, reader(value)))
        except ValueError as error:
            raise BadRequestError(f"demo directive {name!r} does not take {value!r}: {error}") from None
    for name, setting in settings:
        setattr(script, name, setting)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        number = int(value)
        if not least <= number <= most:
            raise ValueError(f"it must be from {least} to {most}")
        return number

    return read


def _one_of(choices: frozenset[str]) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"it is one of {', '.join(sorted(choices))}")
        return value

    return read


def _milliseconds(value: str) -> float:
    number = float(value)
    if not 0 <= number <= 3_600_000:
        raise ValueError("it must be from 0 to 3600000")
    return number


def _flag(value: str) -> bool:
    if value not in {"0", "1"}:
        raise ValueError("it is 0 or 1")
    return value == "1"


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("it must be printable ASCII")
    return value


def _spaced(value: str) -> str:
    return value.replace("_", " ")


_count = _whole(0, 10**15)
_status = _whole(200, 599)

_READERS: dict[str, Callable[[str], Any]] = {
    "words": _whole(0, MAX_WORDS),
    "chunk_chars": _whole(1, 100_000),
    "delay_ms": _milliseconds,
    "gap_ms": _milliseconds,
    "status": _status,
    "statuses": lambda value: tuple(_status(part) for part in value.split(",")),
    "key": str,
    "error_type": str,
    "error_code": str,
    "error_message": _spaced,
    "retry_after": _header_value,
    "usage": _one_of(USAGE_MODES),
    "cached": _count,
    "reasoning": _count,
    "prompt_tokens": _count,
    "completion_tokens": _count,
    "finish": _one_of(FINISHES),
    "tool": _flag,
    "cut_after": _count,
    "reset_after": _count,
    "error_after": _count,
    "hang_after": _count,
    "drop": _flag,
    "empty": lambda value: _one_of(frozenset({"0", "1", "choices"}))(value).replace("0", ""),
    "hang": _flag,
    "burst": _flag,
    "crlf": _flag,
    "no_done": _flag,
}


class Attempts:
    """Counts the requests with each `key=<id>`; beyond `most` the oldest are forgotten."""

    def __init__(self, most: int = 10_000) -> None:
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._most = most

    def status_of(self, script: Script) -> int:
        """The status of this attempt: from `statuses` by its number (the last one repeats), else `status`."""
        if not script.statuses:
            return script.status
        attempt = self._seen.pop(script.key, 0)
        self._seen[script.key] = attempt + 1
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return script.statuses[min(attempt, len(script.statuses) - 1)]
