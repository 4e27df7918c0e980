"""Reads the prompt of a request, and counts its tokens.

The demo provider's tokens are exact by definition: a text has ceil(UTF-8 bytes / 4) tokens. It counts

- each text part of each message, instruction, prompt and input, a call's arguments and a tool's result among them;
- 4 for each message, and 3 for the request as a whole (chat completions, responses, messages);
- `tools`, as compact JSON, like a text; an image, a file or sound: 85 each;
- an array of token numbers: its length.

The output has one token for each delta, which is one word unless told otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from scalix_demo.problem import BadRequestError

PER_MESSAGE_TOKENS: Final = 4
PER_REQUEST_TOKENS: Final = 3
PER_ATTACHMENT_TOKENS: Final = 85

_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "refusal", "thinking"})
_CAP_NAMES = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
    "embeddings": (),
}


def text_tokens(text: str) -> int:
    """Tokens of one text: a quarter of its UTF-8 bytes, rounded up."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 3) // 4


@dataclass(slots=True)
class Prompt:
    """The texts of a request (for directives) and its tokens."""

    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    inputs: int = 1  # prompts of a completion, inputs of an embedding

    def text(self, text: str) -> None:
        self.texts.append(text)
        self.tokens += text_tokens(text)

    def json(self, value: object) -> None:
        self.tokens += (len(orjson.dumps(value)) + 3) // 4

    def content(self, content: object) -> None:
        """A message's content: a text, or a list of parts."""
        if isinstance(content, str):
            self.text(content)
        elif isinstance(content, list):
            for part in content:
                self._part(part)
        elif content is not None:
            raise BadRequestError("content must be a string or a list of parts", "messages")

    def _part(self, part: object) -> None:
        if isinstance(part, str):
            self.text(part)
            return
        if not isinstance(part, dict):
            raise BadRequestError("a content part must be an object", "messages")
        kind = part.get("type")
        if kind in _TEXT_TYPES:
            text = part.get("refusal" if kind == "refusal" else "thinking" if kind == "thinking" else "text")
            if not isinstance(text, str):
                raise BadRequestError(f"a part of type {kind} needs a text", "messages")
            self.text(text)
        elif kind == "tool_result":
            self.content(part.get("content"))
        elif kind == "tool_use":
            self.json(part.get("input"))
        else:
            self.tokens += PER_ATTACHMENT_TOKENS

    def message(self, message: object) -> None:
        if not isinstance(message, dict):
            raise BadRequestError("a message must be an object", "messages")
        self.tokens += PER_MESSAGE_TOKENS
        self.content(message.get("content"))
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self.json(call.get("function") if isinstance(call, dict) else call)


def read_prompt(route: str, body: dict[str, Any]) -> Prompt:
    """The prompt of a request to `route` (`chat`, `completions`, `embeddings`, `responses`, `messages`).

    Raises BadRequestError if something that the route needs is missing or has the wrong type.
    """
    prompt = Prompt()
    _READ[route](prompt, body)
    if body.get("tools"):
        prompt.json(body["tools"])
    return prompt


def _messages(prompt: Prompt, body: dict[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list with at least one message", "messages")
    prompt.tokens += PER_REQUEST_TOKENS
    if body.get("system") is not None:
        prompt.message({"content": body["system"]})
    for message in messages:
        prompt.message(message)


def _responses(prompt: Prompt, body: dict[str, Any]) -> None:
    given = body.get("input")
    prompt.tokens += PER_REQUEST_TOKENS
    if body.get("instructions") is not None:
        prompt.message({"content": body["instructions"]})
    if isinstance(given, str):
        prompt.message({"content": given})
    elif isinstance(given, list) and given:
        for item in given:
            if isinstance(item, dict) and item.get("type") == "function_call":
                prompt.message({"content": item.get("arguments")})
            elif isinstance(item, dict) and item.get("type") == "function_call_output":
                prompt.message({"content": item.get("output")})
            else:
                prompt.message(item)
    else:
        raise BadRequestError("input must be a string or a list of items", "input")


def _texts(name: str) -> Callable[[Prompt, dict[str, Any]], None]:
    """A string, a list of strings, an array of token numbers, or a list of such arrays under `name`."""

    def read(prompt: Prompt, body: dict[str, Any]) -> None:
        given = body.get(name)
        if isinstance(given, str):
            prompt.text(given)
            return
        if not isinstance(given, list) or not given:
            raise BadRequestError(f"{name} must be a string, an array of tokens, or a list of these", name)
        if all(type(item) is int for item in given):
            prompt.tokens += len(given)
            return
        prompt.inputs = len(given)
        for item in given:
            if isinstance(item, str):
                prompt.text(item)
            elif isinstance(item, list) and all(type(token) is int for token in item):
                prompt.tokens += len(item)
            else:
                raise BadRequestError(f"{name} must hold strings or arrays of tokens only", name)

    return read


_READ: dict[str, Callable[[Prompt, dict[str, Any]], None]] = {
    "chat": _messages,
    "messages": _messages,
    "responses": _responses,
    "completions": _texts("prompt"),
    "embeddings": _texts("input"),
}


def output_cap(route: str, body: dict[str, Any]) -> int | None:
    """The most output tokens per choice that the client allows; the smaller of two. Raises BadRequestError."""
    caps = [whole_number(body, name) for name in _CAP_NAMES[route]]
    if route == "messages" and caps[0] is None:
        raise BadRequestError("max_tokens: Field required", "max_tokens")
    return min((cap for cap in caps if cap is not None), default=None)


def whole_number(body: dict[str, Any], name: str, most: int = 10**9) -> int | None:
    """`body[name]` as a number from 1 to `most`; None if it is absent or null. Raises BadRequestError otherwise."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise BadRequestError(f"{name} must be a whole number from 1 to {most}", name)
    return value
