"""Who a process is: a pid alone may be reused, a pid with its start time is one process for ever."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

_STATE, _START_TIME = 0, 19  # fields of /proc/<pid>/stat counted after the `)` that ends the program's name


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process. `start_ticks` is field 22 of /proc/<pid>/stat: clock ticks since boot (proc(5))."""

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie and a stranger with the same pid do not count."""
        return start_ticks_of(self.pid) == self.start_ticks

    def send(self, signum: signal.Signals) -> bool:
        """Signal this very process, never one that has inherited its pid. False when it has gone.

        Raises PermissionError when the process belongs to another user.
        """
        if not hasattr(os, "pidfd_open"):
            if not self.is_alive():
                return False
            os.kill(self.pid, signum)
            return True
        try:
            # A pidfd keeps naming one process, so what is verified after opening it is what gets the signal.
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(fd, signum)
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)
        return True


def start_ticks_of(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None when there is none, or only a zombie."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[_STATE] in "ZX" else int(fields[_START_TIME])
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.Error:
        return None


def identify(pid: int) -> ProcessIdentity | None:
    """The process that has `pid` now; None when there is none."""
    ticks = start_ticks_of(pid)
    return None if ticks is None else ProcessIdentity(pid, ticks)


def myself() -> ProcessIdentity:
    """The calling process."""
    return ProcessIdentity(os.getpid(), start_ticks_of(os.getpid()) or 0)
