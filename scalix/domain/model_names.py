"""Names of models beyond those that stand in the config one by one: wildcards and second names."""

import re2

LONGEST_NAME = 128
_SERVABLE = re2.compile(r"[A-Za-z0-9._:/@+\[\]-]+")


def is_servable(name: str) -> bool:
    """Whether a wildcard may serve a name: no other could be meant by it, on any way that it takes."""
    return len(name) <= LONGEST_NAME and ".." not in name and bool(_SERVABLE.fullmatch(name))


def filled_in(pattern: str, name: str) -> str | None:
    """What stands for the `*` of `pattern` in `name`; `None` where it does not fit."""
    before, star, after = pattern.partition("*")
    if not star or len(name) <= len(before) + len(after) or not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]
