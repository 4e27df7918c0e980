"""Prints what the gateway answered: JSON and CSV for programs, tables and records for people."""

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scalix.cli.columns import columns_of
from scalix.cli.fitting import Table, fitted, whole
from scalix.cli.widths import plain, width_of, wrapped

_BARS = "▁▂▃▄▅▆▇█"
_LEAST_FOR_SERIES = 3


def print_json(value: Any) -> None:
    """Print one JSON document, for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_text(options: argparse.Namespace, text: str) -> None:
    """Print what belongs to a table and is not in it: beside the file where the table is CSV."""
    out = sys.stderr if _is_csv(options) else sys.stdout
    print("\n".join(_within_screen(plain(text))), file=out)


def print_record(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print one record for people: a line for each of its fields."""
    width = max(len(name) for name, _ in rows)
    lines = [plain(title)]
    screen = _screen()
    for name, value in rows:
        text = plain(value)
        parts = [text] if screen is None else wrapped(text, max(8, screen - width - 4))
        lines += [f"  {name if not place else '':<{width}}  {part}".rstrip() for place, part in enumerate(parts)]
    print("\n".join(lines))


def print_rows(
    options: argparse.Namespace,
    title: str,
    names: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    nothing: str = "",
    *,
    in_csv: Sequence[str] = (),
) -> None:
    """Print rows as a table of the fields `names`: as CSV if that was asked for (then of those `in_csv`, if they are
    others), else as wide as the terminal, or, where there is none, a row a line. `nothing` is for no rows."""
    listed = list(rows)
    if _is_csv(options):
        from scalix.edge.tables import csv_of  # it takes longer to load than all else here

        sys.stdout.write(csv_of(listed, in_csv or names).decode())
    elif listed:
        columns = columns_of(names)
        cells = [column.cells([row.get(column.name) for row in listed]) for column in columns]
        print("\n".join(_lines(title, whole(columns, list(zip(*cells, strict=True))))))
    elif nothing:
        print("\n".join(_within_screen(plain(nothing))))


def print_series(title: str, values: Sequence[float]) -> None:
    """Print a series as a line of bars, where there is a terminal that can show them."""
    screen, most = _screen(), max(values, default=0)
    if (
        screen is None
        or len(values) < _LEAST_FOR_SERIES
        or most <= 0
        or "utf" not in (sys.stdout.encoding or "").lower()
    ):
        return
    text = f"  {_rounded(min(values))} to {_rounded(most)}"
    shown = values[-max(_LEAST_FOR_SERIES, screen - width_of(title) - width_of(text) - 1) :]
    bars = "".join(_BARS[min(len(_BARS) - 1, int(len(_BARS) * max(0.0, value) / most))] for value in shown)
    print(f"{title} {bars}{text}")


def _rounded(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _is_csv(options: argparse.Namespace) -> bool:
    return bool(getattr(options, "csv", False))


def _screen() -> int | None:
    """How many columns there are; `None` where nobody looks, as in a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _within_screen(text: str) -> list[str]:
    screen = _screen()
    return [text] if screen is None else wrapped(text, screen, " ")


def _lines(title: str, table: Table) -> list[str]:
    screen = _screen()
    above = [""] if title.startswith("\n") else []
    head = [*above, *_within_screen(plain(title.lstrip("\n")))]
    if screen is None:
        return [*head, *table.lines()]
    shown = fitted(table, screen)
    if shown is None:
        return [*head, *_records(table, screen)]
    lines = [*head, *shown.lines()]
    if shown.left_out:
        left_out = ", ".join(shown.left_out)
        lines += wrapped(f"no room for {left_out}: --csv and --json have all", screen, " ")
    return lines


def _records(table: Table, screen: int) -> list[str]:
    """Each row as a record, for a terminal that has no room for a table."""
    lines = []
    for row in zip(*table.cells, strict=True):
        lines.append("─" * min(screen, 8))
        for column, cell in zip(table.columns, row, strict=True):
            lines += wrapped(f"{column.head}: {cell}", screen)
    return lines
