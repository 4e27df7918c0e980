"""Keeps what LiteLLM makes of a request beside its content, so that the next of the same kind is made without it.

For one deployment everything but the content, messages or a prompt, decides where LiteLLM sends a request and what it
changes in it. Where it has passed a plain one on as it was, it is not asked again for the same rest: a body has its
content put back into what was built the first time.
"""

from collections.abc import Callable, Mapping
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
_OF_A_TEXT = {"role", "content"}
_SPEAKERS = frozenset({"system", "user", "assistant"})
MESSAGES, PROMPT = "messages", "prompt"

Key = tuple[str, str, bytes]  # of the deployment, the field with the content, and the rest


@dataclass(frozen=True, slots=True)
class Built:
    """A request without its content, and what LiteLLM has left out of it."""

    target: Target
    field: str  # of the content
    rest: bytes  # text, which is a twentieth of the objects that it may hold
    left_out: tuple[str, ...]

    def request(self, said: Any) -> DirectRequest:
        """The request for this content."""
        content = b'%b,"%b":%b}' % (self.rest[:-1], self.field.encode(), orjson.dumps(_as_sent(said)))
        return DirectRequest(self.target, content)


class KeptBuilds:
    """The latest builds of a process, at most 512."""

    def __init__(self) -> None:
        self._kept: Bounded[Key, Built] = Bounded(_MOST_KEPT)

    def key(
        self,
        deployment: str,
        provider: str,
        body: Mapping[str, Any],
        options: Mapping[str, bool],
        field: str = MESSAGES,
    ) -> Key | None:
        """By what a request for `deployment` is kept; `None` for one that LiteLLM has to look at. `options` are what
        is sent of `scalix_options`; `field` is where the content is."""
        if not _is_passed(provider, field, body.get(field)):
            return None
        rest = {name: value for name, value in body.items() if name != field}
        text = orjson.dumps([rest, dict(options)])  # in its order, which decides that of a structured answer
        return (deployment, field, text) if len(text) <= _MOST_REST_BYTES else None

    def get(self, key: Key) -> Built | None:
        """What is kept by `key`."""
        return self._kept.used(key)

    def put(self, key: Key, request: DirectRequest, said: Any, left_out: tuple[str, ...]) -> None:
        """Keep what was built for this content, if it is in it as it was."""
        sent, field = orjson.loads(request.content), key[1]
        if not isinstance(sent, dict) or sent.pop(field, None) != _as_sent(said) or not sent:
            return
        self._kept[key] = Built(request.target, field, orjson.dumps(sent), left_out)


def _as_sent(said: Any) -> Any:
    """LiteLLM leaves out a message's content that is null, as beside calls."""
    if isinstance(said, str):
        return said
    return [
        {name: value for name, value in message.items() if name != "content"}
        if message.get("content", "") is None
        else message
        for message in said
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


def _is_text(message: Any) -> bool:
    """Whether a message is one text, and nothing else."""
    return (
        isinstance(message, dict)
        and message.keys() == _OF_A_TEXT
        and message["role"] in _SPEAKERS
        and type(message["content"]) is str
        and not message["content"].isspace()
        and message["content"] != ""
    )


# Whose messages LiteLLM passes on as they are. For the last four it may change others.
_PASSED: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("openai", "hosted_vllm", "openrouter", "groq", "together_ai", "fireworks_ai"), _is_plain),
    **dict.fromkeys(("azure", "deepseek", "mistral", "xai"), _is_text),
}
_WITH_PROMPTS = frozenset({"openai", "hosted_vllm"})


def _is_passed(provider: str, field: str, said: Any) -> bool:
    """Whether LiteLLM passes the content of a request on to `provider` as it is."""
    if field == PROMPT:
        return provider in _WITH_PROMPTS and type(said) is str  # a list of them may become one
    is_passed = _PASSED.get(provider)
    return field == MESSAGES and is_passed is not None and isinstance(said, list) and all(map(is_passed, said))


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
