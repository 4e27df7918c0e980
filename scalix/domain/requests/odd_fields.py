"""Where a request goes beyond plain text: what to look at first when it can't be put to a provider."""

from collections.abc import Mapping
from typing import Any

import re2

_TEXTS = ("messages", "input", "prompt", "system", "instructions")
# What says nothing that a provider could not understand; the last two are ours.
_SIMPLE = frozenset(
    {
        *("model", "user", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens"),
        *("temperature", "top_p", *_TEXTS, "num_retries", "drop_params"),
    }
)
_ROLES = ("system", "developer", "user", "assistant")
_TEXT_PARTS = ("text", "input_text", "output_text")
_LONGEST_NAME = 100
_WORD = re2.compile(r"[a-z_]+")
_MOST_READ_CHARS = 2_000
_NO_SETTINGS = ("model", "user", "stream")


def odd_field(body: Mapping[str, Any]) -> str | None:
    """The path of the first thing in a body that is more than a text with a role. `None`: the request is so simple that
    a gateway which can't put it to a provider is itself at fault. Never raises on any JSON value."""
    for name in _TEXTS:
        found = _odd_item(name, body.get(name))
        if found is not None:
            return found
    return next(
        (name[:_LONGEST_NAME] for name, value in body.items() if name not in _SIMPLE and value is not None), None
    )


def _odd_item(where: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None
    if not isinstance(value, list):
        return where
    for index, item in enumerate(value):
        place = f"{where}[{index}]"
        if not isinstance(item, dict) or item.get("role") not in _ROLES:
            return place
        for name, inner in item.items():
            if name == "content":
                found = _odd_part(f"{place}.content", inner)
                if found is not None:
                    return found
            elif name != "role" and inner is not None:
                return f"{place}.{name[:_LONGEST_NAME]}"
    return None


def _odd_part(where: str, content: Any) -> str | None:
    if isinstance(content, str):
        return None
    if not isinstance(content, list):
        return where
    for index, part in enumerate(content):
        is_text = isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] in _TEXT_PARTS
        if not is_text or not isinstance(part["text"], str):
            return f"{where}[{index}]"
    return None


def named_field(body: Mapping[str, Any], message: str) -> str | None:
    """The field of a body that a message is about: the one whose name stands first in it. Texts to answer are none."""
    words = {word: place for place, word in reversed(list(enumerate(_WORD.findall(message[:_MOST_READ_CHARS]))))}
    found = [name for name in body if name in words and name not in _TEXTS and name not in _NO_SETTINGS]
    return min(found, key=words.__getitem__, default=None)
