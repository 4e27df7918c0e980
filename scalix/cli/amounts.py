"""Figures as tables show them."""

from collections.abc import Mapping
from typing import Any

# The names that answers carry, in fewer letters.
_SHORT = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "cached_tokens": "cached",
    "reasoning_tokens": "reasoning",
    "cost_usd": "cost $",
    "provider_cost_usd": "provider $",
    "charge_usd": "charge $",
    "margin_usd": "margin $",
    "margin_percent": "margin %",
    "mean_latency_ms": "mean ms",
    "error_rate": "error rate",
    "user_id": "user",
}


def column_of(name: str) -> str:
    """The head of a column."""
    return _SHORT.get(name, name.replace("_", " "))


def cells_of(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    """One row of a table."""
    return tuple(shown_amount(row.get(column)) for column in columns)


def shown_amount(value: Any) -> str:
    """`1,234`; amounts of money to the millionth; `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
