"""Anthropic's reasons to stop that engines do not translate, as those that say the same and are known."""

import re2

_MARK = b'"model_context_window_exceeded"'
_WINDOW_FULL = re2.compile(rb'("stop_reason"\s*:\s*)' + _MARK)


def with_known_stop_reason(raw: bytes) -> bytes:
    """A message, or an event of one. A full context window cuts an answer as its cap does; left as it is, LiteLLM says
    that the answer is complete."""
    return bytes(_WINDOW_FULL.sub(rb'\1"max_tokens"', raw)) if _MARK in raw else raw
