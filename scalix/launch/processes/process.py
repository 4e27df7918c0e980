"""Processes as the launcher knows them: by pid and start time, as a pid alone may be reused."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_STATE, _START_TIME = 0, 19  # fields of /proc/<pid>/stat counted after the `)` that ends the program's name


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process. `start_ticks` is field 22 of /proc/<pid>/stat: clock ticks since boot (proc(5))."""

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        """Whether this process still runs. A zombie does not, nor does another process with the same pid."""
        return start_ticks_of(self.pid) == self.start_ticks

    def send(self, signum: signal.Signals) -> bool:
        """Signal this process, and never another that has got its pid since. False when it has ended.

        Raises PermissionError when the process belongs to another user.
        """
        with contextlib.suppress(ProcessLookupError):
            # A pidfd keeps naming one process, so what is verified after opening it is what gets the signal.
            fd = os.pidfd_open(self.pid)
            try:
                if self.is_alive():
                    signal.pidfd_send_signal(fd, signum)
                    return True
            finally:
                os.close(fd)
        return False


class Adopted:
    """A child of this process that another one has forked for it; has what `Child` needs of a `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; `None` while it runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._code = 1  # something else in this process has waited for it
                return self._code
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send_signal(self, sig: int) -> None:
        """Signal it if it runs. Its pid is not reused before `poll` has seen its end."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)


def start_ticks_of(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else int(fields[_START_TIME])


def identify(pid: int) -> ProcessIdentity | None:
    """The process that has `pid` now; None when there is none."""
    ticks = start_ticks_of(pid)
    return None if ticks is None else ProcessIdentity(pid, ticks)


def myself() -> ProcessIdentity:
    """The calling process."""
    return ProcessIdentity(os.getpid(), start_ticks_of(os.getpid()) or 0)


def describe_exit(code: int | None) -> str:
    """How a process ended, in words: `exit code 1`, or `signal SIGKILL`."""
    if code is None:
        return "no exit code"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
