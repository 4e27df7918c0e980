"""Writes lines to the log file and to the terminal, in threads: a slow disk or terminal holds up nothing else."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import re2

from scalix.domain.redaction.known_secrets import KnownSecrets
from scalix.launch.processes.line_shapes import for_people, for_programs
from scalix.launch.processes.logfile import RotatingLog

_QUEUE_LINES = 20_000
_COLOURS = re2.compile(rb"\x1b\[[0-9;]*m")
_CONTROL = bytes(code for code in (*range(32), 127) if code != ord("\t"))


class Sink:
    """A thread that writes queued lines. When it can't keep up, the oldest are dropped, and their number is written; as
    is that of those which could not be written, once they can. `tell` hears when that begins."""

    def __init__(
        self,
        name: str,
        write: Callable[[bytes], None],
        queue_lines: int = _QUEUE_LINES,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._write = write
        self._tell = tell
        self._unwritten = 0
        self._why = ""
        self._queue: deque[bytes] = deque()
        self._queue_lines = queue_lines
        self._lost = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue one line. Never waits for the writing."""
        with self._changed:
            if self._closing:
                return
            if len(self._queue) >= self._queue_lines:
                self._queue.popleft()
                self._lost += 1
            self._queue.append(line)
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, within `timeout_s`, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                lines = list(self._queue)
                self._queue.clear()
                lost, self._lost = self._lost, 0
            if lost:
                lines.insert(0, b"[%d lines lost: written faster than they could be taken]\n" % lost)
            self._write_all(lines)

    def _write_all(self, lines: list[bytes]) -> None:
        for start in range(0, len(lines), 64):
            notice = b"[%d lines lost: %s]\n" % (self._unwritten, self._why.encode()) if self._unwritten else b""
            try:
                self._write(notice + b"".join(lines[start : start + 64]))
            except OSError as error:
                # A full disk or a closed terminal: the gateway matters more than its log.
                if not self._unwritten:
                    self._why = error.strerror or type(error).__name__
                    self._tell(f"can't be written: {self._why}; lines are lost until it can, the gateway goes on")
                self._unwritten += len(lines) - start
                return
            self._unwritten = 0


class Output:
    """What the launcher and its children say. The terminal gets less than the log when `quiet` or not `verbose`."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self.verbose = verbose
        self._environments: list[dict[str, str]] = []
        self._file: Sink | None = None
        self._log: RotatingLog | None = None
        self._terminal: Sink | None = Sink("terminal", _write_all_to(1))
        self._redact: Callable[[bytes], bytes] = KnownSecrets()
        self._as_json = False

    def open_log(self, log: RotatingLog, *, as_json: bool = False) -> None:
        """Write everything to `log` too from now on; `as_json`, as one JSON object a line, to the terminal too."""
        self._log, self._as_json = log, as_json
        self._file = Sink("log", log.write, tell=lambda text: self._to_terminal("log", text.encode()))

    def keep_secret(self, environment: Mapping[str, str]) -> None:
        """Replace the secrets in `environment` in every line from now on, beside those of the environments before: of
        them processes may still run."""
        if (known := dict(environment)) not in self._environments:
            self._environments.append(known)
            self._redact = KnownSecrets(*self._environments)

    def say(self, label: str, text: str) -> None:
        """Write one line of the launcher's own, such as `store     embedded valkey 9.1.2`."""
        self._emit("launcher" if self._as_json else label, text.encode(), terminal=not self._quiet, logger=label)

    def fail(self, text: str) -> None:
        """Write one line to standard error and to the log: why the gateway does not run."""
        self._emit("launcher", text.encode(), terminal=False, level="ERROR")
        self.flush_terminal()
        print(text, file=sys.stderr, flush=True)

    def block(self, lines: Iterable[str]) -> None:
        """Write the start block to the terminal, in quiet mode too: for programs its first line, to the log too."""
        if self._as_json:
            self.say("launcher", next(line for line in lines if line))
        elif self._terminal:
            self._terminal.put("".join(f"{line}\n" for line in lines).encode())

    def from_child(self, label: str, line: bytes, *, terminal: bool) -> None:
        """Write one line of a child's; `terminal` says whether it is for the terminal too."""
        # A log line may hold what a client sent, which must not control the terminal of whoever reads it.
        line = _COLOURS.sub(b"", line).translate(None, delete=_CONTROL)
        self._emit(label, line, terminal=(terminal or self.verbose) and not self._quiet)

    def leave_terminal(self) -> None:
        """Write nothing to the terminal from now on, as when the gateway has gone into the background."""
        terminal, self._terminal = self._terminal, None
        if terminal:
            terminal.close(timeout_s=1.0)

    def flush_terminal(self) -> None:
        """Write what is queued for the terminal, before something else writes to it."""
        if self._terminal:
            self.leave_terminal()
            self._terminal = Sink("terminal", _write_all_to(1))

    def close(self) -> None:
        if self._terminal:
            # A terminal that is held up (Ctrl-S) does not hold up the end.
            self._terminal.close(timeout_s=0.5)
        if self._file:
            self._file.close()
        if self._log:
            self._log.close()

    def _emit(self, label: str, text: bytes, *, terminal: bool, logger: str = "", level: str = "INFO") -> None:
        kept, shown = self._shapes(label, text, logger, level)
        if self._file:
            self._file.put(kept)
        if terminal and self._terminal:
            self._terminal.put(shown)

    def _to_terminal(self, label: str, text: bytes) -> None:
        if self._terminal:
            self._terminal.put(self._shapes(label, text, label, "WARNING")[1])

    def _shapes(self, label: str, text: bytes, logger: str, level: str) -> tuple[bytes, bytes]:
        """A line for the log and for the terminal."""
        if not self._as_json:
            return for_people(label, self._redact(text))
        line = for_programs(label, text, self._redact, logger=logger, level=level)
        return line, line


def _write_all_to(fd: int) -> Callable[[bytes], None]:
    # Not sys.stdout: a terminal that is held up (Ctrl-S) would then hold up the interpreter's exit on its lock.
    def write(chunk: bytes) -> None:
        while chunk:
            chunk = chunk[os.write(fd, chunk) :]

    return write
