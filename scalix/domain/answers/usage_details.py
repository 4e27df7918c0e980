"""The details of a usage, in which what is not known is left out: OpenAI's description knows no null there."""

from typing import Any


def without_null_details(usage: dict[str, Any]) -> None:
    """Take every null out of a usage and its details."""
    for name, value in list(usage.items()):
        if value is None:
            del usage[name]
        elif isinstance(value, dict):
            for detail in [detail for detail, figure in value.items() if figure is None]:
                del value[detail]
