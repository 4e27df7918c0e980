"""Names of models beyond those that stand in the config one by one: wildcards, second names, and lists of patterns."""

from fnmatch import fnmatchcase
from functools import lru_cache

import re2

LONGEST_NAME = 128
NOT = "!"
_LITERAL = str.maketrans({"[": "[[]", "?": "[?]"})  # names hold these; of a pattern only `*` means something
_DEPLOYMENT = re2.compile(r"[0-9a-f]{64}")  # an id that LiteLLM makes, by which it takes one
_SERVABLE = re2.compile(r"[A-Za-z0-9._:/@+\[\]-]+")


def is_servable(name: str) -> bool:
    """Whether a wildcard may serve a name: no other could be meant by it, on any way that it takes."""
    if len(name) > LONGEST_NAME or ".." in name or _DEPLOYMENT.fullmatch(name):
        return False
    return bool(_SERVABLE.fullmatch(name))


def filled_in(pattern: str, name: str) -> str | None:
    """What stands for the `*` of `pattern` in `name`; `None` where it does not fit."""
    before, star, after = pattern.partition("*")
    if not star or len(name) <= len(before) + len(after) or not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]


def fits(pattern: str, name: str) -> bool:
    """Whether `name` is `pattern`, each `*` of which stands for any text."""
    return name == pattern or ("*" in pattern and fnmatchcase(name, pattern.translate(_LITERAL)))


@lru_cache(maxsize=4_096)
def permits(patterns: tuple[str, ...], name: str) -> bool:
    """Whether a list of names and patterns has `name`. The most exact that fits decides; behind a `!` it says no."""
    if name in patterns:
        return True
    fitting = [pattern for pattern in patterns if fits(pattern.removeprefix(NOT), name)]
    return bool(fitting) and not max(fitting, key=_exactness).startswith(NOT)


def _exactness(pattern: str) -> tuple[bool, int, bool]:
    name = pattern.removeprefix(NOT)
    return "*" not in name, len(name), pattern.startswith(NOT)
