"""Keeps the run file up to date, which `--status`, `--stop` and `--reload` read."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import scalix
from scalix.launch.embedded.store_child import StoreChild
from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.process import ProcessIdentity, myself
from scalix.launch.processes.runfile import RunFile, WorkerEntry


class RunNotes:
    """The run file of a run that begins now."""

    def __init__(self, plan: Plan, port: int, log_file: Path, output: Output) -> None:
        self._state_dir = plan.settings.state_dir
        self._output = output
        self._file = RunFile(
            launcher=myself(),
            host=plan.settings.host,
            port=port,
            started_at=time.time(),
            version=scalix.__version__,
            log_file=str(log_file),
            demo=plan.demo,
        )

    @property
    def reloads(self) -> int:
        """How often the config was read again."""
        return self._file.reload.number if self._file.reload else 0

    def write(
        self,
        workers: Iterable[Child],
        helpers: Iterable[ProcessIdentity | None],
        store: StoreChild | None,
        **changes: Any,
    ) -> None:
        """Write the file with the children that run and the store. `changes` are other fields, such as `phase`."""
        self._file = replace(
            self._file,
            workers=tuple(
                WorkerEntry(worker.spec.name, worker.identity, worker.is_ready) for worker in workers if worker.identity
            ),
            helpers=tuple(helper for helper in helpers if helper),
            store=store.description if store else "starting",
            store_socket=store.socket if store else None,
            **changes,
        )
        try:
            self._file.write(self._state_dir)
        except OSError as error:
            # A full disk must not end a gateway that serves.
            self._output.say("launcher", f"can't write the run file, --status will be out of date: {error.strerror}")
