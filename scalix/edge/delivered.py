"""How much of a stream has gone out, counted only when it is needed."""

from collections.abc import Callable
from typing import Any

import orjson

CountTokens = Callable[[str, str], int]  # model, text -> tokens
_KEEP_BYTES = 64 * 1024


class Delivered:
    """Keeps what was sent of one stream until its text is asked for. Long streams are counted as they go."""

    __slots__ = ("_bytes", "_count_tokens", "_model", "_parts", "_tokens")

    def __init__(self, model: str, count_tokens: CountTokens) -> None:
        self._model = model
        self._count_tokens = count_tokens
        self._parts: list[bytes] = []
        self._bytes = 0
        self._tokens = 0

    def add(self, part: bytes) -> None:
        """Note bytes that were sent: whole server-sent events."""
        self._parts.append(part)
        self._bytes += len(part)
        if self._bytes > _KEEP_BYTES:
            self._count()

    def tokens(self) -> int:
        """The tokens of all text that was sent, by our own tokenizer."""
        self._count()
        return self._tokens

    def _count(self) -> None:
        text = "".join(text_of_events(b"".join(self._parts)))
        self._parts.clear()
        self._bytes = 0
        if text:
            self._tokens += self._count_tokens(self._model, text)


def text_of_events(events: bytes) -> list[str]:
    """The generated text in server-sent events of any of our routes: answers, reasoning and tool-call arguments."""
    found: list[str] = []
    for line in events.splitlines():
        if not line.startswith(b"data:"):
            continue
        try:
            event = orjson.loads(line[5:])
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict):
            _texts_of_event(event, found)
    return found


def _texts_of_event(event: dict[str, Any], found: list[str]) -> None:
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict):
            _take(choice, ("text",), found)
            _texts_of_delta(choice.get("delta"), found)
    delta = event.get("delta")
    if isinstance(delta, str):
        found.append(delta)
    elif isinstance(delta, dict):
        _take(delta, ("text", "thinking", "partial_json"), found)


def _texts_of_delta(delta: Any, found: list[str]) -> None:
    if not isinstance(delta, dict):
        return
    _take(delta, ("content", "reasoning_content", "refusal"), found)
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            _take(function, ("name", "arguments"), found)


def _take(source: dict[str, Any], names: tuple[str, ...], found: list[str]) -> None:
    found.extend(value for name in names if isinstance(value := source.get(name), str))
