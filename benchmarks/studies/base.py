"""A study: a benchmark that is more than one table of turns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers.base import Running


@dataclass(frozen=True, slots=True)
class Setting:
    """What a study gets. `running` are the started peers by name, `folder` is its own; `quick`: measure less."""

    running: Mapping[str, Running]
    folder: Path
    provider_url: str
    rounds: int
    quick: bool
    note: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Findings:
    """A study's text in Markdown, its raw figures, and by name the figures that have a goal."""

    text: str
    raw: Any
    shown: Mapping[str, float]


class Study(Protocol):
    """One section of the page. `peers` must be running; those that could not be had are left out. What is
    `only_when_named` takes too long for a run of everything."""

    name: str
    title: str
    peers: tuple[str, ...]
    only_when_named: bool

    def run(self, setting: Setting) -> Findings:
        """Raises `BenchmarkError`."""
        ...
