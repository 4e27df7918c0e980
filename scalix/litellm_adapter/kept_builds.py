"""Keeps what LiteLLM makes of a request beside its messages, so that the next of the same kind is made without it.

For one deployment everything but the messages decides where LiteLLM sends a request and what it changes in it. Where
it has passed plain messages on as they were, it is not asked again for the same rest: a body has its messages put back
into what was built the first time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scalix.domain.bounded import Bounded
from scalix.litellm_adapter.direct_client import DirectRequest, Target

_MOST_KEPT = 512
_MOST_REST_BYTES = 16 * 1024
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_PLAIN = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
_NAMES = ("name", "tool_call_id")
_OF_A_CALL = {"id", "type", "function"}
_OF_A_FUNCTION = {"name", "arguments"}
_MESSAGES = "messages"

Key = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Built:
    """A request without its messages, and what LiteLLM has left out of it."""

    target: Target
    rest: bytes  # text, which is a twentieth of the objects that it may hold
    left_out: tuple[str, ...]

    def request(self, messages: Any) -> DirectRequest:
        """The request for `messages`."""
        content = b'%b,"messages":%b}' % (self.rest[:-1], orjson.dumps(_as_sent(messages)))
        return DirectRequest(self.target, content)


class KeptBuilds:
    """The latest builds of a process, at most 512."""

    def __init__(self) -> None:
        self._kept: Bounded[Key, Built] = Bounded(_MOST_KEPT)

    def key(self, deployment: str, body: Mapping[str, Any], options: Mapping[str, bool]) -> Key | None:
        """By what a request for `deployment` is kept; `None` for one that LiteLLM has to look at. `options` are what
        is sent of `scalix_options`."""
        messages = body.get(_MESSAGES)
        if not isinstance(messages, list) or not all(map(_is_plain, messages)):
            return None
        rest = {name: value for name, value in body.items() if name != _MESSAGES}
        text = orjson.dumps([rest, dict(options)])  # in its order, which decides that of a structured answer
        return (deployment, text) if len(text) <= _MOST_REST_BYTES else None

    def get(self, key: Key) -> Built | None:
        """What is kept by `key`."""
        return self._kept.used(key)

    def put(self, key: Key, request: DirectRequest, messages: Any, left_out: tuple[str, ...]) -> None:
        """Keep what was built for `messages`, if these are in it as they were."""
        sent = orjson.loads(request.content)
        if not isinstance(sent, dict) or sent.pop(_MESSAGES, None) != _as_sent(messages) or not sent:
            return
        self._kept[key] = Built(request.target, orjson.dumps(sent), left_out)


def _as_sent(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """LiteLLM leaves out a content that is null, as beside calls."""
    return [
        {name: value for name, value in message.items() if name != "content"}
        if message.get("content", "") is None
        else message
        for message in messages
    ]


def _is_plain(message: Any) -> bool:
    """Whether a message is of texts and calls of functions, as OpenAI has them, and nothing else."""
    if not isinstance(message, dict) or message.get("role") not in _ROLES or not message.keys() <= _PLAIN:
        return False
    content = message.get("content")
    if content is None and "tool_calls" in message:
        content = ""
    if type(content) is not str and (message["role"] == "assistant" or not _are_texts(content)):
        return False  # an assistant's texts are one text for vLLM
    if not all(type(message.get(name, "")) is str for name in _NAMES):
        return False
    return "tool_calls" not in message or _are_calls(message["tool_calls"])


def _are_texts(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text" for part in content
    )


def _are_calls(calls: Any) -> bool:
    return isinstance(calls, list) and all(
        isinstance(call, dict)
        and call.keys() == _OF_A_CALL
        and isinstance(call["function"], dict)
        and call["function"].keys() == _OF_A_FUNCTION
        for call in calls
    )
