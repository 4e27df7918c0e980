"""Files that were changed and not put in force: what a reload would bring is told before anybody asks for it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from scalix.launch.processes.file_watch import FileWatch
from scalix.launch.processes.reload import prepared

if TYPE_CHECKING:
    from scalix.launch.processes.plan import Plan


class Unapplied:
    """Compares the config and env files with what is in force, once they have changed. `plan` is what was read last;
    `clock` gives seconds, monotonic."""

    def __init__(self, plan: "Plan", clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._watch = FileWatch(_files(plan), clock)
        self._brings: tuple[str, ...] = ()

    def look(self, plan: "Plan") -> tuple[str, ...]:
        """What a reload of `plan`, which is in force, would bring, or the problems that it would find; nothing where it
        would change nothing. The files are looked at every few seconds, and read when they stand still."""
        is_new, self._plan = plan is not self._plan, plan
        if self._watch.has_changed(_files(plan), now=is_new) or is_new:
            change, outcome = prepared(plan, 0)
            self._brings = change.brings if change else outcome.problems
        return self._brings


def _files(plan: "Plan") -> set[Path]:
    return {*plan.config.files, *plan.environment.sources}
