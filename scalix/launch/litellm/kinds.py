"""The four things that can become of a setting of LiteLLM's."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What becomes of a setting here."""

    HONOURED = "honoured"
    TRANSLATED = "translated"
    WITHOUT_EFFECT = "without effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `note`: to what it is translated, why it has no effect and what is nearest to it, or why it is
    refused; empty for what LiteLLM is told as it is. `fix` is what to write instead of one that is refused."""

    kind: Kind
    note: str = ""
    fix: str = ""


Table = dict[str, Setting]


def table(*groups: tuple[Setting, str]) -> Table:
    """The settings by name, from groups of names that have the same fate. Raises `ValueError` for a name in two."""
    found: Table = {}
    for setting, names in groups:
        for name in names.split():
            if name in found:
                raise ValueError(f"{name} is in two groups")
            found[name] = setting
    return found


def honoured(names: str) -> tuple[Setting, str]:
    """LiteLLM is told."""
    return Setting(Kind.HONOURED), names


def translated(note: str, names: str) -> tuple[Setting, str]:
    """LiteLLM is not told; the gateway does it."""
    return Setting(Kind.TRANSLATED, note), names


def without_effect(note: str, names: str) -> tuple[Setting, str]:
    """LiteLLM is not told, and nobody does it."""
    return Setting(Kind.WITHOUT_EFFECT, note), names


def refused(note: str, fix: str, names: str) -> tuple[Setting, str]:
    """The gateway does not start with it."""
    return Setting(Kind.REFUSED, note, fix), names


def by_fate(settings: Table) -> Iterator[tuple[Setting, list[str]]]:
    """The groups of a table again, in its order."""
    groups: dict[Setting, list[str]] = {}
    for name, setting in settings.items():
        groups.setdefault(setting, []).append(name)
    yield from groups.items()
