"""Usage as callers have it: OpenAI's, Anthropic's and the Responses API's, as a mapping or as an SDK's object."""

from collections.abc import Mapping
from typing import Any

from scalix.domain.tokens.usage import Usage, usage_from

_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details")


def usage_of(value: object) -> Usage:
    """The tokens that `value` states. Raises `ValueError` for what states none that can be true."""
    if isinstance(value, Usage):
        return value
    stated = _mapping(value)
    if "prompt_tokens" in stated or "completion_tokens" in stated:
        prompt, completion = stated.get("prompt_tokens"), stated.get("completion_tokens", 0)
    else:
        prompt, completion = stated.get("input_tokens"), stated.get("output_tokens", 0)
    incoming, outgoing = _details(stated, _PROMPT_DETAILS), _details(stated, _COMPLETION_DETAILS)
    read, written = stated.get("cache_read_input_tokens") or 0, stated.get("cache_creation_input_tokens") or 0
    if (
        "input_tokens" in stated
        and _PROMPT_DETAILS[1] not in stated
        and all(isinstance(part, int) for part in (prompt, read, written))
    ):
        # Anthropic counts what came from the cache, or went there, beside the input.
        prompt = prompt + read + written  # type: ignore[operator]
    usage = usage_from(
        prompt,
        completion or 0,
        cached_tokens=incoming.get("cached_tokens") or read,
        cache_write_tokens=written,
        audio_prompt_tokens=incoming.get("audio_tokens") or 0,
        reasoning_tokens=outgoing.get("reasoning_tokens") or 0,
        audio_completion_tokens=outgoing.get("audio_tokens") or 0,
    )
    if usage is None:
        raise ValueError(
            "the usage states no tokens that can be true: give prompt_tokens and completion_tokens (or input_tokens "
            "and output_tokens) as whole numbers, of a prompt of at least one token"
        )
    return usage


def _mapping(value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    found = dump() if callable(dump) else getattr(value, "__dict__", None)
    if not isinstance(found, Mapping):
        raise ValueError(f"usage must be a mapping or a usage object of an SDK, not {type(value).__name__}")
    return found


def _details(stated: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        details = stated.get(name)
        if details is not None:
            return _mapping(details)
    return {}
