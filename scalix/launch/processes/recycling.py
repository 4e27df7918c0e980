"""Replaces workers that use too much memory. The new worker serves before the old one stops to take requests."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scalix.launch.processes.child import Child, ChildSpec
from scalix.launch.processes.output import Output
from scalix.launch.processes.signals import RETIRE_SIGNAL

LOOK_EVERY_S = 5.0
# A worker that has passed the bound again this soon is replaced later and later: the bound is too low for it.
SOON_S = 600.0
LONGEST_WAIT_S = 3600.0
_MIB = 2**20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_mib(pid: int) -> float:
    """The resident memory of a process in MiB, shared pages included; 0 where it can't be read."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / _MIB
    except (OSError, IndexError, ValueError):
        return 0.0


class Recycler:
    """Replaces workers of more than `most_mib`, one at a time; with 0 none. `make` makes a worker, not started."""

    def __init__(self, most_mib: int, make: Callable[[ChildSpec], Child], output: Output) -> None:
        self._most_mib = most_mib
        self._make = make
        self._output = output
        self._coming: tuple[Child, Child] | None = None
        """A worker that is not ready yet, and the one that it will replace."""
        self._retiring: list[Child] = []
        self._look_at_s = 0.0
        self._wait_s = LOOK_EVERY_S
        self._last_s = -SOON_S

    def all(self) -> Iterator[Child]:
        """The workers that are coming or going, and not among those that serve."""
        if self._coming:
            yield self._coming[0]
        yield from self._retiring

    @property
    def in_flight(self) -> int:
        """How many requests the workers that are going wait for."""
        return sum(child.in_flight for child in self._retiring)

    def step(self, workers: list[Child]) -> bool:
        """Do what is due now; a new worker is put into `workers` when it is ready. Returns whether one came or went."""
        gone = [child for child in self._retiring if child.has_ended()]
        self._retiring = [child for child in self._retiring if child not in gone]
        if self._coming:
            return self._watch(workers, *self._coming) or bool(gone)
        now_s = time.monotonic()
        if self._most_mib and now_s >= self._look_at_s and not self._retiring:
            self._look_at_s = now_s + LOOK_EVERY_S
            return self._look(workers, now_s) or bool(gone)
        return bool(gone)

    def _look(self, workers: list[Child], now_s: float) -> bool:
        if now_s - self._last_s < self._wait_s or not all(worker.is_ready for worker in workers):
            return False
        sizes = {worker: resident_mib(worker.identity.pid) for worker in workers if worker.identity}
        largest = max(sizes, key=lambda worker: sizes[worker], default=None)
        if largest is None or sizes[largest] <= self._most_mib:
            return False
        self._wait_s = min(LONGEST_WAIT_S, 2 * self._wait_s) if now_s - self._last_s < SOON_S else LOOK_EVERY_S
        self._last_s = now_s
        incoming = self._make(largest.spec)
        try:
            incoming.start()
        except OSError as error:
            self._output.say("launcher", f"can't start a worker: {error}")
            return False
        self._coming = incoming, largest
        self._output.say(largest.spec.name, f"has grown to {sizes[largest]:.0f} MiB and is replaced")
        return True

    def _watch(self, workers: list[Child], incoming: Child, replaced: Child) -> bool:
        if incoming.is_ready:
            workers[workers.index(replaced)] = incoming
            replaced.send(RETIRE_SIGNAL)
            self._retiring.append(replaced)
        elif incoming.check_alive():
            return False
        else:
            self._output.say(incoming.spec.name, "its replacement has not come up; it serves on")
        self._coming = None
        return True
