"""The workers of a gateway, and the process that they are forked from."""

from collections.abc import Iterator, Sequence
from typing import Any

from scalix.launch.processes.child import Child, ChildSpec, Process, downfall
from scalix.launch.processes.output import Output
from scalix.launch.processes.prefork import Preloader
from scalix.launch.processes.pump import PipePump
from scalix.launch.processes.recycling import Recycler
from scalix.launch.processes.replacing import Replacements
from scalix.launch.processes.runfile import WorkerEntry


class Crew:
    """`workers` are those that serve or are to; those that come or go beside them are in `replacements`."""

    def __init__(self, pump: PipePump, output: Output) -> None:
        self.workers: list[Child] = []
        self.preloader: Preloader | None = None
        self._pump = pump
        self._output = output
        self.replacements = Replacements(self._worker, output)
        self._recycler = Recycler(self.replacements, output)

    def hire(self, spec: ChildSpec) -> Child:
        """A further worker, not started."""
        self.workers.append(self._worker(spec))
        return self.workers[-1]

    def make_preloader(self, worker: ChildSpec) -> Preloader | None:
        """The process that workers will be forked from, not started; without it each worker loads everything itself."""
        try:
            self.preloader = Preloader(worker, self._pump, self._output)
        except OSError as error:
            self._output.say("preloader", f"workers load LiteLLM one by one: {error}")
            self.preloader = None
        return self.preloader

    def all(self) -> Iterator[Child]:
        """Every child of the crew that is kept running."""
        if self.preloader:
            yield self.preloader
        yield from self.workers

    def noted(self) -> dict[str, Any]:
        """The fields of the run file that tell of the workers."""
        running = [(worker, worker.identity) for worker in self.workers]
        return {
            "workers": tuple(WorkerEntry(one.spec.name, who, one.is_ready) for one, who in running if who),
            "down": tuple(filter(None, map(downfall, self.workers))),
        }

    @property
    def is_renewing(self) -> bool:
        """Whether workers that serve are still to be replaced."""
        return any(worker.is_outdated for worker in self.workers)

    def renew(self, specs: Sequence[ChildSpec]) -> None:
        """Have each worker replaced by one of these, while the others serve."""
        for worker, spec in zip(self.workers, specs, strict=True):
            worker.spec = spec
        self._renew_preloader()

    def take_back(self) -> bool:
        """Leave it at the workers that serve, if none has been replaced yet. Returns whether that is so."""
        if not all(worker.is_outdated for worker in self.workers):
            return False
        for worker in self.workers:
            worker.spec = worker.runs
        self._renew_preloader()
        return True

    def _renew_preloader(self) -> None:
        if self.preloader is None:
            return
        self.preloader.close()
        self.replacements.retire(self.preloader)
        if fresh := self.make_preloader(self.workers[0].spec):
            try:
                fresh.start()
            except OSError:
                fresh.postpone()

    def step(self, most_mib: int) -> bool:
        """Do what is due now. Returns whether a worker has come or gone."""
        may_start = self.preloader is None or self.preloader.is_ready
        came_or_went = self.replacements.step(self.workers, may_start=may_start)
        return self._recycler.step(self.workers, most_mib) or came_or_went

    def _worker(self, spec: ChildSpec) -> Child:
        return Child(spec, self._pump, self._output, self._fork)

    def _fork(self, spec: ChildSpec, stdout: int, stderr: int, ready: int) -> Process | None:
        return self.preloader.fork(spec, stdout, stderr, ready) if self.preloader else None
