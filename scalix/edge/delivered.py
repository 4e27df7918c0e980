"""How much of an answer has gone out, counted only when it is needed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from scalix.domain.tokens.text_tokens import text_tokens

CountTokens = Callable[[str, str], Awaitable[int]]  # model, text -> tokens
_KEEP_BYTES = 64 * 1024


class Delivered:
    """Keeps what was sent of one answer until its text is asked for. Long streams are counted as they go."""

    __slots__ = ("_bytes", "_count_tokens", "_model", "_parts", "_tokens")

    def __init__(self, model: str, count_tokens: CountTokens) -> None:
        self._model = model
        self._count_tokens = count_tokens
        self._parts: list[bytes] = []
        self._bytes = 0
        self._tokens = 0

    async def add(self, part: bytes) -> None:
        """Note bytes that were sent: whole server-sent events."""
        self._parts.append(part)
        self._bytes += len(part)
        if self._bytes > _KEEP_BYTES:
            await self._count(text_of_events(b"".join(self._parts)))

    async def add_whole(self, body: bytes) -> None:
        """Note an answer that is not streamed."""
        await self._count(text_of_answer(body))

    async def tokens(self) -> int:
        """The tokens of all text that was sent, by our own tokenizer."""
        await self._count(text_of_events(b"".join(self._parts)))
        return self._tokens

    async def _count(self, texts: list[str]) -> None:
        self._parts.clear()
        self._bytes = 0
        if text := "".join(texts):
            try:
                self._tokens += await self._count_tokens(self._model, text)
            except asyncio.CancelledError:
                self._tokens += text_tokens(text)
                raise


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


def text_of_answer(body: bytes) -> list[str]:
    """The generated text in an answer that is not streamed, of any of our routes."""
    found: list[str] = []
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return found
    if isinstance(answer, dict):
        for choice in _dicts(answer.get("choices")):
            _take(choice, ("text",), found)
            _texts_of_message(choice.get("message"), found)
        for item in _dicts(answer.get("output")):
            _take(item, ("name", "arguments", "input"), found)
            _texts_of_blocks(item, found)
        _texts_of_blocks(answer, found)
    return found


def _texts_of_blocks(holder: dict[str, Any], found: list[str]) -> None:
    for name in ("content", "summary"):
        for block in _dicts(holder.get(name)):
            _take(block, ("text", "thinking", "refusal", "name"), found)
            if isinstance(block.get("input"), dict):
                found.append(orjson.dumps(block["input"]).decode())


def _texts_of_event(event: dict[str, Any], found: list[str]) -> None:
    for choice in _dicts(event.get("choices")):
        _take(choice, ("text",), found)
        _texts_of_message(choice.get("delta"), found)
    delta = event.get("delta")
    if isinstance(delta, str):
        found.append(delta)
    elif isinstance(delta, dict):
        _take(delta, ("text", "thinking", "partial_json"), found)


def _texts_of_message(message: Any, found: list[str]) -> None:
    if not isinstance(message, dict):
        return
    _take(message, ("content", "reasoning_content", "refusal"), found)
    for call in _dicts(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            _take(function, ("name", "arguments"), found)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _take(source: dict[str, Any], names: tuple[str, ...], found: list[str]) -> None:
    found.extend(value for name in names if isinstance(value := source.get(name), str))
