"""The lines that requests leave in the log, written by a thread: one for each request, which says what was asked, how
it ended and how long it took, and one for each failure of a provider. No prompt, no key."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from scalix.domain.errors import GatewayError
from scalix.domain.log_lines import json_line, named, text_line
from scalix.edge.asgi import Scope
from scalix.edge.floods import WINDOW_S, Floods
from scalix.edge.routes import shown_route
from scalix.service.exchange.exchanges import Exchange
from scalix.service.identity.callers import Caller
from scalix.service.tracing.request_traces import TRACE, RequestTrace

# Where the edge notes in a scope what it finds out on the way: an `Asked`.
ASKED = "scalix_asked"
_GATHER_S = 0.2
# Up to this many bytes a pipe takes whole, however many write to it (PIPE_BUF).
_WHOLE_BYTES = 4096
# Programs ask these every second. That they were answered well is no news, only that this has changed.
_WATCHED = frozenset({"/health/liveliness", "/health/readiness", "/metrics"})
# Those that are told; any other word may be a secret of the client's.
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Asked:
    """Who is charged for a metered request, where a route has led it, and from its admission on the exchange."""

    caller: Caller
    routed: str = ""
    exchange: Exchange | None = None


def code_told(scope: Scope, error: GatewayError | None) -> str:
    """The code of what a request has ended with, if that was an error: `error`, or what an admitted one was told."""
    if error is not None:
        return error.code
    asked: Asked | None = scope.get(ASKED)
    return asked.exchange.told_code if asked is not None and asked.exchange is not None else ""


def pseudonyms(secret: str) -> Callable[[str], str]:
    """What makes of a subject the name that stands for it in logs and traces, keyed with `secret`."""
    key = hashlib.sha256(secret.encode()).digest()
    return lambda subject: hashlib.blake2b(subject.encode(), key=key, digest_size=6).hexdigest()


class _Line(NamedTuple):
    """What a line says. `told` stands in its message already, and is a field of its own for programs."""

    unix_s: float
    level: str
    logger: str
    message: str
    fields: dict[str, Any]
    told: Mapping[str, Any] = {}


class AccessLog:
    """Collects lines and has a thread of its own write them. `secret` keys the pseudonyms that stand for users.

    Of many alike refusals or failures in ten seconds the first are written, and the others counted. `unix_s` gives Unix
    time; without `each_request` only providers' failures have lines.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        secret: str,
        *,
        floods: Floods | None = None,
        unix_s: Callable[[], float] = time.time,
        as_json: bool = False,
        each_request: bool = True,
    ) -> None:
        self._write = write
        self._pseudonym = pseudonyms(secret)
        self._floods = floods or Floods()
        self._unix_s = unix_s
        self._shown = _for_programs if as_json else _for_people
        self._each_request = each_request
        self._unwell: set[str] = set()  # of what is watched, what was last answered with a fault
        self._lines: list[_Line] = []
        self._filled = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def note(
        self, scope: Scope, request_id: str, status: int, took_s: float, error: GatewayError | None = None
    ) -> None:
        """Queue the line of a request that has ended; status 0 for a client that left unanswered. `error` is what it
        was refused with."""
        if not self._each_request or (scope["path"] in _WATCHED and self._is_as_before(scope["path"], status)):
            return
        code, asked = code_told(scope, error), scope.get(ASKED)
        if status >= 400 and not self._floods.takes(f"{status} {code}" if code else str(status)):
            return
        method, route = scope["method"] if scope["method"] in METHODS else "-", shown_route(scope)
        # The id stands before the code, behind which the redaction of lines would take it for a key's.
        fields: dict[str, Any] = {"duration_ms": round(took_s * 1000, 1), "id": request_id}
        if code:
            fields["code"] = code
        if error is not None:
            fields |= _why(error)
        if asked is not None:
            self._add_asked(fields, asked)
        trace: RequestTrace | None = scope.get(TRACE)
        if trace is not None and trace.shown_id:
            fields["trace"] = trace.shown_id
        head, told = f"{method} {route} {status or '-'}", {"method": method, "route": route, "status": status or None}
        self._put(_Line(self._unix_s(), "INFO", "access", head, fields, told))

    def failed(self, kind: str, level: str, message: str, described: Callable[[], dict[str, Any]]) -> None:
        """Queue the line of a provider's failure, with what `described` says of it: called if it is written."""
        if self._floods.takes(kind):
            self._put(_Line(self._unix_s(), level, "provider", message, described()))

    def close(self) -> None:
        """Write what is queued, and end."""
        self._tell_left_out(now=True)
        self._closing = True
        self._filled.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _is_as_before(self, path: str, status: int) -> bool:
        """Whether an answer says nothing new of what is watched. Refusals are the client's, and told each."""
        if not (status == 200 or status >= 500):
            return False
        was_unwell, is_unwell = path in self._unwell, status >= 500
        (self._unwell.add if is_unwell else self._unwell.discard)(path)
        return was_unwell is is_unwell

    def _tell_left_out(self, *, now: bool = False) -> None:
        for kind, count in self._floods.ended(now=now):
            said = f"and {count:,} more like this in {WINDOW_S:.0f} s: {kind}"
            self._put(_Line(self._unix_s(), "INFO", "access", said, {"kind": kind, "left_out": count}))

    def _put(self, line: _Line) -> None:
        self._lines.append(line)
        if self._thread is None:
            # Not before the first line: a process that forks must not have threads.
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()
        if len(self._lines) == 1:
            self._filled.set()

    def _add_asked(self, fields: dict[str, Any], asked: Asked) -> None:
        tier, exchange = asked.caller.tier, asked.exchange
        if exchange is not None and exchange.ending is not None:
            fields["outcome"] = str(exchange.ending.outcome)
            if exchange.ending.error is not None:
                fields["class"] = str(exchange.ending.error)
        fields["user"] = self._pseudonym(str(asked.caller.subject))
        fields["tier"] = tier.name if tier else "-"
        if exchange is None:
            return
        fields["model"], ending = exchange.admission.model, exchange.ending
        if ending is not None and ending.served != fields["model"]:
            fields["served"] = ending.served
        if exchange.attempt.engine:
            fields["engine"] = exchange.attempt.engine
        if exchange.attempt.deployment_id:
            fields["deployment"] = exchange.attempt.deployment_id
        if exchange.failed:
            fields["failed"] = list(exchange.failed.values())
        if ending is not None and (usage := ending.use.usage) is not None:
            fields["prompt_tokens"], fields["completion_tokens"] = usage.prompt_tokens, usage.completion_tokens

    def _run(self) -> None:
        while not self._closing:
            self._filled.wait(timeout=1.0 if self._floods.has_left_out else None)
            if not self._closing:
                time.sleep(_GATHER_S)
                self._tell_left_out()
            self._filled.clear()
            lines, self._lines = self._lines, []
            try:
                self._write_whole(lines)
            except OSError:
                continue  # nobody reads any more; requests matter more than their lines

    def _write_whole(self, lines: list[_Line]) -> None:
        chunk = b""
        for line in lines:
            data = self._shown(line).encode(errors="replace")
            if len(chunk) + len(data) > _WHOLE_BYTES:
                self._write(chunk)
                chunk = b""
            chunk += data
        if chunk:
            self._write(chunk)


def _why(error: GatewayError) -> dict[str, str]:
    """What the code of an error does not say: the limit that was reached, or a reason."""
    limit = error.details.get("limit")
    return {**({"limit": limit} if limit else {}), **({"reason": error.reason} if error.reason else {})}


def _for_programs(line: _Line) -> str:
    fields = {**line.told, **{_NAMES.get(name, name): value for name, value in line.fields.items()}}
    return json_line(line.unix_s, line.level, f"scalix.{line.logger}", line.message, fields)


_NAMES = {"id": "request_id", "class": "error_class", "trace": "trace_id"}


def _for_people(line: _Line) -> str:
    fields = line.fields
    if line.logger != "access":
        return text_line(line.unix_s, f"{line.level} {line.logger}: {line.message}{named(fields)}")
    if "left_out" in fields:
        return text_line(line.unix_s, f"access {line.message}")
    took_ms = fields.pop("duration_ms")
    if "prompt_tokens" in fields:
        fields["tokens"] = f"{fields.pop('prompt_tokens')}+{fields.pop('completion_tokens')}"
    return text_line(line.unix_s, f"access {line.message} {took_ms}ms{named(fields)}")


def to_standard_error(chunk: bytes) -> None:
    """Write to the pipe that the launcher reads."""
    while chunk:
        chunk = chunk[os.write(2, chunk) :]
