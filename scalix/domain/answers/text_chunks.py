"""Chunks of streamed completions that are no chat.

LiteLLM has a usage of zeros in every one of them, and the true one in a chunk of its own; the gateway always asks for
it, and a client that has not asked gets chunks without.
"""

from typing import Any

from scalix.domain.answers.usage_details import without_null_details


def complete_text_chunk(chunk: dict[str, Any], *, with_usage: bool) -> bool:
    """Complete a chunk, in place. Whether it is one for the client: not what would only bring a usage not asked for."""
    usage = chunk.pop("usage", None)
    counted = isinstance(usage, dict) and any(usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    choices = [choice for choice in chunk.get("choices") or () if isinstance(choice, dict)]
    if counted and not any(choice.get("text") or choice.get("finish_reason") for choice in choices):
        chunk["choices"] = choices = []
    if isinstance(usage, dict):
        without_null_details(usage)
    if with_usage:
        chunk["usage"] = usage if counted else None
    for choice in choices:
        choice.setdefault("text", "")
        choice.setdefault("logprobs", None)
        choice.setdefault("finish_reason", None)
    return bool(choices) or (with_usage and counted)
