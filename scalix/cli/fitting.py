"""Fits a table into a terminal: what matters least goes first, names are wrapped, and money is always whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from scalix.cli.columns import Column, Kind, full_time, short_time
from scalix.cli.widths import kept_apart, plain, shortened, width_of, wrapped

GAP = "  "
RULE = "─"
_ID_CHARS = 13
_DETAIL = 2  # columns that matter no more than this are empty without a figure, too
# What may be left out, and to how many columns names and texts may be wrapped, step by step, until a table fits.
_WHOLE = 10_000
_STEPS = ((0, _WHOLE, 40), (3, 32, 30), (5, 24, 24), (6, 20, 20), (7, 16, 16), (8, 12, 12), (9, 8, 8))


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is shown: its columns, each with its width, and their cells. `left_out` are the heads of columns
    for which there is no room."""

    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]
    widths: Sequence[int]
    left_out: Sequence[str] = field(default=())

    @property
    def width(self) -> int:
        """How wide it is."""
        return sum(self.widths) + len(GAP) * (len(self.widths) - 1)

    def lines(self) -> list[str]:
        """Its lines, with the heads first."""
        heads = [wrapped(column.head, width) for column, width in zip(self.columns, self.widths, strict=True)]
        most = max(map(len, heads))
        lines = [self._line([[""] * (most - len(head)) + head for head in heads], place) for place in range(most)]
        lines.append(GAP.join(RULE * width for width in self.widths))
        for row in zip(*self.cells, strict=True):
            parts = [self._wrapped(place, cell) for place, cell in enumerate(row)]
            lines += [self._line(parts, place) for place in range(max(map(len, parts)))]
        return lines

    def _wrapped(self, place: int, cell: str) -> list[str]:
        return wrapped(cell, self.widths[place])

    def _line(self, parts: Sequence[Sequence[str]], place: int) -> str:
        texts = []
        for column, part, width in zip(self.columns, parts, self.widths, strict=True):
            text = part[place] if place < len(part) else ""
            room = " " * (width - width_of(text))
            texts.append(room + text if column.is_right else kept_apart(text) + room)
        return GAP.join(texts).rstrip()


def whole(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    """The table as wide as it is, without columns that are empty in all rows."""
    cells = [[plain(row[place]) for row in rows] for place in range(len(columns))]
    kept = [place for place, column in enumerate(columns) if not _is_empty(column, cells[place])] or [0]
    return _measured([columns[place] for place in kept], [cells[place] for place in kept])


def _is_empty(column: Column, cells: Sequence[str]) -> bool:
    nothing = {"", "-", "0"} if column.rank <= _DETAIL else {"", "-"}
    return nothing.issuperset(cells)


def fitted(table: Table, width: int) -> Table | None:
    """The table within `width`; `None` where not even names and money have room."""
    for kind, change in ((Kind.TIME, full_time), (Kind.ID, _short_id), (Kind.TIME, short_time)):
        table = _changed(table, kind, change)
        found = _narrowed(table, width, _WHOLE, _WHOLE)
        if found is not None:
            return found
    for most_rank, names, texts in _STEPS:
        while True:
            found = _narrowed(table, width, names, texts)
            if found is not None:
                return found
            place = _least(table, most_rank)
            if place is None:
                break
            table = _without(table, place)
    return None


def _short_id(cell: str) -> str:
    return shortened(cell, _ID_CHARS)


def _narrowed(table: Table, width: int, names: int, texts: int) -> Table | None:
    """The table with names and texts wrapped, down to so many columns, if it fits then; they get what room there is."""
    least = []
    for column, part, own in zip(table.columns, table.cells, table.widths, strict=True):
        most = {Kind.NAME: names, Kind.TEXT: texts}.get(column.kind, _WHOLE)
        needed = min(most, max(map(width_of, part), default=0))
        least.append(min(own, max(needed, *map(width_of, column.head.split(" ")))))
    room = width - sum(least) - len(GAP) * (len(least) - 1)
    if room < 0:
        return None
    # The narrowest first: most names become whole so.
    for place in sorted(range(len(least)), key=lambda one: table.widths[one] - least[one]):
        more = min(room, table.widths[place] - least[place])
        least[place] += more
        room -= more
    return replace(table, widths=least)


def _least(table: Table, most_rank: int) -> int | None:
    """The column that matters least, of those that may be left out now."""
    places = [place for place, column in enumerate(table.columns) if column.rank <= most_rank and not column.is_needed]
    return min(places, key=lambda place: (table.columns[place].rank, -table.widths[place]), default=None)


def _without(table: Table, place: int) -> Table:
    columns, cells = ([*part[:place], *part[place + 1 :]] for part in (table.columns, table.cells))
    return replace(_measured(columns, cells), left_out=[*table.left_out, table.columns[place].head])


def _changed(table: Table, kind: Kind, change: Callable[[str], str]) -> Table:
    cells = [
        [change(cell) for cell in part] if column.kind is kind else part
        for column, part in zip(table.columns, table.cells, strict=True)
    ]
    return replace(_measured(table.columns, cells), left_out=table.left_out)


def _measured(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    widths = [max(width_of(cell) for cell in (column.head, *part)) for column, part in zip(columns, cells, strict=True)]
    return Table(columns, cells, widths)
