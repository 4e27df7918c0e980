"""Signals that can be waited for: they arrive on a descriptor, in the order in which they came."""

import os
import select
import signal
from contextlib import ExitStack
from typing import Self

# For launcher and workers: end without waiting for the requests in flight.
HURRY_SIGNAL = signal.SIGUSR2
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, HURRY_SIGNAL})
RELOAD_SIGNALS = frozenset({signal.SIGHUP, signal.SIGUSR1})
# For a worker: take no more requests, and end when those in flight are answered.
RETIRE_SIGNAL = signal.SIGUSR1
# The exit codes of a worker that could not serve.
EXIT_CANT_LOAD = 70
EXIT_PORT_TAKEN = 98


class SignalInbox(ExitStack):
    """Takes SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGCHLD for as long as it is entered. For the main thread.

    SIGHUP is left ignored where it is, as under nohup, unless `hear_hangup`. When it comes because the terminal has
    gone, it is given out as SIGTERM.
    """

    def __init__(self, *, hear_hangup: bool = False) -> None:
        super().__init__()
        self._hear_hangup = hear_hangup
        self._had_terminal = _has_terminal()

    def __enter__(self) -> Self:
        self._read_fd, write_fd = os.pipe()
        for fd in (self._read_fd, write_fd):
            os.set_blocking(fd, False)
            self.callback(os.close, fd)
        self.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False))
        for signum in (*STOP_SIGNALS, *RELOAD_SIGNALS, signal.SIGCHLD):
            if signum != signal.SIGHUP or self._hear_hangup or signal.getsignal(signum) != signal.SIG_IGN:
                # The number is written to the inbox by the interpreter itself.
                self.callback(signal.signal, signum, signal.signal(signum, lambda *_: None))
        return self

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
