"""Signals as something to wait for: they arrive on a descriptor, in the order of their coming."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class SignalInbox:
    """Takes SIGINT, SIGTERM, SIGHUP and SIGCHLD for as long as it is entered. For the main thread.

    SIGHUP is left ignored where it is, as under nohup.
    """

    def __enter__(self) -> Self:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._old_wakeup = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._old = {
            signum: signal.signal(signum, _only_wake)
            for signum in (*STOP_SIGNALS, signal.SIGCHLD)
            if not (signum == signal.SIGHUP and signal.getsignal(signum) == signal.SIG_IGN)
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
            return [signal.Signals(number) for number in os.read(self._read_fd, 4096)]
        except BlockingIOError:
            return []

    def wait(self, timeout_s: float) -> list[signal.Signals]:
        """Like `take`, after waiting at most `timeout_s` for one."""
        select.select([self._read_fd], [], [], max(0.0, timeout_s))
        return self.take()


def _only_wake(signum: int, frame: FrameType | None) -> None:
    """The number is written to the inbox by the interpreter itself."""
