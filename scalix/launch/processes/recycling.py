"""Has workers replaced that use too much memory."""

import os
import time
from pathlib import Path

from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output
from scalix.launch.processes.replacing import Replacements

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
    """Replaces workers of more than `most_mib`, one at a time; with 0 none."""

    def __init__(self, replacements: Replacements, output: Output) -> None:
        self._replacements = replacements
        self._output = output
        self._look_at_s = 0.0
        self._wait_s = LOOK_EVERY_S
        self._last_s = -SOON_S

    def step(self, workers: list[Child], most_mib: int) -> bool:
        """Do what is due now. Returns whether a worker is being replaced from now on."""
        now_s = time.monotonic()
        if not most_mib or now_s < self._look_at_s or self._replacements.is_busy:
            return False
        self._look_at_s = now_s + LOOK_EVERY_S
        if now_s - self._last_s < self._wait_s or not all(worker.is_ready for worker in workers):
            return False
        sizes = {worker: resident_mib(worker.identity.pid) for worker in workers if worker.identity}
        largest = max(sizes, key=lambda worker: sizes[worker], default=None)
        if largest is None or sizes[largest] <= most_mib:
            return False
        self._wait_s = min(LONGEST_WAIT_S, 2 * self._wait_s) if now_s - self._last_s < SOON_S else LOOK_EVERY_S
        self._last_s = now_s
        if not self._replacements.begin(largest):
            return False
        self._output.say(largest.spec.name, f"has grown to {sizes[largest]:.0f} MiB and is replaced")
        return True
