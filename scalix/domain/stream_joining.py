"""Joins neighbouring deltas of an OpenAI-format stream, so that what reads them has fewer to read.

Joined are only events that carry nothing but one more piece of the same text: of an answer, of a reasoning text or of
one tool call's arguments. Whatever else an event has (a role, a finish reason, usage, an error, log probabilities, a
field that is not known here, another choice) keeps it as it came and in its place. The concatenated texts are those
of the stream that was fed.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_ENVELOPE = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"})
# OpenAI pads events to hide their length; the padding of joined events hides nothing any more.
_PADDING = "obfuscation"
_CHOICE = frozenset({"index", "delta", "text", "finish_reason", "logprobs"})
_TEXTS = frozenset({"content", "reasoning_content", "reasoning"})
_DATA = b"data:"

Loads = Callable[[bytes], Any]
Dumps = Callable[[Any], bytes]


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(slots=True)
class _Delta:
    """One joinable event: its parsed form, where its text sits, and what a neighbour must share with it."""

    event: dict[str, Any]
    holder: dict[str, Any]
    name: str
    likeness: tuple[Any, ...]


class Joiner:
    """`loads` and `dumps` are the JSON functions to use; the standard library's if not given."""

    def __init__(self, loads: Loads = json.loads, dumps: Dumps = _dumps) -> None:
        self._loads = loads
        self._dumps = dumps

    def join(self, events: Iterable[bytes]) -> list[bytes]:
        """The events (bytes, each with its end) with every run of joinable neighbours made one."""
        joined: list[bytes] = []
        first: _Delta | None = None
        as_it_came = b""
        texts: list[str] = []
        for event in events:
            delta = self._delta(event)
            if delta is not None and first is not None and delta.likeness == first.likeness:
                texts.append(delta.holder[delta.name])
                continue
            if first is not None:
                joined.append(self._closed(first, texts, as_it_came))
            first = delta
            if delta is None:
                joined.append(event)
            else:
                as_it_came, texts = event, [delta.holder[delta.name]]
        if first is not None:
            joined.append(self._closed(first, texts, as_it_came))
        return joined

    def _closed(self, first: _Delta, texts: list[str], as_it_came: bytes) -> bytes:
        if len(texts) == 1:
            return as_it_came
        first.holder[first.name] = "".join(texts)
        first.event.pop(_PADDING, None)
        return b"data: " + self._dumps(first.event) + b"\n\n"

    def _delta(self, event: bytes) -> _Delta | None:
        """The event as a joinable delta, or `None`."""
        line = event.strip(b"\r\n")
        if not line.startswith(_DATA + b" {") and not line.startswith(_DATA + b"{") or b"\n" in line or b"\r" in line:
            return None
        try:
            parsed = self._loads(line[len(_DATA) :])
        except ValueError:
            return None
        if not isinstance(parsed, dict) or not (parsed.keys() - {_PADDING}) <= _ENVELOPE:
            return None
        choices = parsed.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            return None
        choice = choices[0]
        if (
            not choice.keys() <= _CHOICE
            or choice.get("finish_reason") is not None
            or choice.get("logprobs") is not None
        ):
            return None
        found = _text_in(choice)
        if found is None:
            return None
        holder, name, place = found
        envelope = tuple((key, value) for key, value in sorted(parsed.items()) if key not in ("choices", _PADDING))
        return _Delta(parsed, holder, name, (envelope, choice.get("index"), tuple(sorted(choice)), place))


def _text_in(choice: dict[str, Any]) -> tuple[dict[str, Any], str, tuple[Any, ...]] | None:
    """Where the only text of a choice sits: its holder, its name there, and the whole place for comparison."""
    if "delta" not in choice:
        return (choice, "text", ("text",)) if isinstance(choice.get("text"), str) else None
    delta = choice["delta"]
    if "text" in choice or not isinstance(delta, dict):
        return None
    filled = [name for name, value in delta.items() if value is not None]
    if len(filled) != 1:
        return None
    name, keys = filled[0], tuple(sorted(delta))
    if name in _TEXTS:
        return (delta, name, (name, keys)) if isinstance(delta[name], str) else None
    return _arguments_in(delta, keys) if name == "tool_calls" else None


def _arguments_in(delta: dict[str, Any], keys: tuple[str, ...]) -> tuple[dict[str, Any], str, tuple[Any, ...]] | None:
    calls = delta["tool_calls"]
    if not isinstance(calls, list) or len(calls) != 1 or not isinstance(calls[0], dict):
        return None
    call = calls[0]
    function = call.get("function")
    # A name, an id or a type begins a call; only what is nothing but more arguments goes on with one.
    if call.keys() != {"index", "function"} or not isinstance(function, dict) or function.keys() != {"arguments"}:
        return None
    if not isinstance(function["arguments"], str):
        return None
    return function, "arguments", ("tool_calls", keys, call["index"])
