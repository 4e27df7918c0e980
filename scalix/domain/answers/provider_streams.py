"""A provider's own event stream, mended before an engine reads it: what most providers do otherwise than the API that
they speak, and what engines lose. Only events that need it are parsed.

It holds for streams of OpenAI's chat format, but for the end, which every format says.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

import re2

from scalix.domain.answers.split_characters import SplitCharacters

# How a stream says that its answer has come to an end, by any format.
_END = re2.compile(
    rb'"(?:finish_reason|stop_reason|finishReason|blockReason)"\s*:\s*"[^"]|"response\.(?:completed|incomplete|failed)"'
)
# The patterns cost more than the rest of an event: an event without one of these, or with nothing but nulls, has none.
_REASON, _NULL_REASON, _SPACED_NULL = b'eason"', b'eason":null', b'eason": null'
_CALLS, _SPACED_CALLS = b'"tool_calls":[', b'"tool_calls": ['
_REFUSAL = re2.compile(rb'"refusal"\s*:\s*"[^"]')
_DATA = b"data:"

Loads = Callable[[bytes], Any]
Dumps = Callable[[Any], bytes]


class ProviderStream:
    """Mends one stream. `is_chat`: it is of OpenAI's chat format; `keeps_refusals`: whoever reads the answer knows what
    a refusal is, else it is a text. `finishes` takes how each of several choices has ended, which engines lose."""

    def __init__(
        self,
        loads: Loads,
        dumps: Dumps,
        *,
        is_chat: bool,
        keeps_refusals: bool,
        finishes: MutableMapping[int, str] | None,
    ) -> None:
        self._loads = loads
        self._dumps = dumps
        self._is_chat = is_chat
        self._keeps_refusals = keeps_refusals
        self._finishes = finishes
        self._characters = SplitCharacters() if finishes is None else None
        self._calls = CallNumbers()
        self.has_ended = False

    def event(self, event: bytes) -> bytes:
        """One event, as the engine should read it."""
        if self._characters is not None:
            event = self._characters.join(event)
        ends = (not self.has_ended or self._finishes is not None) and _ends(event)
        self.has_ended = self.has_ended or ends
        if not self._is_chat:
            return event
        calls = _CALLS in event or _SPACED_CALLS in event
        refuses = b'"refusal"' in event and _REFUSAL.search(event) is not None
        if not calls and not refuses and not (ends and self._finishes is not None):
            return event
        line = event.strip()
        if not line.startswith(_DATA) or b"\n" in line:
            return event
        try:
            chunk = self._loads(line[len(_DATA) :])
        except ValueError:
            return event
        return _DATA + b" " + self._dumps(chunk) + b"\n\n" if self._mend(chunk) else event

    def _mend(self, chunk: Any) -> bool:
        """Whether the chunk has been changed."""
        changed = False
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            index, delta, finish = choice.get("index"), choice.get("delta"), choice.get("finish_reason")
            if self._finishes is not None and type(index) is int and isinstance(finish, str) and finish:
                self._finishes[index] = finish
            if isinstance(delta, dict):
                changed = self._calls.number(index, delta.get("tool_calls")) or changed
                changed = move_refusal(delta, keeps=self._keeps_refusals) or changed
        return changed


def _ends(event: bytes) -> bool:
    """Whether an event says how its answer has ended."""
    nulls = event.count(_NULL_REASON) + event.count(_SPACED_NULL)
    may_end = event.count(_REASON) > nulls or b'"response.' in event
    return may_end and _END.search(event) is not None


def move_refusal(message: dict[str, Any], *, keeps: bool) -> bool:
    """Put a refusal where an engine does not lose it. Whether there was one."""
    refusal = message.get("refusal")
    if not isinstance(refusal, str) or not refusal:
        return False
    if keeps:
        message["provider_specific_fields"] = {"refusal": refusal}
    else:
        message["content"] = (message.get("content") or "") + refusal
        message["refusal"] = None
    return True


class CallNumbers:
    """The numbers of a stream's tool calls: a new id without a number, or with another call's, gets the next one."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, str], int] = {}  # of each call, by choice and id
        self._latest: dict[tuple[Any, Any], int] = {}  # of the call that the provider's own number means now
        self._next: dict[Any, int] = {}

    def number(self, choice: Any, calls: Any) -> bool:
        """Number the calls of one delta, in place. Whether one had to be changed."""
        changed = False
        for call in calls if isinstance(calls, list) else ():
            if not isinstance(call, dict):
                continue
            given = call.get("index")
            number = self._number(choice, call.get("id"), given if type(given) is int else None)
            if number != given or type(given) is not int:
                call["index"] = number
                changed = True
        return changed

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
