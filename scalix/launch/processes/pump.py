"""Reads the output of all children in one thread, so that no child ever waits for a reader."""

import contextlib
import os
import selectors
import threading
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
    """One thread that reads all pipes. `watch` may be called from any thread; lines arrive in the pump's thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._added: list[tuple[int, LineReader, threading.Event]] = []
        self._asked: list[threading.Event] = []
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def watch(self, fd: int, on_line: OnLine) -> threading.Event:
        """Read `fd`, and close it at its end. The event is set when all of its lines have been handed over."""
        os.set_blocking(fd, False)
        ended = threading.Event()
        self._added.append((fd, LineReader(on_line), ended))
        os.write(self._wake_write, b"+")
        return ended

    def catch_up(self, timeout_s: float = 1.0) -> None:
        """Return when all that the pipes hold now has been handed over, or after `timeout_s`."""
        caught_up = threading.Event()
        self._asked.append(caught_up)
        os.write(self._wake_write, b"?")
        caught_up.wait(timeout_s)

    def close(self, timeout_s: float = 1.0) -> None:
        """Hand over what the pipes still hold, within `timeout_s`, and end."""
        self._closing = True
        os.write(self._wake_write, b"-")
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            # Closing: what is in the pipes now is read; a pipe that a grandchild keeps open is not waited for.
            closing, asked = self._closing, len(self._asked)
            self._take_added()
            ready = [key for key, _ in self._selector.select(0 if closing or asked else None) if key.data]
            if not ready:
                for caught_up in self._asked[:asked]:
                    caught_up.set()
                del self._asked[:asked]
            if closing and not ready:
                return
            for key in ready:
                self._read(key.fd, *key.data)

    def _take_added(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while self._added:
            fd, reader, ended = self._added.pop(0)
            self._selector.register(fd, selectors.EVENT_READ, (reader, ended))

    def _read(self, fd: int, reader: LineReader, ended: threading.Event) -> None:
        try:
            chunk = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            reader.feed(chunk)
            return
        reader.end()
        self._selector.unregister(fd)
        os.close(fd)
        ended.set()
