"""What the doctor has found, and what its checks look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from scalix.launch.problems import Problem
from scalix.launch.processes.gathering import Gathered
from scalix.launch.processes.plan import Plan

Level = Literal["ok", "note", "warning", "problem"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `what` is so at `where`, and `fix` is what to do, empty where there is nothing to."""

    level: Level
    where: str
    what: str
    fix: str = ""

    @classmethod
    def of(cls, problem: Problem, level: Level = "problem") -> "Finding":
        """That of a mistake which the start would name."""
        return cls(level, problem.where, problem.what, problem.fix)


@dataclass(frozen=True, slots=True)
class Case:
    """What is looked at. `offline`: no server is called. `now_s` is in seconds since 1970."""

    found: Gathered
    offline: bool
    now_s: float

    @property
    def state_dir(self) -> Path:
        return self.found.settings.state_dir

    @property
    def plan(self) -> Plan | None:
        """What a start would run, with defaults in place of wrong settings; `None` without a config."""
        found = self.found
        if found.config is None:
            return None
        return Plan(found.settings, found.environment, found.config, found.demo, detached=False, workers_option=None)

    @property
    def production(self) -> bool:
        return self.found.settings.production


Check = Callable[[Case], Iterator[Finding]]
