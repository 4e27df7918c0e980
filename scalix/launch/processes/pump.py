"""Reads the output of all children in one thread, so that no child ever waits for a reader."""

import os
import selectors
import threading
import time
from collections.abc import Callable

LONGEST_LINE_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024

OnLine = Callable[[bytes], None]


class LineReader:
    """Cuts bytes into lines of at most `longest` bytes. The rest of a line is dropped, and its length noted."""

    def __init__(self, on_line: OnLine, longest: int = LONGEST_LINE_BYTES) -> None:
        self._on_line = on_line
        self._longest = longest
        self._partial = b""
        self._dropped = 0

    def feed(self, chunk: bytes) -> None:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._extend(line)
            self._finish()
        self._extend(rest)

    def end(self) -> None:
        """Hand over what is left as a line: the stream has ended."""
        if self._partial:
            self._finish()

    def _extend(self, piece: bytes) -> None:
        room = self._longest - len(self._partial)
        self._partial += piece[:room]
        self._dropped += max(0, len(piece) - room)

    def _finish(self) -> None:
        line = self._partial.rstrip(b"\r")
        if self._dropped:
            line += b" [%d more bytes]" % self._dropped
        self._partial, self._dropped = b"", 0
        if line:
            self._on_line(line)


class PipePump:
    """Reads all pipes in one thread. `watch` may be called from any thread."""

    def __init__(self) -> None:
        # By epoll, to which a pipe may be added while the thread waits in it.
        self._selector = selectors.EpollSelector()
        self._reading = threading.Lock()
        self._closing = False
        threading.Thread(target=self._run, name="pump", daemon=True).start()

    def watch(self, fd: int, on_line: OnLine) -> threading.Event:
        """Read `fd`, and close it at its end. The event is set when all of its lines have been handed over."""
        ended = threading.Event()
        self._selector.register(fd, selectors.EVENT_READ, (LineReader(on_line), ended))
        return ended

    def catch_up(self, timeout_s: float = 1.0) -> None:
        """Hand over all that the pipes hold now, in this thread, or what can be within `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        with self._reading:
            while time.monotonic() < deadline_s and (ready := self._selector.select(0)):
                for key, _ in ready:
                    self._read(key.fd, *key.data)

    def close(self, timeout_s: float = 1.0) -> None:
        """Hand over what the pipes still hold, within `timeout_s`, and end. Those that a grandchild keeps open are not
        waited for."""
        self._closing = True
        self.catch_up(timeout_s)

    def _run(self) -> None:
        while not self._closing:
            self._selector.select()
            self.catch_up()

    def _read(self, fd: int, reader: LineReader, ended: threading.Event) -> None:
        if chunk := os.read(fd, _CHUNK_BYTES):
            reader.feed(chunk)
            return
        reader.end()
        self._selector.unregister(fd)
        os.close(fd)
        ended.set()
