"""The shutdown: workers finish their requests, then the helpers are stopped, and the store last."""

import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output
from scalix.launch.processes.patience import AFTER_CUT_S
from scalix.launch.processes.signals import HURRY_SIGNAL, STOP_SIGNALS, SignalInbox
from scalix.launch.processes.watchdog import Watchdog

if TYPE_CHECKING:
    from scalix.launch.embedded.store_child import StoreChild

# A worker has gone this long after the last request may have been cut, or is killed.
WORKERS_S = AFTER_CUT_S + 0.3
# In development everything is gone within 10 s: workers by 8.3 s, the demo provider within 0.5 s, the store with what
# is left.
TOTAL_S = AFTER_CUT_S + 1.8
HELPERS_S = 0.5
_LEAST_FOR_STORE_S = 1.0
_TICK_S = 0.1
SAY_EVERY_S = 10.0


class Drain:
    """One shutdown, in which requests in flight end by themselves, of a worker that `watchdog` finds well. A further
    stop signal cuts them; they are settled all the same. `note` gets their number whenever it has changed."""

    def __init__(self, output: Output, inbox: SignalInbox, watchdog: Watchdog, note: Callable[[int], None]) -> None:
        self._output = output
        self._inbox = inbox
        self._watchdog = watchdog
        self._note = note
        self._in_flight = 0
        self._say_at_s = 0.0

    def run(
        self,
        workers: Sequence[Child],
        helpers: Sequence[Child],
        store: "StoreChild | None",
        drain_s: float,
        *,
        hurry: bool = False,
    ) -> None:
        """Returns when every child has gone. What is in flight has `drain_s`, with `hurry` no time."""
        began = time.monotonic()
        if not all(worker.has_ended() for worker in workers):
            how = "requests in flight are cut" if hurry else "requests in flight are finished first"
            again = "" if hurry else " (Ctrl-C again to cut them)"
            self._output.say("launcher", f"stopping: {how}{again}")
        self._say_at_s = began + SAY_EVERY_S
        self._end_workers(workers, began + drain_s, hurry=hurry)
        self._end(helpers, time.monotonic() + HELPERS_S)
        if store:
            store.stop(max(_LEAST_FOR_STORE_S, began + drain_s + TOTAL_S - time.monotonic()))

    def _end_workers(self, workers: Sequence[Child], deadline_s: float, *, hurry: bool) -> None:
        _send(workers, signal.SIGTERM)
        hurried = False
        while not all(worker.has_ended() for worker in workers) and time.monotonic() < deadline_s + WORKERS_S:
            if hurry and not hurried:
                hurried, deadline_s = True, min(deadline_s, time.monotonic())
                _send(workers, HURRY_SIGNAL)
            self._watchdog.look(workers)
            self._tell(sum(worker.in_flight for worker in workers))
            hurry = bool(STOP_SIGNALS.intersection(self._inbox.wait(_TICK_S))) or hurry
        self._end(workers, 0.0)

    def _tell(self, in_flight: int) -> None:
        if in_flight != self._in_flight:
            self._in_flight = in_flight
            self._note(in_flight)
        if in_flight and time.monotonic() >= self._say_at_s:
            self._say_at_s = time.monotonic() + SAY_EVERY_S
            self._output.say("launcher", waits_for(in_flight))

    def _end(self, children: Sequence[Child], deadline_s: float) -> None:
        _send(children, signal.SIGTERM)
        while not all(child.has_ended() for child in children) and time.monotonic() < deadline_s:
            self._inbox.wait(_TICK_S)
        for child in children:
            if not child.has_ended():
                self._output.say("launcher", f"{child.spec.name} did not end in time and is killed")
                child.send(signal.SIGKILL)
        while not all(child.has_ended() for child in children):
            self._inbox.wait(_TICK_S)


def waits_for(in_flight: int) -> str:
    """The line for the operator."""
    return f"waiting for {in_flight} request{'' if in_flight == 1 else 's'} in flight"


def _send(children: Sequence[Child], signum: signal.Signals) -> None:
    for child in children:
        child.send(signum)
