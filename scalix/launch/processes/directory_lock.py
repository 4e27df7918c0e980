"""A lock that keeps two stores away from the files of one state directory."""

import contextlib
import fcntl
import os
import time
from pathlib import Path

from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.process import start_ticks_of


class DirectoryLock:
    """An advisory lock on a file, held as long as any process has the open file that `fd` names.

    The store's server inherits it. So a server that outlives its killed gateway for a moment, to write its last data,
    still keeps a second one away from its files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = -1
        """The descriptor to hand to the child, while the lock is held."""

    def acquire(self, *, patience_s: float = 10.0) -> None:
        """Take the lock. Raises LaunchError, naming the process, when another one holds it.

        Waits at most `patience_s` seconds, and only where the gateway that took it is dead.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + patience_s
        try:
            while not locked(fd):
                holders = [int(word) for word in os.pread(fd, 200, 0).split() if word.isdigit()]
                living = [pid for pid in holders if start_ticks_of(pid) is not None]
                if (living and living[0] == holders[0]) or time.monotonic() >= deadline:
                    raise self._refusal(living)
                time.sleep(0.02)
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd
        self.note(os.getpid())

    def note(self, *pids: int) -> None:
        """Write the pids that have the lock into its file, the gateway's first, for the message of a refusal."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, "\n".join(map(str, pids)).encode() + b"\n", 0)

    def release(self) -> None:
        """Let go. Idempotent. The file stays: removing it would let two processes lock two files of one name."""
        if self.fd >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, 0)
            os.close(self.fd)
            self.fd = -1

    def _refusal(self, living: list[int]) -> LaunchError:
        who = f"process {living[0]}" if living else "another process"
        what = f"this state directory is in use by {who}"
        fix = "stop that gateway, or set SCALIX_STATE_DIR to another directory for a second one"
        return LaunchError((Problem(where=str(self._path.parent), what=what, fix=fix),))


def locked(fd: int) -> bool:
    """Lock the open file of `fd` for this process and those that inherit it. False when another has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
