"""Joins neighbouring deltas of an OpenAI-format stream, so that what reads them has fewer to read.

Joined are only events that carry nothing but one more piece of the same text: of an answer, of a reasoning text or of
one tool call's arguments. Whatever else an event has (a role, a finish reason, usage, an error, log probabilities, a
field that is not known here, another choice) keeps it as it came and in its place. The concatenated texts are those
of the stream that was fed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scalix.domain.json_codec import JsonCodec

# What every event of an answer repeats. `provider` is OpenRouter's.
_ENVELOPE = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier", "provider"})
# OpenAI pads events to hide their length; the padding of joined events hides nothing any more.
_PADDING = "obfuscation"
_TEXTS = frozenset({"content", "reasoning_content", "reasoning"})
# Known fields that say something only when they are not null. vLLM has `stop_reason` and `token_ids`.
_NULLS_OF_CHOICE = frozenset({"finish_reason", "logprobs", "native_finish_reason", "stop_reason", "token_ids"})
_NULLS_OF_DELTA = frozenset({"refusal", "function_call", "audio", "annotations", "reasoning_details"})
_DATA = b"data:"
# Whole numbers beyond it may change in a JSON parser that knows 64 bits.
_LARGEST_EXACT = 2**53
_MOST_ROLES = 256
# So many patterns in a row that no event fits: this provider's events differ in more than their text.
_MOST_PATTERNS_IN_VAIN = 8
_PROBE = "\x00"


@dataclass(slots=True)
class _Delta:
    """One joinable event: its parsed form, where its text sits, and what a neighbour must share with it."""

    event: dict[str, Any]
    holder: dict[str, Any]
    name: str
    likeness: tuple[Any, ...]


@dataclass(slots=True)
class _Pattern:
    """The bytes around the text of a joinable event: another event with the same ones needs no parsing."""

    before: bytes
    after: bytes
    delta: _Delta


class Joiner:
    """Joins one stream."""

    def __init__(self, codec: JsonCodec) -> None:
        self._loads, self._dumps = codec
        self._announced: set[tuple[int, str]] = set()
        self._pattern: _Pattern | None = None
        self._in_vain = 0

    def join(self, events: Iterable[bytes]) -> list[bytes]:
        """The events (bytes, each with its end) with every run of joinable neighbours made one."""
        joined: list[bytes] = []
        first: _Delta | None = None
        as_it_came = b""
        texts: list[str] = []
        for event in events:
            delta, text, is_new = self._read(event)
            if delta is not None and first is not None and (delta is first or delta.likeness == first.likeness):
                if is_new:
                    self._learn(event, delta, text)
                texts.append(text)
                continue
            if first is not None:
                joined.append(self._closed(first, texts, as_it_came))
            first = delta
            if delta is None:
                joined.append(event)
            else:
                as_it_came, texts = event, [text]
        if first is not None:
            joined.append(self._closed(first, texts, as_it_came))
        return joined

    def _closed(self, first: _Delta, texts: list[str], as_it_came: bytes) -> bytes:
        if len(texts) == 1:
            return as_it_came
        first.holder[first.name] = "".join(texts)
        first.event.pop(_PADDING, None)
        return b"data: " + self._dumps(first.event) + b"\n\n"

    def _read(self, event: bytes) -> tuple[_Delta | None, str, bool]:
        """The event as a joinable delta, its text, and whether it had to be parsed for that."""
        text = self._text_by_pattern(event)
        if text is not None and self._pattern is not None:
            return self._pattern.delta, text, False
        delta = self._delta(event)
        return delta, delta.holder[delta.name] if delta is not None else "", True

    def _text_by_pattern(self, event: bytes) -> str | None:
        """The text of an event that differs from a known one in nothing else; `None` for any other."""
        pattern = self._pattern
        if pattern is None or not event.startswith(pattern.before) or not event.endswith(pattern.after):
            return None
        try:
            text = self._loads(event[len(pattern.before) : -len(pattern.after)])
        except ValueError:
            return None
        if not isinstance(text, str) or not _is_whole(text):
            return None
        self._in_vain = 0
        return text

    def _learn(self, event: bytes, delta: _Delta, text: str) -> None:
        """Make a pattern of a joinable event, if its text stands in it once."""
        literal = self._dumps(text)
        if self._in_vain >= _MOST_PATTERNS_IN_VAIN or event.count(literal) != 1:
            return
        self._in_vain += 1
        before, _, after = event.partition(literal)
        # The same characters may stand elsewhere, and the text be written in another way.
        probed = self._delta(before + self._dumps(_PROBE) + after)
        if probed is not None and probed.holder[probed.name] == _PROBE and probed.likeness == delta.likeness:
            self._pattern = _Pattern(before, after, probed)

    def _delta(self, event: bytes) -> _Delta | None:
        """The event as a joinable delta, or `None`."""
        line = event.strip(b"\r\n")
        if not line.startswith(_DATA) or b"\n" in line or b"\r" in line:
            return None
        try:
            parsed = self._loads(line[len(_DATA) :])
        except ValueError:
            return None
        if not isinstance(parsed, dict):
            return None
        envelope = _envelope(parsed)
        choices = parsed.get("choices")
        if envelope is None or not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            return None
        choice = choices[0]
        index = choice.get("index")
        if type(index) is not int:
            return None
        for key, value in choice.items():
            if key not in ("index", "delta", "text") and (value is not None or key not in _NULLS_OF_CHOICE):
                return None
        found = self._text_in(choice, index)
        if found is None:
            return None
        holder, name, place = found
        text = holder[name]
        if not _is_whole(text):
            return None
        return _Delta(parsed, holder, name, (index, place, envelope, choice.keys()))

    def _text_in(self, choice: dict[str, Any], index: int) -> tuple[dict[str, Any], str, Any] | None:
        """Where the only text of a choice sits: its holder, its name there, and all that surrounds it."""
        delta = choice.get("delta")
        if "delta" not in choice or "text" in choice:
            return (choice, "text", "text") if delta is None and isinstance(choice.get("text"), str) else None
        if not isinstance(delta, dict) or not self._says_no_more(delta, index):
            return None
        if delta.get("tool_calls") is not None:
            return _arguments_in(delta)
        texts = [name for name in delta if name in _TEXTS and delta[name] is not None]
        name = next((name for name in texts if delta[name]), texts[0] if texts else None)
        if name is None or not isinstance(delta[name], str):
            return None
        around = {key: value for key, value in delta.items() if key != name}
        return None if any(around.get(other) for other in texts) else (delta, name, (name, around))

    def _says_no_more(self, delta: dict[str, Any], index: int) -> bool:
        """Whether a delta has nothing but known fields, and no news besides its text or its tool call."""
        for key, value in delta.items():
            if value is None:
                if key not in _NULLS_OF_DELTA and key not in _TEXTS and key not in ("role", "tool_calls"):
                    return False
            elif key == "role":
                # OpenRouter repeats the role in every event; only the first one is news.
                if not isinstance(value, str) or (index, value) not in self._announced:
                    self._announce(index, value)
                    return False
            elif key not in _TEXTS and key != "tool_calls":
                return False
        return True

    def _announce(self, index: int, role: object) -> None:
        if isinstance(role, str) and len(self._announced) < _MOST_ROLES:
            self._announced.add((index, role))


def _envelope(event: dict[str, Any]) -> dict[str, Any] | None:
    """What an event has around its choices, or `None` if there is more than what all events repeat."""
    envelope = {key: value for key, value in event.items() if key != "choices" and key != _PADDING}
    for key, value in envelope.items():
        if value is not None and (key not in _ENVELOPE or not _is_plain(value)):
            return None
        if key not in _ENVELOPE and key != "usage":
            return None
    return envelope


def _is_plain(value: object) -> bool:
    """Whether a value is written again as it was read."""
    kind = type(value)
    return kind is str or ((kind is int or kind is float) and -_LARGEST_EXACT < value < _LARGEST_EXACT)  # type: ignore[operator]


def _arguments_in(delta: dict[str, Any]) -> tuple[dict[str, Any], str, Any] | None:
    calls = delta["tool_calls"]
    if any(delta.get(name) for name in _TEXTS) or not isinstance(calls, list) or len(calls) != 1:
        return None
    call = calls[0]
    function = call.get("function") if isinstance(call, dict) else None
    # A name, an id or a type begins a call; only what is nothing but more arguments goes on with one.
    if not isinstance(function, dict) or type(call.get("index")) is not int:
        return None
    if any(value is not None for key, value in call.items() if key not in ("index", "function")):
        return None
    if not call.keys() <= {"index", "function", "id", "type"} or not function.keys() <= {"arguments", "name"}:
        return None
    if function.get("name") is not None or not isinstance(function.get("arguments"), str):
        return None
    around = {key: value for key, value in delta.items() if key != "tool_calls"}
    return function, "arguments", (call["index"], call.keys(), function.keys(), around)


def _is_whole(text: str) -> bool:
    """Whether no character of a text is cut in two: half a pair can't be written, and joined it would change."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
