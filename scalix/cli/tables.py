"""Prints what the gateway answered: JSON for programs, tables and records for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The names of columns in fewer letters.
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
    "cached_percent": "cached %",
    "mean_latency_ms": "mean ms",
    "user_id": "user",
    "key_alias": "alias",
    "key_name": "key",
    "max_budget": "budget",
}
_NUMBERS = frozenset(
    {
        *("seq", "value", "limit value", "used", "reserved", "remaining", "requests", "tokens", "prompt"),
        *("completion", "cached", "reasoning", "cost $", "provider $", "charge $", "margin $", "margin %", "cached %"),
        *("mean ms", "errors", "events", "error rate", "rank"),
    }
)


def print_json(value: Any) -> None:
    """Print one JSON document, for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_record(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print one record for people: a line for each of its fields."""
    width = max(len(name) for name, _ in rows)
    print("\n".join([_plain(title), *(f"  {name:<{width}}  {_plain(value)}".rstrip() for name, value in rows)]))


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], nothing: str | None = "") -> None:
    """Print rows that the gateway answered as a table of `columns`; `nothing` is what to print without rows."""
    heads = [_SHORT.get(name, name.replace("_", " ")) for name in columns]
    print_table(title, heads, [[shown_amount(row.get(name)) for name in columns] for row in rows], nothing)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], nothing: str | None = None) -> None:
    """Print a table for people, as wide as the terminal. `nothing` is what to print in its place without rows."""
    if not rows and nothing is not None:
        print(nothing, end="\n" if nothing else "")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in rows:
        # Names come from outside: no markup in them, and no escape sequence of a terminal.
        table.add_row(*(Text(_plain(cell)) for cell in row))
    Console(soft_wrap=False).print(table)


def shown_amount(value: Any) -> str:
    """A value as tables show it: `1,234`, money to the millionth, `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
