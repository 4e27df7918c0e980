"""What was left out of a request, for the client to read in `x-scalix-dropped`."""

from collections.abc import Iterable

import re2

MOST_NAMES = 20
LONGEST_NAME = 64
_UNPRINTABLE = re2.compile(r"[^!-+\--~]")  # and the comma, which stands between two names


class Dropped:
    """The names of fields. They are foreign texts, and may be many: the first are kept, the rest counted."""

    __slots__ = ("_names", "_others")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: list[str] = []
        self._others = 0
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Fields more."""
        for name in names:
            if len(self._names) < MOST_NAMES:
                self._names.append(_UNPRINTABLE.sub("?", name[:LONGEST_NAME]) or "?")
            else:
                self._others += 1

    def and_(self, names: Iterable[str]) -> "Dropped":
        """These and others."""
        both = Dropped(self._names)
        both._others = self._others
        both.add(names)
        return both

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __bool__(self) -> bool:
        return bool(self._names)

    def __str__(self) -> str:
        more = [f"+{self._others}"] if self._others else []
        return ", ".join([*self._names, *more])
