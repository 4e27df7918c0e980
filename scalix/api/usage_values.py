"""Usage as callers have it: as a mapping or an SDK's object, in the words of OpenAI, Anthropic or Gemini."""

from scalix.domain.tokens.usage import Usage
from scalix.domain.tokens.usage_reading import read_usage


def usage_of(value: object) -> Usage:
    """The tokens that `value` states, read as the gateway reads a provider's. Raises `ValueError` where it states none
    that can be true."""
    usage = value if isinstance(value, Usage) else read_usage(value)
    if usage is None:
        raise ValueError(
            "the usage states no tokens that can be true: give prompt_tokens and completion_tokens (or input_tokens "
            "and output_tokens) as whole numbers, of a prompt of at least one token"
        )
    return usage
