"""What a running gateway does at a reload: it reads its files again, and all is put in force, or nothing changes."""

import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scalix.launch.config.policy_file import write_policy
from scalix.launch.problems import LaunchError
from scalix.launch.processes.child import ChildSpec
from scalix.launch.processes.crew import Crew
from scalix.launch.processes.fellows import Call, Fellows
from scalix.launch.processes.output import Output
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.reload import Change, prepared
from scalix.launch.processes.runfile import POLICY_FILE, ReloadEntry

Specs = Callable[[Plan, int], list[ChildSpec]]
Note = Callable[[ReloadEntry], None]


# How long the others have to read their files, and, a little longer, how long they wait for the word.
AGREE_S = 10.0
_WORD_S = 12.0
_HEARD_WITHIN_S = 2.0
_AWAY = "the store does not answer any more, so the others can't be asked"


@dataclass(slots=True)
class _Held:
    """A change that was read, and waits for the other gateways. `leads`: this one has asked them, and decides;
    `asked`: so has an operator here."""

    call: str
    change: Change
    outcome: ReloadEntry
    until_s: float
    leads: bool
    asked: bool

    @property
    def version(self) -> str:
        return self.change.plan.config.policy.version


class Reloading:
    """The plan in force, and how another takes its place. `specs` writes what workers read, and says how they are
    started; `note` tells the outcome to who has asked.

    With `fellows` a change is put in force when all of them have read the same one."""

    def __init__(self, plan: Plan, crew: Crew, output: Output, specs: Specs, note: Note) -> None:
        self.plan = plan
        self.number = 0
        self.fellows: Fellows | None = None
        self._crew = crew
        self._output = output
        self._specs = specs
        self._note = note
        self._wanted = False
        self._held: _Held | None = None
        self._last_call = ""
        self._before: Plan | None = None
        """What was in force before the workers that are being replaced."""

    @property
    def policy_path(self) -> Path:
        return self.plan.settings.state_dir / POLICY_FILE

    @property
    def is_waiting(self) -> bool:
        """Whether other gateways are waited for."""
        return self._held is not None

    @property
    def differing(self) -> tuple[str, ...]:
        """The other gateways of the store that go by another config, each with its version."""
        version, others = self.plan.config.policy.version, self.fellows.others if self.fellows else ()
        return tuple(sorted(f"{one.address} ({one.config})" for one in others if one.config != version))

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
        if self._held and self.fellows:
            self._decide(self._held, self.fellows)
        elif self._wanted:
            self._wanted = False
            self._begin()
        elif self.fellows and (call := self.fellows.heard) and call.act == "read" and call.id != self._last_call:
            self._follow(call, self.fellows)

    def _begin(self) -> None:
        self.number += 1
        change, outcome = prepared(self.plan, self.number)
        fellows = self.fellows
        if change is None:
            self._tell(outcome)
        elif fellows is None or fellows.is_away or not fellows.others:
            if fellows and fellows.is_away:
                alone = "the store does not answer, so other gateways were not asked: reload each of them"
                outcome = replace(outcome, notes=(*outcome.notes, alone))
            self._switch(change, outcome)
        else:
            call = Call(secrets.token_hex(8), fellows.own.address, "read")
            self._hold(_Held(call.id, change, outcome, time.monotonic() + AGREE_S, leads=True, asked=True), fellows)
            fellows.call(call)

    def _follow(self, call: Call, fellows: Fellows, held: _Held | None = None) -> None:
        """Read the files as another gateway has asked. `held` is what was read before, and may be another by now."""
        asked = held is not None and held.asked
        until_s = held.until_s if held and asked else time.monotonic() + _WORD_S
        change, outcome = prepared(self.plan, self.number)
        if change:
            self._hold(_Held(call.id, change, outcome, until_s, leads=False, asked=asked), fellows)
            return
        self._held, self._last_call = None, call.id
        fellows.own = replace(fellows.own, call=call.id, ready="")
        if asked:
            self._tell(outcome)
            return
        for problem in outcome.problems:
            self._output.say("reload", f"asked for by {call.by}: {problem}")

    def _hold(self, held: _Held, fellows: Fellows) -> None:
        self._held, self._last_call = held, held.call
        fellows.own = replace(fellows.own, call=held.call, ready=held.version)

    def _decide(self, held: _Held, fellows: Fellows) -> None:
        heard, is_late = fellows.heard, time.monotonic() >= held.until_s
        if held.leads and fellows.was_overtaken:
            # Another one has called in the same moment, and that call is the one that all have heard.
            held.leads = False
            fellows.call(None)
        if held.leads:
            lacking = [] if fellows.is_away else list(_lacking(held, fellows))
            if not lacking and not fellows.is_away:
                # It hears the word itself as the others do: what the store has not taken, nobody has heard.
                fellows.call(Call(held.call, fellows.own.address, "switch"))
                held.leads, held.until_s = False, max(held.until_s, time.monotonic() + _HEARD_WITHIN_S)
            elif is_late or (not fellows.is_away and all(one.call == held.call for one in fellows.others)):
                fellows.call(None)
                self._give_up(held, fellows, lacking or [_AWAY])
        elif heard and heard.id == held.call and heard.act == "switch":
            self._switch(held.change, held.outcome)
        elif heard and heard.id != held.call and heard.act == "read" and not is_late:
            self._follow(heard, fellows, held)
        elif is_late or (not fellows.is_away and (heard is None or heard.id != held.call)):
            fellows.call(None)
            differ = "the gateways of this store do not have the same config; see the log of the others"
            self._give_up(held, fellows, [_AWAY if fellows.is_away else differ])

    def _give_up(self, held: _Held, fellows: Fellows, problems: Sequence[str]) -> None:
        self._held = None
        # Nobody is to count on this one any more.
        fellows.own = replace(fellows.own, call="", ready="")
        if held.asked:
            self._tell(ReloadEntry(self.number, problems=tuple(problems)))

    def _switch(self, change: Change, outcome: ReloadEntry) -> None:
        held, self._held = self._held, None
        if held and not held.asked:
            self.number += 1
        outcome = replace(outcome, number=self.number)
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
            self._state()
            return
        write_policy(self.policy_path, self.number, change.plan.config.policy)
        self.plan = change.plan
        self._state()
        for worker in self._crew.workers:
            if worker.is_ready:
                worker.send(signal.SIGHUP)

    def _take_back(self, before: Plan, failure: str) -> None:
        """The first of the new workers has not come up, so that nobody is to be replaced."""
        if not self._crew.take_back():
            return  # some have, and the others are tried again
        self.plan, self._before = before, None
        self._state()
        problems: tuple[str, ...] = (f"the new workers can't be started: {failure}",)
        try:
            self._specs(before, self.number)
        except LaunchError as error:
            problems += tuple(map(str, error.problems))
        self._tell(ReloadEntry(self.number, problems=problems))

    def _state(self) -> None:
        """Tell the other gateways what is in force here."""
        if self.fellows:
            self.fellows.own = replace(self.fellows.own, config=self.plan.config.policy.version)

    def _tell(self, outcome: ReloadEntry) -> None:
        for line in (*outcome.problems, *outcome.notes):
            self._output.say("reload", line)
        if outcome.problems:
            self._output.say("reload", "nothing was changed")
        self._note(outcome)


def _lacking(held: _Held, fellows: Fellows) -> Iterator[str]:
    """Who has not read the same config, and why."""
    for one in fellows.others:
        if one.call != held.call:
            yield f"{one.address} has not answered within {AGREE_S:g} s; it may be busy with another reload"
        elif not one.ready:
            yield f"{one.address} can't use its own files: see its log, or run --check there"
        elif one.ready != held.version:
            yield f"{one.address} has another config in its files ({one.ready}, here {held.version}): bring it there"
