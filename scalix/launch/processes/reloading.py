"""What a running gateway does at a reload: it reads its files again, and all is put in force, or nothing changes."""

import signal
from collections.abc import Callable
from pathlib import Path

from scalix.launch.config.policy_file import write_policy
from scalix.launch.problems import LaunchError
from scalix.launch.processes.child import ChildSpec
from scalix.launch.processes.crew import Crew
from scalix.launch.processes.output import Output
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.reload import Change, prepared
from scalix.launch.processes.runfile import POLICY_FILE, ReloadEntry

Specs = Callable[[Plan, int], list[ChildSpec]]
Note = Callable[[ReloadEntry], None]


class Reloading:
    """The plan in force, and how another takes its place. `specs` writes what workers read, and says how they are
    started; `note` tells the outcome to who has asked."""

    def __init__(
        self, plan: Plan, crew: Crew, output: Output, specs: Specs, note: Callable[[ReloadEntry], None]
    ) -> None:
        self.plan = plan
        self.number = 0
        self._crew = crew
        self._output = output
        self._specs = specs
        self._note = note
        self._wanted = False
        self._before: Plan | None = None
        """What was in force before the workers that are being replaced."""

    @property
    def policy_path(self) -> Path:
        return self.plan.settings.state_dir / POLICY_FILE

    def ask(self) -> None:
        """Have a reload begin with the next step."""
        self._wanted = True

    def step(self) -> None:
        """Do what is due now."""
        failure, self._crew.replacements.failure = self._crew.replacements.failure, ""
        if self._crew.is_renewing:
            if failure and self._before:
                self._take_back(self._before, failure)
            return
        self._before = None
        if self._wanted:
            self._wanted = False
            self._reload()

    def _reload(self) -> None:
        self.number += 1
        change, outcome = prepared(self.plan, self.number)
        if change:
            try:
                self._put_in_force(change)
            except LaunchError as error:
                outcome = ReloadEntry(self.number, problems=tuple(map(str, error.problems)))
        self._tell(outcome)

    def _put_in_force(self, change: Change) -> None:
        """Tell the workers that serve, or have them replaced; one that starts reads the policy by itself. Raises
        `LaunchError`."""
        before = self.plan
        if change.replaces:
            specs = self._specs(change.plan, self.number)
            self.plan, self._before = change.plan, before
            self._crew.renew(specs)
            return
        write_policy(self.policy_path, self.number, change.plan.config.policy)
        self.plan = change.plan
        for worker in self._crew.workers:
            if worker.is_ready:
                worker.send(signal.SIGHUP)

    def _take_back(self, before: Plan, failure: str) -> None:
        """The first of the new workers has not come up, so that nobody is to be replaced."""
        if not self._crew.take_back():
            return  # some have, and the others are tried again
        self.plan, self._before = before, None
        problems: tuple[str, ...] = (f"the new workers can't be started: {failure}",)
        try:
            self._specs(before, self.number)
        except LaunchError as error:
            problems += tuple(map(str, error.problems))
        self._tell(ReloadEntry(self.number, problems=problems))

    def _tell(self, outcome: ReloadEntry) -> None:
        for line in (*outcome.problems, *outcome.notes):
            self._output.say("reload", line)
        if outcome.problems:
            self._output.say("reload", "nothing was changed")
        self._note(outcome)
