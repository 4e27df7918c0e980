"""The usage of a stream, which OpenAI's clients ask for by `stream_options`."""

from collections.abc import Mapping, MutableMapping
from typing import Any

_OPTIONS, _USAGE = "stream_options", "include_usage"


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether a body asks for it."""
    options = body.get(_OPTIONS)
    return isinstance(options, dict) and options.get(_USAGE) is True


def ask_for_usage(body: MutableMapping[str, Any]) -> None:
    """Have the provider state it, whether the client wants it or not."""
    options = body.get(_OPTIONS)
    body[_OPTIONS] = {**(options if isinstance(options, dict) else {}), _USAGE: True}
