"""Replaces workers whose event loop hangs: they live, and answer nobody."""

import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output

# A worker says this often that its loop turns.
BEAT_EVERY_S = 1.0
# More than this between two looks counts as this: the launcher itself was held up, and the worker maybe with it.
_LONGEST_STEP_S = 1.0
# After SIGABRT, on which a worker writes where it hangs.
_LAST_WORDS_S = 2.0


class Watchdog:
    """Ends workers that have said nothing for `after_s` seconds; with 0 none. They are then started again as others
    that have died. One that a debugger holds is left alone."""

    def __init__(self, after_s: float, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._after_s = after_s
        self._output = output
        self._clock = clock
        self._silent_s: dict[int, float] = {}
        self._looked_at_s = clock()

    def look(self, workers: Iterable[Child]) -> None:
        """To be called every second or more often."""
        now_s = self._clock()
        step_s, self._looked_at_s = min(now_s - self._looked_at_s, _LONGEST_STEP_S), now_s
        before, self._silent_s = self._silent_s, {}
        for worker in workers if self._after_s else ():
            if worker.is_ready and worker.identity is not None and not worker.heard():
                pid = worker.identity.pid
                silent_s = before.get(pid, 0.0)
                self._silent_s[pid] = silent_s + step_s
                self._judge(worker, pid, silent_s, silent_s + step_s)

    def _judge(self, worker: Child, pid: int, before_s: float, silent_s: float) -> None:
        if before_s <= self._after_s < silent_s:
            if _is_traced(pid):
                self._silent_s[pid] = 0.0
                return
            self._output.say(
                worker.spec.name,
                f"its event loop has hung for {self._after_s:g} s, so it answers nobody: it is ended and replaced; "
                "the log has the place in the code",
            )
            worker.send(signal.SIGABRT)
        elif silent_s > self._after_s + _LAST_WORDS_S:
            worker.send(signal.SIGKILL)


def _is_traced(pid: int) -> bool:
    """Whether a debugger holds the process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "TracerPid:\t" in status and "TracerPid:\t0\n" not in status
