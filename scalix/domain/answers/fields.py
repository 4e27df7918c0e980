"""Fields that an answer must have though they are null, and fields that it may not have then. All in place."""

from collections.abc import Collection, Iterable
from typing import Any


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
