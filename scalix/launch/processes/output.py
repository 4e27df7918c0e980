"""Where lines go: to the log file and to the terminal, neither of which may ever hold up a child or the launcher."""

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import re2

from scalix.launch.processes.logfile import RotatingLog

_QUEUE_LINES = 20_000
_LABEL_WIDTH = 10
_SECRET_NAME = re.compile(r"(KEY|SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL)S?(_|$)|_URL$", re.IGNORECASE)
_SHORTEST_SECRET = 8
_SHORTEST_WORD = 4
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
_CONTROL = bytes(code for code in (*range(32), 127) if code != ord("\t"))


class Redactor:
    """Replaces the values of secret variables, a last line of defence for what children write to the log.

    A secret of fewer than eight characters is replaced where it is a word of its own: within others it is a syllable.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        secrets = {secret.encode() for name, value in environment.items() for secret in _secrets_in(name, value)}
        longest_first = sorted(secrets, key=len, reverse=True)
        self._pattern = re2.compile(b"|".join(map(re2.escape, longest_first))) if secrets else None

    def __call__(self, line: bytes) -> bytes:
        if self._pattern is None:
            return line

        def replaced(match: Any) -> bytes:
            found, start, end = match.group(), match.start(), match.end()
            is_word = not _is_word(line[start - 1 : start]) and not _is_word(line[end : end + 1])
            return b"[redacted]" if len(found) >= _SHORTEST_SECRET or is_word else bytes(found)

        return bytes(self._pattern.sub(replaced, line))


def _is_word(neighbour: bytes) -> bool:
    return neighbour.isalnum() or neighbour == b"_"


def _secrets_in(name: str, value: str) -> set[str]:
    if not _SECRET_NAME.search(name):
        return set()
    if "://" in value:
        return {form for secret in _secrets_of_url(value) for form in (secret, unquote(secret)) if form}
    # A path or a plain number is no secret, nor is a short word: replacing it would make the log unreadable.
    is_short_word = len(value) < _SHORTEST_SECRET and (value.isalpha() or len(value) < _SHORTEST_WORD)
    if name.upper().endswith("_URL") or is_short_word or value.startswith(("/", "http")) or value.isdigit():
        return set()
    return {value}


def _secrets_of_url(url: str) -> set[str]:
    """The password of a URL, as it was written, and what its query calls a secret."""
    rest = url.partition("://")[2]
    authority = re2.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in authority and "@" in rest and not authority.rpartition(":")[2].isdigit() and ":" in authority:
        authority = rest  # a password with a slash in it that was not encoded
    password = authority.rpartition("@")[0].partition(":")[2]
    query = rest.partition("?")[2].partition("#")[0]
    fields = (field.partition("=") for field in query.split("&"))
    return {password} | {text for field, _, text in fields if _SECRET_NAME.search(field)}


class Sink:
    """A thread that writes queued lines; when it can't keep up, the oldest are dropped, and their number is written."""

    def __init__(self, name: str, write: Callable[[bytes], None], queue_lines: int = _QUEUE_LINES) -> None:
        self._write = write
        self._queue: deque[bytes] = deque()
        self._queue_lines = queue_lines
        self._lost = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue one line; never blocks on the writing."""
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
            try:
                for start in range(0, len(lines), 64):
                    self._write(b"".join(lines[start : start + 64]))
            except OSError:
                # A full disk or a closed terminal: the gateway matters more than its log.
                continue


class Output:
    """What the launcher and its children say. The terminal gets less than the log when `quiet` or not `verbose`."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self.verbose = verbose
        self._file: Sink | None = None
        self._log: RotatingLog | None = None
        self._terminal: Sink | None = Sink("terminal", _write_all_to(1))
        self._redact: Callable[[bytes], bytes] = Redactor({})

    def open_log(self, log: RotatingLog) -> None:
        """From now on everything goes to `log` too."""
        self._log = log
        self._file = Sink("log", log.write)

    def keep_secret(self, environment: Mapping[str, str]) -> None:
        """From now on the values of the secret variables in `environment` are replaced wherever they turn up."""
        self._redact = Redactor(environment)

    def say(self, label: str, text: str) -> None:
        """One line of the launcher's own, such as `store     embedded valkey 9.1.2`."""
        self._emit(label, text.encode(), terminal=not self._quiet)

    def fail(self, text: str) -> None:
        """One line of trouble, to standard error and to the log."""
        self._to_file("launcher", self._redact(text.encode()))
        self.flush_terminal()
        print(text, file=sys.stderr, flush=True)

    def block(self, lines: Iterable[str]) -> None:
        """The start block: to the terminal as it is, in quiet mode too."""
        if self._terminal:
            self._terminal.put("".join(f"{line}\n" for line in lines).encode())

    def from_child(self, label: str, line: bytes, *, terminal: bool) -> None:
        """One line that a child wrote; `terminal`: whether it is also for the terminal."""
        # What clients send may turn up in a log line, and is not to steer the terminal of whoever reads it.
        line = _COLOURS.sub(b"", line).translate(None, delete=_CONTROL)
        self._emit(label, line, terminal=(terminal or self.verbose) and not self._quiet)

    def leave_terminal(self) -> None:
        """Write nothing to the terminal any more, as once detached."""
        self.flush_terminal()
        if self._terminal:
            self._terminal.close()
            self._terminal = None

    def flush_terminal(self) -> None:
        """Have what is queued for the terminal written before something is written beside it."""
        if self._terminal:
            self._terminal.close(timeout_s=1.0)
            self._terminal = Sink("terminal", _write_all_to(1))

    def close(self) -> None:
        if self._terminal:
            # A terminal that is held up (Ctrl-S) does not hold up the end.
            self._terminal.close(timeout_s=0.5)
        if self._file:
            self._file.close()
        if self._log:
            self._log.close()

    def _emit(self, label: str, text: bytes, *, terminal: bool) -> None:
        text = self._redact(text)
        self._to_file(label, text)
        if terminal and self._terminal:
            self._terminal.put(b"%-*s%s\n" % (_LABEL_WIDTH, label.encode(), text))

    def _to_file(self, label: str, text: bytes) -> None:
        if self._file:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._file.put(b"%s %-*s%s\n" % (now.encode(), _LABEL_WIDTH, label.encode(), text))


def _write_all_to(fd: int) -> Callable[[bytes], None]:
    # Not sys.stdout: a terminal that is held up (Ctrl-S) would then hold up the interpreter's exit on its lock.
    def write(chunk: bytes) -> None:
        while chunk:
            chunk = chunk[os.write(fd, chunk) :]

    return write
