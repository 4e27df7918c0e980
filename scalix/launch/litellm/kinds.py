"""The four things that can become of a setting of LiteLLM's, and the reader of the tables that say which."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What becomes of a setting here.

    Honoured: LiteLLM is told. Translated: LiteLLM is not told, the gateway does it. Without effect: nobody does it.
    Refused: the gateway does not start with it.
    """

    HONOURED = "honoured"
    TRANSLATED = "translated"
    WITHOUT_EFFECT = "without effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Setting:
    """What becomes of one setting. `note` says to what it is translated, or why it has no effect or is refused;
    it is empty for honoured ones. `fix` is what to write instead of a refused one."""

    kind: Kind
    note: str = ""
    fix: str = ""


Table = dict[str, Setting]


def table(text: str) -> Table:
    """Read a table of settings from text.

    A group of settings begins with a line `kind: note | fix`, of which note and fix may be absent; the indented
    lines below it hold their names. `#` begins a comment. Raises `ValueError` for a name in two groups.
    """
    found: Table = {}
    setting = Setting(Kind.HONOURED)
    for line in text.strip().splitlines():
        if line.startswith(" "):
            for name in line.split():
                if found.setdefault(name, setting) is not setting:
                    raise ValueError(f"{name} is in two groups")
        elif not line.startswith("#"):
            kind, _, rest = line.partition(": ")
            note, _, fix = rest.partition(" | ")
            setting = Setting(Kind(kind), note, fix)
    return found


def by_fate(settings: Table) -> Iterator[tuple[Setting, list[str]]]:
    """Yield the groups of a table, in its order."""
    groups: dict[Setting, list[str]] = {}
    for name, setting in settings.items():
        groups.setdefault(setting, []).append(name)
    yield from groups.items()
