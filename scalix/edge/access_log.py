"""One line per request, written by a thread: what was asked, how it ended, how long it took. No prompt, no key."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from scalix.edge.asgi import Scope
from scalix.edge.routes import shown_path
from scalix.service.exchange.exchanges import Exchange
from scalix.service.identity.callers import Caller
from scalix.service.tracing.request_traces import TRACE, RequestTrace

# Where the edge notes in a scope what it finds out on the way: an `Asked`.
ASKED = "scalix_asked"
# A flood of refusals must not become a flood of lines. Answers of 2xx are never as many.
MOST_REFUSALS_PER_S = 20
_GATHER_S = 0.2
# Up to this many bytes a pipe takes whole, however many write to it (PIPE_BUF).
_WHOLE_BYTES = 4096
# Those that are told; any other word may be a secret of the client's.
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Asked:
    """Who is charged for a metered request, where a route has led it, and from its admission on the exchange."""

    caller: Caller
    routed: str = ""
    exchange: Exchange | None = None


def pseudonyms(secret: str) -> Callable[[str], str]:
    """What makes of a subject the name that stands for it in logs and traces, keyed with `secret`."""
    key = hashlib.sha256(secret.encode()).digest()
    return lambda subject: hashlib.blake2b(subject.encode(), key=key, digest_size=6).hexdigest()


class AccessLog:
    """Collects lines and has a thread of its own write them. `secret` keys the pseudonyms that stand for users.

    Beyond `MOST_REFUSALS_PER_S`, requests that were refused are only counted. `clock` gives seconds, monotonic.
    """

    def __init__(
        self, write: Callable[[bytes], object], secret: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._pseudonym = pseudonyms(secret)
        self._clock = clock
        self._lines: list[str] = []
        self._second = -1
        self._in_second = 0
        self._left_out = 0
        self._filled = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def note(self, scope: Scope, request_id: str, status: int, took_s: float) -> None:
        """Queue the line of a request that has ended; status 0 for a client that left unanswered."""
        if status >= 400:
            second = int(self._clock())
            if second != self._second:
                self._tell_left_out()
                self._second, self._in_second = second, 0
            self._in_second += 1
            if self._in_second > MOST_REFUSALS_PER_S:
                self._left_out += 1
                return
        self._put(self._line(scope, request_id, status, took_s))

    def close(self) -> None:
        """Write what is queued, and end."""
        self._tell_left_out()
        self._closing = True
        self._filled.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._put(f"access and {self._left_out} refusals more\n")
            self._left_out = 0

    def _put(self, line: str) -> None:
        self._lines.append(line)
        if self._thread is None:
            # Not before the first line: a process that forks must not have threads.
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()
        if len(self._lines) == 1:
            self._filled.set()

    def _line(self, scope: Scope, request_id: str, status: int, took_s: float) -> str:
        method = scope["method"] if scope["method"] in METHODS else "-"
        line = f"access {method} {shown_path(scope['path'])} {status or '-'} {took_s * 1000:.1f}ms"
        asked: Asked | None = scope.get(ASKED)
        if asked is not None:
            tier = asked.caller.tier
            line += f" user={self._pseudonym(str(asked.caller.subject))} tier={tier.name if tier else '-'}"
            exchange = asked.exchange
            if exchange is not None:
                model, ending = exchange.admission.model, exchange.ending
                line += f" model={model}"
                if ending is not None and ending.served != model:
                    line += f" served={ending.served}"
                if exchange.attempt.engine:
                    line += f" engine={exchange.attempt.engine}"
                if exchange.attempt.deployment_id:
                    line += f" deployment={exchange.attempt.deployment_id}"
                if exchange.failed:
                    line += f" failed={','.join(exchange.failed.values())}"
                if ending is not None and (usage := ending.use.usage) is not None:
                    line += f" tokens={usage.prompt_tokens}+{usage.completion_tokens}"
        trace: RequestTrace | None = scope.get(TRACE)
        if trace is not None and trace.shown_id:
            line += f" trace={trace.shown_id}"
        return f"{line} id={request_id}\n"

    def _run(self) -> None:
        while not self._closing:
            self._filled.wait()
            if not self._closing:
                time.sleep(_GATHER_S)
            self._filled.clear()
            lines, self._lines = self._lines, []
            try:
                self._write_whole(lines)
            except OSError:
                continue  # nobody reads any more; requests matter more than their lines

    def _write_whole(self, lines: list[str]) -> None:
        chunk = b""
        for line in lines:
            data = line.encode(errors="replace")
            if len(chunk) + len(data) > _WHOLE_BYTES:
                self._write(chunk)
                chunk = b""
            chunk += data
        if chunk:
            self._write(chunk)


def to_standard_error(chunk: bytes) -> None:
    """Write to the pipe that the launcher reads."""
    while chunk:
        chunk = chunk[os.write(2, chunk) :]
