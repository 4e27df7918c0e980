"""Puts new workers in the place of old ones, one at a time, so that requests find somebody who serves throughout."""

import time
from collections.abc import Callable, Iterator

from scalix.launch.processes.child import Child, ChildSpec, obituary
from scalix.launch.processes.cores import WORKER_MIB, memory_mib
from scalix.launch.processes.output import Output
from scalix.launch.processes.signals import RETIRE_SIGNAL

_AGAIN_AFTER_S = 10.0


class Replacements:
    """The workers that are coming or going. `make` makes a worker, not started; `room` says whether there is memory for
    one more."""

    def __init__(
        self,
        make: Callable[[ChildSpec], Child],
        output: Output,
        *,
        room: Callable[[], bool] = lambda: memory_mib() >= WORKER_MIB,
    ) -> None:
        self.failure = ""
        """Why the last new worker has not come up; empty for none. For the caller to take away."""
        self._make = make
        self._output = output
        self._room = room
        self._coming: tuple[Child, Child] | None = None
        """A worker that is not ready yet, and the one that it will replace."""
        self._retiring: list[Child] = []
        self._unstarted: Child | None = None
        """A worker for whose memory the one before it has to end first."""
        self._not_before_s = 0.0
        self._waits = False

    @property
    def is_busy(self) -> bool:
        return bool(self._coming or self._retiring)

    @property
    def in_flight(self) -> int:
        """How many requests the workers that are going wait for."""
        return sum(child.in_flight for child in self._retiring)

    def all(self) -> Iterator[Child]:
        """The children that are coming or going, and not among those that serve."""
        if self._coming:
            yield self._coming[0]
        yield from self._retiring

    def retire(self, child: Child) -> None:
        """See to the end of a child that somebody else has told to end."""
        self._retiring.append(child)

    def begin(self, replaced: Child) -> bool:
        """Start a worker in the place of `replaced`. Returns whether it could be started."""
        incoming = self._make(replaced.spec)
        try:
            incoming.start()
        except OSError as error:
            self._not_before_s = time.monotonic() + _AGAIN_AFTER_S
            self._output.say("launcher", f"can't start a worker: {error}")
            return False
        self._coming = incoming, replaced
        return True

    def step(self, workers: list[Child], *, may_start: bool = True) -> bool:
        """Do what is due now: a new worker is put into `workers` when it is ready, and one that runs by an older spec
        than its own is replaced. Returns whether one came or went."""
        gone = [child for child in self._retiring if child.has_ended()]
        self._retiring = [child for child in self._retiring if child not in gone]
        if self._unstarted and gone:
            self._unstarted.next_start_s = time.monotonic()
            self._unstarted = None
        if self._coming:
            return self._watch(workers, *self._coming) or bool(gone)
        due = next((worker for worker in workers if worker.is_ready and worker.is_outdated), None)
        if due and may_start and time.monotonic() >= self._not_before_s and all(one.is_ready for one in workers):
            return self._replace(workers, due) or bool(gone)
        return bool(gone)

    def _replace(self, workers: list[Child], due: Child) -> bool:
        if self._room() or (len(workers) == 1 and not self._retiring):
            self._waits = False
            return self.begin(due)
        if self._retiring:
            # There may be room when they have ended. Reload after reload would else fill the memory with workers whose
            # streams go on.
            if not self._waits:
                self._output.say(due.spec.name, "its replacement waits for memory, which workers that end still have")
            self._waits = True
            return False
        self._unstarted = self._make(due.spec)
        self._put(workers, self._unstarted, due)
        return True

    def _watch(self, workers: list[Child], incoming: Child, replaced: Child) -> bool:
        if incoming.is_ready:
            self._put(workers, incoming, replaced)
        elif incoming.check_alive():
            return False
        else:
            self._not_before_s = time.monotonic() + _AGAIN_AFTER_S
            self.failure = obituary(incoming)
            self._output.say(incoming.spec.name, "its replacement has not come up; it serves on")
        self._coming = None
        return True

    def _put(self, workers: list[Child], incoming: Child, replaced: Child) -> None:
        workers[workers.index(replaced)] = incoming
        replaced.send(RETIRE_SIGNAL)
        self._retiring.append(replaced)
