"""Repairs a provider's event stream before an engine reads it, where providers deviate from OpenAI's formats and where
engines lose something. Only events that need it are parsed. The end of a stream is recognised in every format.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import re2

from scalix.domain.answers.provider_messages import (
    NO_ARGUMENTS,
    flatten_content,
    with_arguments,
    with_known_stop_reason,
)
from scalix.domain.answers.refusals import Refusals
from scalix.domain.answers.split_characters import SplitCharacters
from scalix.domain.answers.text_chunks import TextChoices
from scalix.domain.json_codec import JsonCodec
from scalix.domain.json_values import mapped, objects

# The ways to say that an answer has ended, in all formats.
_END = re2.compile(
    rb'"(?:finish_reason|stop_reason|finishReason|blockReason)"\s*:\s*"[^"]|"response\.(?:completed|incomplete|failed)"'
)
# The patterns are the dearest part of an event, so it is first searched for these; only nulls mean no end.
_REASON, _NULL_REASON, _SPACED_NULL = b'eason"', b'eason":null', b'eason": null'
_ODD = (b'"tool_calls":[', b'"tool_calls": [', b'"content":[', b'"content": [', b'"delta":null', b'"delta": null')
_REFUSAL = re2.compile(rb'"refusal"\s*:\s*"[^"]')
# The reasons that mean a server could not go on: https://openrouter.ai/docs/api-reference/errors-and-debugging,
# https://api-docs.deepseek.com/api/create-chat-completion
_FAILED = ("error", "insufficient_system_resource")
_FAILURE = re2.compile(rb'"finish_reason"\s*:\s*"(?:error|insufficient_system_resource)"')
_RESPONSE_FAILED = b'"response.failed"'
_DATA = b"data:"

_CALLED = "tool_calls"


@dataclass
class ProviderStream:
    """Repairs the events of one stream.

    `is_chat`: the stream has OpenAI's chat format. `refusals` rewrites refusals for the client's API; for a chat client
    calls without arguments are completed too. `finishes` is filled with the finish reason of each choice, if there are
    several. `texts` collects the choices of completions, which engines lose. `is_translated`: the engine that reads the
    stream does not know every stop reason of its format.
    """

    codec: JsonCodec
    is_chat: bool
    refusals: Refusals
    finishes: MutableMapping[int, str] | None
    texts: TextChoices | None = None
    is_translated: bool = False

    def __post_init__(self) -> None:
        self._characters = SplitCharacters() if self.finishes is None else None
        self._calls = CallNumbers()
        self.has_ended = False
        self.has_failed = False  # its end is a failure

    @property
    def has_half(self) -> bool:
        """Whether half a character waits for the next event."""
        return self._characters is not None and self._characters.has_half

    def event(self, event: bytes) -> bytes:
        """The event as the engine should read it."""
        if self._characters is not None:
            event = self._characters.join(event)
        ends = (not self.has_ended or self.finishes is not None) and tells_end(event)
        self.has_ended = self.has_ended or ends
        self.has_failed = self.has_failed or (ends and _RESPONSE_FAILED in event)
        if self.texts is not None:
            self.texts.note(event, self.codec.loads)
        if not self.is_chat:
            event = with_arguments(event)
            return with_known_stop_reason(event) if ends and self.is_translated else event
        has_more = self.finishes is not None or bool(self._calls.names) or self.refusals.seen
        ended = ends and (has_more or _FAILURE.search(event) is not None)
        if not ended and not _is_odd(event):
            return event
        line = event.strip()
        if not line.startswith(_DATA) or b"\n" in line:
            return event
        try:
            chunk = self.codec.loads(line[len(_DATA) :])
        except ValueError:
            return event
        return _DATA + b" " + self.codec.dumps(chunk) + b"\n\n" if self._mend(chunk) else event

    def _mend(self, chunk: Any) -> bool:
        """Repair a chunk. Returns whether it was changed."""
        changed = False
        for choice in objects(mapped(chunk).get("choices")):
            changed = _with_delta(choice) or changed
            index, delta = choice.get("index"), choice.get("delta")
            if isinstance(delta, dict):
                changed = flatten_content(delta) or changed
                changed = self._calls.number(index, delta.get("tool_calls")) or changed
                changed = self.refusals.mend(choice, delta) or changed
            changed = self._mend_finish(choice) or changed
        return changed

    def _mend_finish(self, choice: dict[str, Any]) -> bool:
        index, finish = choice.get("index"), choice.get("finish_reason")
        if not isinstance(finish, str) or not finish:
            return False
        if finish in _FAILED:
            self.has_ended, choice["finish_reason"] = False, None
            return True
        mended = _CALLED if finish == "stop" and any(owner == index for owner, _ in self._calls.names) else finish
        empty = self._calls.without_arguments(index) if self.refusals.for_chat and mended == _CALLED else []
        if empty:
            more = [{"index": number, "function": {"arguments": NO_ARGUMENTS}} for number in empty]
            choice["delta"]["tool_calls"] = [*(choice["delta"].get("tool_calls") or ()), *more]
        choice["finish_reason"] = mended
        if self.finishes is not None and type(index) is int:
            self.finishes[index] = mended
        return bool(empty) or mended != finish


def tells_end(event: bytes) -> bool:
    """Whether an event tells the end of its answer."""
    nulls = event.count(_NULL_REASON) + event.count(_SPACED_NULL)
    may_end = event.count(_REASON) > nulls or b'"response.' in event
    return may_end and _END.search(event) is not None


def _is_odd(event: bytes) -> bool:
    """Whether a chunk may need repair: it has calls, a delta or text of another shape, or a refusal."""
    for mark in _ODD:
        if mark in event:
            return True
    has_message = b'"delta"' not in event and b'"message"' in event
    return has_message or (b'"refusal"' in event and _REFUSAL.search(event) is not None)


def _with_delta(choice: dict[str, Any]) -> bool:
    """Give a choice its delta where it is null, or a whole message since the server does not stream. Returns whether it
    had none."""
    if isinstance(choice.get("delta"), dict):
        return False
    choice["delta"] = mapped(choice.get("message"))
    return True


class CallNumbers:
    """Numbers the tool calls of a stream. A new id without a number, or with that of another call, gets the next one.
    Later deltas of a call lose its id and name, which readers would append or take for a new call."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, str], int] = {}  # of each call, by choice and id
        self._latest: dict[tuple[Any, Any], int] = {}  # of the call for which the provider's own number stands now
        self._next: dict[Any, int] = {}
        self.names: dict[tuple[Any, int], Any] = {}  # of called functions, by choice and number
        self._with_arguments: set[tuple[Any, int]] = set()

    def without_arguments(self, choice: Any) -> list[int]:
        """The calls of this choice that have had no arguments so far."""
        return [key[1] for key in self.names if key[0] == choice and key not in self._with_arguments]

    def number(self, choice: Any, calls: Any) -> bool:
        """Number the calls of one delta, in place. Returns whether one was changed."""
        changed = False
        for call in objects(calls):
            given = call.get("index")
            number = self._number(choice, call.get("id"), given if type(given) is int else None)
            if number != given or type(given) is not int:
                call["index"] = number
                changed = True
            changed = self._without_repeated(choice, number, call) or changed
        return changed

    def _without_repeated(self, choice: Any, number: int, call: dict[str, Any]) -> bool:
        function = mapped(call.get("function"))
        name = function.get("name")
        if function.get("arguments"):
            self._with_arguments.add((choice, number))
        is_first = (choice, number) not in self.names
        known = self.names.setdefault((choice, number), name)
        if is_first or not call.get("id"):
            return False
        del call["id"]
        if name is not None and name == known:
            del function["name"]
        return True

    def _number(self, choice: Any, name: Any, given: int | None) -> int:
        after = self._next.get(choice, 0)
        if not isinstance(name, str) or not name:  # more of a call
            return self._latest.get((choice, given), self._latest.get((choice, None), max(after - 1, 0)))
        number = self._numbers.get((choice, name))
        if number is None:
            taken = given is None or (choice, given) in self._latest
            number = self._numbers[choice, name] = after if given is None or taken else given
            self._next[choice] = max(after, number + 1)
        self._latest[choice, given] = self._latest[choice, None] = number
        return number
