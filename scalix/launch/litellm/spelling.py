"""Whether a name is another one with a slip of the pen."""

from collections.abc import Iterable

_SHORTEST = 5
_MOST_LETTERS = 2


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is within two letters of; `None` for none, and for names too short to tell."""
    if len(name) < _SHORTEST:
        return None
    near = {
        other: distance
        for other in known
        if len(other) >= _SHORTEST
        and abs(len(other) - len(name)) <= _MOST_LETTERS
        and (distance := _distance(name, other)) <= _MOST_LETTERS
    }
    return min(near, key=lambda other: near[other]) if near else None


def _distance(one: str, other: str) -> int:
    """How many letters have to be put in, left out, changed, or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        oldest, before = before, row
        row = [i]
        for j, own in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != own))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == own:
                least = min(least, oldest[j - 2] + 1)
            row.append(least)
    return row[-1]
