"""What a client may have meant by the name of a model that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

# Comparing takes some 10 us for each name, so this is what a mistyped one may cost.
MOST_COMPARED = 100
_LONGEST = 64
_LEAST_ALIKE = 0.6


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`Did you mean 'gpt-4'? `, or nothing. `names` are those that the client may use."""
    if len(name) > _LONGEST:
        return ""
    by_folded = {_folded(known): known for known in islice(names, MOST_COMPARED) if len(known) <= _LONGEST}
    near = get_close_matches(_folded(name), by_folded, n=1, cutoff=_LEAST_ALIKE)
    return f"Did you mean '{by_folded[near[0]]}'? " if near else ""


def _folded(name: str) -> str:
    """Without what people write in one way or the other: the provider before it, capitals, spaces."""
    return name.rpartition("/")[2].casefold().replace(" ", "-").replace("_", "-")
