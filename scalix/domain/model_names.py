"""Matches names of models with wildcards and with lists of patterns."""

from fnmatch import fnmatchcase
from functools import lru_cache

import re2

LONGEST_NAME = 128
NOT = "!"
_LITERAL = str.maketrans({"[": "[[]", "?": "[?]"})  # names may have these; in a pattern only `*` is special
_DEPLOYMENT = re2.compile(r"[0-9a-f]{64}")  # LiteLLM's own id of a deployment, which it accepts as a name
_SERVABLE = re2.compile(r"[A-Za-z0-9._:/@+\[\]-]+")


def is_servable(name: str) -> bool:
    """Whether a wildcard may serve a name: nothing on the way can take it for another name."""
    is_odd = len(name) > LONGEST_NAME or ".." in name or _DEPLOYMENT.fullmatch(name)
    return not is_odd and bool(_SERVABLE.fullmatch(name))


def filled_in(pattern: str, name: str) -> str | None:
    """The part of `name` that the `*` of `pattern` stands for; `None` if the name does not match."""
    before, star, after = pattern.partition("*")
    if not star or len(name) <= len(before) + len(after) or not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]


def fits(pattern: str, name: str) -> bool:
    """Whether `name` matches `pattern`, in which each `*` stands for any text."""
    return name == pattern or ("*" in pattern and fnmatchcase(name, pattern.translate(_LITERAL)))


@lru_cache(maxsize=4_096)
def permits(patterns: tuple[str, ...], name: str) -> bool:
    """Whether a list of names and patterns permits `name`. The most exact match decides; with a `!` it excludes."""
    if name in patterns:
        return True
    fitting = [pattern for pattern in patterns if fits(pattern.removeprefix(NOT), name)]
    return bool(fitting) and not max(fitting, key=_exactness).startswith(NOT)


def _exactness(pattern: str) -> tuple[bool, int, bool]:
    name = pattern.removeprefix(NOT)
    return "*" not in name, len(name), pattern.startswith(NOT)
