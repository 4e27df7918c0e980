"""Fields that an answer must have though they are null, fields that it may not have then, and fields that no client
gets to see. All in place."""

from collections.abc import Collection, Iterable
from typing import Any

from scalix.domain.json_values import mapped

# Who has served for OpenRouter, Groq's number of the request, and the address of vLLM's other half.
_OF_THE_OPERATOR = ("provider", "x_groq", "kv_transfer_params")


def with_nulls(holder: dict[str, Any], names: Iterable[str]) -> None:
    """Add a null for each of `names` that is missing."""
    for name in names:
        holder.setdefault(name, None)


def without_nulls(holder: dict[str, Any], but: Collection[str] = ()) -> None:
    """Remove every null, except under the names in `but`."""
    for name in [name for name, value in holder.items() if value is None and name not in but]:
        del holder[name]


def without_null_details(usage: dict[str, Any]) -> None:
    """Remove every null from a usage and its details: OpenAI's description has none there."""
    without_nulls(usage)
    for value in usage.values():
        if isinstance(value, dict):
            without_nulls(value)


def without_operators(answer: dict[str, Any]) -> None:
    """Remove what is between the operator and a provider: who that is, and what its account pays."""
    for name in _OF_THE_OPERATOR:
        answer.pop(name, None)
    usage = mapped(answer.get("usage"))
    for name in [name for name in usage if "cost" in name or name == "is_byok"]:
        del usage[name]
