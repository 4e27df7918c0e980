"""Files that were changed and not put in force: what a reload would bring is told before anybody asks for it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scalix.launch.processes.reload import prepared

if TYPE_CHECKING:
    from scalix.launch.processes.plan import Plan

LOOK_EVERY_S = 2.0
_Stamp = tuple[tuple[str, int, int], ...]


class Unapplied:
    """Compares the config and env files with what is in force, once they have changed. `plan` is what was read last;
    `clock` gives seconds, monotonic."""

    def __init__(self, plan: "Plan", clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._clock = clock
        self._looked_s = clock()
        self._stamp = self._seen = _stamp(plan)
        self._brings: tuple[str, ...] = ()

    def look(self, plan: "Plan") -> tuple[str, ...]:
        """What a reload of `plan`, which is in force, would bring, or the problems that it would find; nothing where it
        would change nothing. The files are looked at every few seconds, and read when they stand still."""
        now_s = self._clock()
        if plan is self._plan and now_s - self._looked_s < LOOK_EVERY_S:
            return self._brings
        self._looked_s = now_s
        before, self._seen = self._seen, _stamp(plan)
        is_new, self._plan = plan is not self._plan, plan
        if is_new or self._seen == before != self._stamp:
            self._stamp = self._seen
            change, outcome = prepared(plan, 0)
            self._brings = change.brings if change else outcome.problems
        return self._brings


def _stamp(plan: "Plan") -> _Stamp:
    return tuple(_of_files({*plan.config.files, *plan.environment.sources}))


def _of_files(files: set[Path]) -> Iterator[tuple[str, int, int]]:
    for file in sorted(files):
        try:
            found = file.stat()
        except OSError:
            yield str(file), 0, 0
        else:
            yield str(file), found.st_mtime_ns, found.st_size
