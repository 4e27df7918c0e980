"""What a client may have meant by the name of a model that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

# Comparing takes up to 50 us for each name, and finding those that begin alike 2 us: a mistyped name costs less than a
# millisecond.
MOST_LOOKED_AT = 100
MOST_COMPARED = 8
_LONGEST = 64
_LEAST_ALIKE = 0.6


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`Did you mean 'gpt-4'? `, or nothing. `names` are those that the client may use."""
    if len(name) > _LONGEST:
        return ""
    typed = _folded(name)
    known = {_folded(other): other for other in islice(names, MOST_LOOKED_AT) if len(other) <= _LONGEST}
    alike = sorted((other for other in known if other[:1] == typed[:1]), key=lambda other: -_same_start(typed, other))
    near = get_close_matches(typed, alike[:MOST_COMPARED], n=1, cutoff=_LEAST_ALIKE)
    return f"Did you mean '{known[near[0]]}'? " if near else ""


def _same_start(one: str, other: str) -> int:
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _folded(name: str) -> str:
    """Without what people write in one way or the other: the provider before it, capitals, spaces."""
    return name.rpartition("/")[2].casefold().replace(" ", "-").replace("_", "-")
