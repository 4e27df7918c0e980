"""Signals as something to wait for: they arrive on a descriptor, in the order of their coming."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
RELOAD_SIGNALS = frozenset({signal.SIGHUP, signal.SIGUSR1})
# For a worker: take no more requests, and end when those in flight are answered.
RETIRE_SIGNAL = signal.SIGUSR1
# How a worker ends that could not serve.
EXIT_CANT_LOAD = 70
EXIT_PORT_TAKEN = 98


class SignalInbox:
    """Takes SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGCHLD for as long as it is entered. For the main thread.

    SIGHUP is left ignored where it is, as under nohup, unless `hear_hangup`. When it comes because the terminal has
    gone, it is given out as SIGTERM.
    """

    def __init__(self, *, hear_hangup: bool = False) -> None:
        self._hear_hangup = hear_hangup
        self._had_terminal = _has_terminal()

    def __enter__(self) -> Self:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._old_wakeup = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._old = {
            signum: signal.signal(signum, _only_wake)
            for signum in (*STOP_SIGNALS, *RELOAD_SIGNALS, signal.SIGCHLD)
            if signum != signal.SIGHUP or self._hear_hangup or signal.getsignal(signum) != signal.SIG_IGN
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._read_fd)
        os.close(self._write_fd)

    def fileno(self) -> int:
        return self._read_fd

    def take(self) -> list[signal.Signals]:
        """The signals that have come since the last call."""
        try:
            taken = [signal.Signals(number) for number in os.read(self._read_fd, 4096)]
        except BlockingIOError:
            return []
        if signal.SIGHUP in taken and self._had_terminal and not _has_terminal():
            return [signal.SIGTERM if signum == signal.SIGHUP else signum for signum in taken]
        return taken

    def wait(self, timeout_s: float) -> list[signal.Signals]:
        """Like `take`, after waiting at most `timeout_s` for one."""
        select.select([self._read_fd], [], [], max(0.0, timeout_s))
        return self.take()


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal now."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _only_wake(signum: int, frame: FrameType | None) -> None:
    """The number is written to the inbox by the interpreter itself."""
