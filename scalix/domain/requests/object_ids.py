"""Ids of what a provider keeps (answers and their items, conversations, files, containers): where they stand in a body,
and the tag that binds one to its user.

A provider knows one account, the operator's: whoever has an id of another user's could go on with that user's
conversation or read that user's file. What was encrypted for a later request, such as reasoning, is bound too.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import re2

_TAG_BYTES = 15  # no padding in base64
_MARK = "_own"
_TAGGED = re2.compile(r"(?s)(.+)(" + _MARK + r"[\w-]{20})")

# Fields whose text is an id, and those with a list of such texts, wherever they stand.
_IDS = frozenset(
    {
        *("previous_response_id", "response_id", "conversation", "item_id", "approval_request_id"),
        *("file_id", "container", "container_id", "vector_store_id", "skill_id"),
    }
)
_ENCRYPTED = frozenset({"encrypted_content", "encrypted_index"})
_LISTS = frozenset({"file_ids", "vector_store_ids"})
# Fields whose object, or whose objects, have an `id` of that kind.
_HOLDERS = frozenset({"conversation", "container", "prompt", "audio", "voice", "input", "output", "item", "response"})
# Files that a provider keeps under a URL: Gemini's.
_URLS = frozenset({"url", "uri", "image_url", "file_url", "file_uri", "fileUri", "file_id", "file_data"})
_KEPT_AT = ("https://generativelanguage.googleapis.com", "http://generativelanguage.googleapis.com")
_LONGEST_KEPT_AT = max(map(len, _KEPT_AT))
# What LiteLLM wraps the encrypted reasoning of another format in, where Anthropic's has a signature.
_SIGNED = "litellm_encrypted_reasoning:"
# What a program wrote or is to write: an id there is the program's.
_PROGRAMS = frozenset(
    {
        *("parameters", "input_schema", "input_examples", "json_schema", "schema", "arguments", "env"),
        *("logit_bias", "metadata", "usage", "logprobs"),
    }
)
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
# Input items that say all themselves, with or without their id.
_WHOLE_ITEMS = frozenset(
    {
        *("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
        *("computer_call_output", "local_shell_call_output", "shell_call_output", "apply_patch_call_output"),
        "mcp_approval_response",
    }
)
_Step = tuple[Any, str | int]  # the steps before it, and a name or a position
_LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where an id stands: `holder[name]`. `is_optional`: what it names is all there beside it. `is_encrypted`: it is no
    id, but a text that only the provider can read."""

    holder: Any
    name: Any
    is_optional: bool
    is_encrypted: bool
    _steps: Any

    @property
    def text(self) -> str:
        """The id."""
        return str(self.holder[self.name])

    @property
    def path(self) -> str:
        """Such as `input[0].content[1].file_id`."""
        steps, path = (self._steps, self.name), ""
        while steps and len(path) < _LONGEST_PATH:
            steps, step = steps
            path = f"[{step}]{path}" if isinstance(step, int) else f".{step[:_LONGEST_PATH]}{path}"
        return path.removeprefix(".")[:_LONGEST_PATH]


def places(body: Any, holder: str = "") -> Iterator[Place]:
    """Every id in a request, an answer or an event. `holder` is the name of the field that `body` would stand in."""
    stack: list[tuple[Any, str, Any]] = [(body, holder, None)]
    while stack:
        node, within, steps = stack.pop()
        if isinstance(node, dict):
            kind = node.get("type")
            is_call = isinstance(kind, str) and kind in _CALLS
            for name, value in node.items():
                if isinstance(value, str):
                    if value and _is_id(node, kind, within, name, value):
                        is_optional = name == "id" and within == "input" and _is_whole(node, kind)
                        yield Place(node, name, is_optional, name not in _IDS and name != "id", steps)
                elif isinstance(value, dict | list) and name not in _PROGRAMS and not (is_call and name == "input"):
                    stack.append((value, name, (steps, name)))
        elif within in _LISTS:
            for index, value in enumerate(node):
                if isinstance(value, str):
                    yield Place(node, index, False, False, steps)
        elif not {dict, list}.isdisjoint(map(type, node)):
            stack.extend(
                (value, within, (steps, index)) for index, value in enumerate(node) if isinstance(value, dict | list)
            )


def _is_id(node: dict[str, Any], kind: Any, within: str, name: str, value: str) -> bool:
    if name in _URLS and "://" in value[:8]:
        return value[:_LONGEST_KEPT_AT].lower().startswith(_KEPT_AT)
    if name in _IDS:
        return not (name == "skill_id" and kind == "anthropic") and value[:5] != "data:"
    if name == "id":
        return within in _HOLDERS or bool(kind == "item_reference")
    if name in _ENCRYPTED:
        return True
    if name == "data":
        return bool(kind == "redacted_thinking")
    return name == "signature" and value.startswith(_SIGNED)


def _is_whole(item: dict[str, Any], kind: Any) -> bool:
    if kind is None:
        return "role" in item
    return isinstance(kind, str) and (
        kind in _WHOLE_ITEMS or (kind == "reasoning" and bool(item.get("encrypted_content")))
    )


def bound(key: bytes, subject: str, text: str) -> str:
    """The id as it is given to `subject`. The tag tells nothing to whoever has no `key`."""
    digest = hmac.digest(key, f"{len(subject)}:{subject}{text}".encode("utf-8", "surrogatepass"), sha256)
    return f"{text}{_MARK}{urlsafe_b64encode(digest[:_TAG_BYTES]).decode()}"


def unbound(key: bytes, subject: str, text: str) -> tuple[str, bool]:
    """The id as the provider knows it, and whether it was given to `subject`."""
    found = _TAGGED.fullmatch(text)
    if found is None:
        return text, False
    plain = str(found[1])
    return plain, hmac.compare_digest(bound(key, subject, plain).encode(), text.encode("utf-8", "surrogatepass"))
