"""What callers of the Python API give and get: usage in a provider's words, money, and what was recorded."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypedDict

from scalix.domain.tokens.usage import Usage
from scalix.domain.tokens.usage_reading import read_usage

Money = float | int | str | Decimal
Metadata = Mapping[str, Any] | None


class Tracked(TypedDict):
    """What was recorded. The `status` is `duplicate` where the request was recorded before, and nothing has changed."""

    request_id: str
    status: str
    tokens: int
    provider_cost_usd: float
    charge_usd: float


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
