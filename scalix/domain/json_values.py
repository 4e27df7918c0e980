"""Parts of JSON values that others sent, read without trust in their types: what is of another type counts as empty."""

from typing import Any


def listed(value: object) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list, without its other items."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapped(value: object) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def word(value: object) -> str:
    """`value` if it is a string, else an empty one. A list can be looked up in no table, a string can."""
    return value if isinstance(value, str) else ""
