"""What a launcher writes down of its run, for `--status`, `--stop` and `--reload` to read."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import scalix
from scalix.launch.embedded.store_child import StoreChild
from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.process import ProcessIdentity, myself
from scalix.launch.processes.reload import Reload
from scalix.launch.processes.runfile import Phase, ReloadEntry, RunFile, WorkerEntry, remove_run_file


class RunNotes:
    """Keeps the run file of one run up to date."""

    def __init__(self, first: RunFile, state_dir: Path, output: Output) -> None:
        self._file = first
        self._state_dir = state_dir
        self._output = output

    @classmethod
    def begin(cls, plan: Plan, port: int, log_file: Path, output: Output) -> Self:
        """The notes of a run that starts now."""
        first = RunFile(
            launcher=myself(),
            host=plan.settings.host,
            port=port,
            phase="starting",
            started_at=time.time(),
            version=scalix.__version__,
            store="starting",
            log_file=str(log_file),
            demo=plan.demo,
        )
        return cls(first, plan.settings.state_dir, output)

    @property
    def reloads(self) -> int:
        """How often the config was read anew."""
        return self._file.reload.number if self._file.reload else 0

    def phase(self, phase: Phase) -> None:
        """Note how far the run is, for the next `write`."""
        self._file = self._file.with_phase(phase)

    def reloaded(self, number: int, outcome: Reload) -> None:
        """Note what came of a reload, for the next `write`."""
        self._file = replace(self._file, reload=ReloadEntry(number, outcome.problems, outcome.notes))

    def write(
        self, workers: Iterable[Child], helpers: Iterable[ProcessIdentity | None], store: StoreChild | None
    ) -> None:
        """Write the file, with who runs now and what the store is."""
        self._file = replace(
            self._file,
            workers=tuple(
                WorkerEntry(worker.spec.name, worker.identity, worker.is_ready) for worker in workers if worker.identity
            ),
            helpers=tuple(helper for helper in helpers if helper),
            store=store.description if store else "starting",
            store_socket=store.socket if store else None,
        )
        try:
            self._file.write(self._state_dir)
        except OSError as error:
            # A full disk must not end a gateway that serves.
            self._output.say("launcher", f"can't write the run file, --status will be out of date: {error.strerror}")

    def remove(self) -> None:
        """The run is over."""
        remove_run_file(self._state_dir)
