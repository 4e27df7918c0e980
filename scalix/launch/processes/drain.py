"""The shutdown: workers finish their requests, then the helpers are stopped, and the store last."""

import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output
from scalix.launch.processes.signals import STOP_SIGNALS, SignalInbox
from scalix.launch.processes.worker import HARD_LIMIT_S

if TYPE_CHECKING:
    from scalix.launch.embedded.store_child import StoreChild

# Everything is gone within 10 s: workers by 8.3 s, the demo provider within 0.5 s, the store with what is left.
TOTAL_S = 9.8
WORKERS_S = HARD_LIMIT_S + 0.3
HURRIED_S = 2.0
HELPERS_S = 0.5
_LEAST_FOR_STORE_S = 1.0
_TICK_S = 0.1


class Drain:
    """One shutdown. A second stop signal cuts the requests in flight, which are settled all the same."""

    def __init__(self, output: Output, inbox: SignalInbox) -> None:
        self._output = output
        self._inbox = inbox

    def run(self, workers: Sequence[Child], helpers: Sequence[Child], store: "StoreChild | None") -> None:
        """Returns when every child has gone."""
        began = time.monotonic()
        if not all(worker.has_ended() for worker in workers):
            self._output.say("launcher", "stopping: requests in flight are finished first (Ctrl-C again to cut them)")
        self._end(workers, began + WORKERS_S, hurry=True)
        self._end(helpers, time.monotonic() + HELPERS_S, hurry=False)
        if store:
            store.stop(max(_LEAST_FOR_STORE_S, began + TOTAL_S - time.monotonic()))

    def _end(self, children: Sequence[Child], deadline: float, *, hurry: bool) -> None:
        for child in children:
            child.send(signal.SIGTERM)
        while not all(child.has_ended() for child in children) and (left_s := deadline - time.monotonic()) > 0:
            arrived = self._inbox.wait(min(_TICK_S, left_s))
            if hurry and STOP_SIGNALS.intersection(arrived):
                hurry = False
                deadline = min(deadline, time.monotonic() + HURRIED_S)
                for child in children:
                    child.send(signal.SIGTERM)
        for child in children:
            if not child.has_ended():
                self._output.say("launcher", f"{child.spec.name} did not end in time and is killed")
                child.send(signal.SIGKILL)
        while not all(child.has_ended() for child in children):
            self._inbox.wait(_TICK_S)
