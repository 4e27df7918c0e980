"""How much of an answer has gone out, counted only when it is needed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from scalix.domain.tokens.text_tokens import text_tokens

CountTokens = Callable[[str, str], Awaitable[int]]  # model, text -> tokens
_KEEP_BYTES = 64 * 1024
# A generated image on Gemini (ai.google.dev, "Image generation"); OpenAI's take 1,056 at medium quality.
IMAGE_TOKENS = 1_290
# OpenAI's voices take 20 tokens a second, in base64 of MP3 at 128 kbit/s 1,066 characters each, of 24 kHz PCM 3,200.
CHARACTERS_PER_SOUND_TOKEN = 1_000
_THOUGHTS = ("reasoning_content", "reasoning", "thinking_blocks", "reasoning_details")


class Delivered:
    """Keeps what was sent of one answer until its text is asked for. Long streams are counted as they go."""

    __slots__ = ("_bytes", "_count_tokens", "_model", "_parts", "_tokens")

    def __init__(self, model: str, count_tokens: CountTokens) -> None:
        self._model = model
        self._count_tokens = count_tokens
        self._parts: list[bytes] = []
        self._bytes = 0
        self._tokens = 0

    @property
    def is_full(self) -> bool:
        """Whether so much is kept that it should be counted now."""
        return self._bytes > _KEEP_BYTES

    def keep(self, part: bytes) -> None:
        """Note bytes that were sent: whole server-sent events. They wait until they are counted."""
        self._parts.append(part)
        self._bytes += len(part)

    async def add(self, part: bytes) -> None:
        """Note bytes that were sent, and count them if they are many."""
        self.keep(part)
        if self.is_full:
            await self.count()

    async def count(self) -> None:
        """Count what is kept."""
        await self._count(text_of_events(b"".join(self._parts)))

    async def add_whole(self, body: bytes) -> None:
        """Note an answer that is not streamed."""
        await self._count(text_of_answer(body))

    async def tokens(self) -> int:
        """The tokens of all text that was sent, by our own tokenizer."""
        await self.count()
        return self._tokens

    async def _count(self, found: list[str | int]) -> None:
        self._parts.clear()
        self._bytes = 0
        self._tokens += sum(item for item in found if isinstance(item, int))
        if text := "".join(item for item in found if isinstance(item, str)):
            try:
                self._tokens += await self._count_tokens(self._model, text)
            except asyncio.CancelledError:
                self._tokens += text_tokens(text)
                raise


def text_of_events(events: bytes) -> list[str | int]:
    """What was generated, in server-sent events of any of our routes: texts of answers, reasoning and tool calls, and
    the tokens of what is no text."""
    found: list[str | int] = []
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


def text_of_answer(body: bytes) -> list[str | int]:
    """The generated text in an answer that is not streamed, of any of our routes."""
    found: list[str | int] = []
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
            _images_of_item(item, found)
        _texts_of_blocks(answer, found)
    return found


def _texts_of_blocks(holder: dict[str, Any], found: list[str | int]) -> None:
    for name in ("content", "summary"):
        for block in _dicts(holder.get(name)):
            _take(block, ("text", "thinking", "refusal", "name"), found)
            _hidden_thoughts(block, found)
            if isinstance(block.get("input"), dict):
                found.append(orjson.dumps(block["input"]).decode())


def _texts_of_event(event: dict[str, Any], found: list[str | int]) -> None:
    for choice in _dicts(event.get("choices")):
        _take(choice, ("text",), found)
        _texts_of_message(choice.get("delta"), found)
    delta = event.get("delta")
    if isinstance(delta, str):
        is_sound = event.get("type") == "response.audio.delta"
        found.append(len(delta) // CHARACTERS_PER_SOUND_TOKEN if is_sound else delta)
    elif isinstance(delta, dict):
        _take(delta, ("text", "thinking", "partial_json"), found)
    for name in ("content_block", "item"):  # a call begins with its name, hidden thoughts come as a whole
        begun = event.get(name)
        if isinstance(begun, dict) and str(event.get("type")).endswith(("_start", ".added")):
            _take(begun, ("name", "text", "thinking"), found)
            _hidden_thoughts(begun, found)
    if event.get("type") == "response.output_item.done" and isinstance(event.get("item"), dict):
        _images_of_item(event["item"], found)
    if isinstance(event.get("partial_image_b64"), str):
        found.append(IMAGE_TOKENS)


def _texts_of_message(message: Any, found: list[str | int]) -> None:
    if not isinstance(message, dict):
        return
    _take(message, ("content", "refusal"), found)
    for part in _dicts(message.get("content")):
        _take(part, ("text",), found)
        for thought in _dicts(part.get("thinking")):
            _take(thought, ("text",), found)
    # The same thoughts may stand under several names.
    name = next((name for name in _THOUGHTS if message.get(name)), "")
    _take(message, (name,), found)
    for thought in _dicts(message.get(name)):
        _take(thought, ("text", "summary", "thinking"), found)
        _hidden_thoughts(thought, found)
    calls = [call.get(kind) for call in _dicts(message.get("tool_calls")) for kind in ("function", "custom")]
    for function in (*calls, message.get("function_call")):
        if isinstance(function, dict):
            _take(function, ("name", "arguments", "input"), found)
    audio = message.get("audio")
    if isinstance(audio, dict):
        _take(audio, ("transcript",), found)
        if isinstance(audio.get("data"), str):
            found.append(len(audio["data"]) // CHARACTERS_PER_SOUND_TOKEN)
    images = message.get("images")
    if isinstance(images, list):
        found.append(IMAGE_TOKENS * len(images))


def _hidden_thoughts(block: dict[str, Any], found: list[str | int]) -> None:
    """Thoughts that are shown as a cipher."""
    if block.get("type") in ("redacted_thinking", "reasoning.encrypted") and isinstance(block.get("data"), str):
        found.append(len(block["data"]) // 4)


def _images_of_item(item: dict[str, Any], found: list[str | int]) -> None:
    if item.get("type") == "image_generation_call" and isinstance(item.get("result"), str):
        found.append(IMAGE_TOKENS)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _take(source: dict[str, Any], names: tuple[str, ...], found: list[str | int]) -> None:
    found.extend(value for name in names if isinstance(value := source.get(name), str))
