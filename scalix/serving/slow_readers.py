"""Ends connections whose client does not read what is written for it."""

import fcntl
import struct
import termios
from asyncio import AbstractEventLoop, TimerHandle, WriteTransport

# A client that reads less within the time of patience is taken for gone.
LEAST_BYTES = 4_096


class WriteWatch:
    """Watches one transport, and ends the connection when less than `LEAST_BYTES` are read in `patience_s`."""

    def __init__(self, transport: WriteTransport, loop: AbstractEventLoop, patience_s: float) -> None:
        self._transport = transport
        self._loop = loop
        self._patience_s = patience_s
        self._waiting_bytes = 0
        self._timer: TimerHandle | None = None

    def begin(self) -> None:
        """Watch from now on: the client has to read before more is written, or the answer is complete."""
        # What is in the system's buffer costs no memory of this process.
        if self._timer is None and self._transport.get_write_buffer_size():
            self._look_later()

    def stop(self) -> None:
        """Stop watching: the client has read, or the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._waiting_bytes = self._unread_bytes()
        self._timer = self._loop.call_later(self._patience_s, self._look) if self._waiting_bytes else None

    def _look(self) -> None:
        self._timer = None
        waiting_bytes = self._unread_bytes()
        # More than before: another answer has been written since.
        if self._waiting_bytes - LEAST_BYTES < waiting_bytes <= self._waiting_bytes:
            self._transport.abort()
        else:
            self._look_later()

    def _unread_bytes(self) -> int:
        """What waits in the transport, and in the system's own buffer for the socket: some megabytes, of which the
        transport is told only when a third of them have gone."""
        connection = self._transport.get_extra_info("socket")
        try:
            kernel = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        except (OSError, ValueError, AttributeError):
            return self._transport.get_write_buffer_size()
        return self._transport.get_write_buffer_size() + int(struct.unpack("i", kernel)[0])
