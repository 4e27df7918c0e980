"""One request and its answer on the wire: its pace, cuts, and clients that leave."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from scalix_demo.plan import Plan
from scalix_demo.request_log import Entry, RequestLog
from scalix_demo.stream import Stream

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The key in `scope["extensions"]` under which the server gives `close(reset: bool)`, which ASGI does not have.
CLOSE_EXTENSION: Final = "scalix.demo.close"
# After this many deltas without a pause, other requests get a turn and a client that left is noticed.
DELTAS_PER_TURN: Final = 16
DELTAS_PER_KEEP_ALIVE: Final = 5
KEEP_ALIVE: Final = b": keep-alive\r\n\r\n"

_OPENAI_HEADERS = (
    (b"openai-organization", b"demo-org"),
    (b"openai-processing-ms", b"1"),
    (b"openai-version", b"2020-10-01"),
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-limit-tokens", b"2000000"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"x-ratelimit-remaining-tokens", b"1999000"),
    (b"x-ratelimit-reset-requests", b"6ms"),
    (b"x-ratelimit-reset-tokens", b"30ms"),
    (b"set-cookie", b"demo=1; path=/; HttpOnly"),
)
_ANTHROPIC_HEADERS = (
    (b"anthropic-organization-id", b"demo-org"),
    (b"anthropic-ratelimit-requests-limit", b"4000"),
    (b"anthropic-ratelimit-requests-remaining", b"3999"),
    (b"set-cookie", b"demo=1; path=/; HttpOnly"),
)


class ClientLeftError(Exception):
    """The client closed the connection before the end of its answer."""


class Exchange:
    """Sends one answer and keeps its log entry. `anthropic` picks the headers of that API."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, entry: Entry, log: RequestLog) -> None:
        self.entry = entry
        self.anthropic = False
        self._receive = receive
        self._send = send
        self._log = log
        self._close = (scope.get("extensions") or {}).get(CLOSE_EXTENSION)
        self._watch: asyncio.Task[None] | None = None

    async def body(self) -> bytes:
        """The request's body. Raises ClientLeftError."""
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            body += bytes(message.get("body", b""))
            if not message.get("more_body"):
                return body

    async def pause(self, seconds: float | None) -> None:
        """Waits; for ever if None. Raises ClientLeftError as soon as the client is gone."""
        watch = self._watcher()
        await asyncio.wait((watch,), timeout=seconds)
        if watch.done():
            raise ClientLeftError

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    def close(self, outcome: str, *, reset: bool = False) -> None:
        """Drops the connection. A server without the extension does it when the app ends."""
        self._log.finish(self.entry, outcome)
        if self._close is not None:
            self._close(reset)

    async def answer(
        self,
        status: int,
        body: bytes,
        outcome: str,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        kind: bytes = b"application/json",
    ) -> None:
        """Sends a whole answer. It is logged first, so that a client that has seen its end finds it in the log."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, kind, (length, *headers))
        self._log.finish(self.entry, outcome)
        await self._send({"type": "http.response.body", "body": body})

    async def cut_answer(self, body: bytes, outcome: str) -> None:
        """Half of `body`, then the end of the connection: `cut`, or `reset`."""
        await self._start(200, b"application/json", ((b"content-length", str(len(body)).encode()),))
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await self._drop(outcome)

    async def stream(self, plan: Plan, stream: Stream, error: dict[str, Any]) -> None:
        """Sends `stream` at the pace of the script. Raises ClientLeftError; the entry then has what was delivered."""
        script, entry = plan.script, self.entry
        await self._start(200, b"text/event-stream; charset=utf-8", ((b"cache-control", b"no-cache"),))
        if script.empty:
            await self._end(stream.nothing() if script.empty == "choices" else b"", "empty")
            return

        ends = [
            (after, outcome)
            for after, outcome in (
                (script.cut_after, "cut"),
                (script.reset_after, "reset"),
                (script.error_after, "error_event"),
                (script.hang_after, "hang"),
            )
            if after is not None and after <= plan.total_deltas
        ]
        last, outcome = min(ends, default=(plan.total_deltas, "complete"))
        rest = await self._deltas(plan, stream, last)
        entry.usage = stream.usage
        if outcome == "complete":
            entry.completion_tokens = plan.completion_tokens
            rest += self._wire(plan, stream.closing())
            entry.usage = stream.usage
            await self._end(rest, "complete")
        elif outcome == "error_event":
            await self._end(rest + self._wire(plan, stream.error(error)), "error_event")
        else:
            await self._send({"type": "http.response.body", "body": rest, "more_body": True})
            if outcome == "hang":
                await self.pause(None)
            await self._drop(outcome)

    async def _deltas(self, plan: Plan, stream: Stream, last: int) -> bytes:
        """Sends the opening and `last` deltas, and returns the frames not sent yet (all of them in a burst).

        Without a gap, frames go out some at a time, as they do on a fast network.
        """
        script, entry = plan.script, self.entry
        gap = script.gap_ms / 1000
        per_turn = sys.maxsize if script.burst else 1 if gap else DELTAS_PER_TURN
        comment = b": demo provider\r\n\r\n" if script.crlf else b""
        parts = [comment + self._wire(plan, stream.opening())]
        if script.gap_ms:
            parts = await self._flush(parts, 0, plan)
        sent = 0
        for text in plan.deltas:
            for choice in range(plan.choices):
                if sent >= last:
                    break
                if gap and sent:
                    await self._gap(gap)
                parts.append(self._wire(plan, stream.delta(choice, text)))
                sent += 1
                if script.crlf and sent % DELTAS_PER_KEEP_ALIVE == 0:
                    parts.append(KEEP_ALIVE)
                if sent % per_turn == 0:
                    parts = await self._flush(parts, sent, plan)
        entry.deltas = sent
        entry.completion_tokens = plan.completion_tokens_after(sent)
        return b"".join(parts)

    async def _flush(self, frames: list[bytes], deltas: int, plan: Plan) -> list[bytes]:
        """Sends `frames`, up to the delta number `deltas`, and yields to other requests. Raises ClientLeftError."""
        watch = self._watcher()
        if not plan.script.gap_ms:
            await asyncio.sleep(0)
        if watch.done():
            raise ClientLeftError
        await self._send({"type": "http.response.body", "body": b"".join(frames), "more_body": True})
        self.entry.deltas = deltas
        self.entry.completion_tokens = plan.completion_tokens_after(deltas)
        return []

    async def _drop(self, outcome: str) -> None:
        if outcome == "reset":
            # What was written should be sent before the reset discards the rest.
            await asyncio.sleep(0.01)
        self.close(outcome, reset=outcome == "reset")

    async def _gap(self, seconds: float) -> None:
        # A plain sleep costs a third; a client that leaves is then noticed at the next delta.
        if seconds <= 0.1:
            await asyncio.sleep(seconds)
        else:
            await self.pause(seconds)

    @staticmethod
    def _wire(plan: Plan, frames: bytes) -> bytes:
        return frames.replace(b"\n", b"\r\n") if plan.script.crlf else frames

    async def _start(self, status: int, kind: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.entry.status = status
        name, usual = (b"request-id", _ANTHROPIC_HEADERS) if self.anthropic else (b"x-request-id", _OPENAI_HEADERS)
        own = ((b"content-type", kind), (name, b"req_demo%d" % self.entry.seq))
        await self._send({"type": "http.response.start", "status": status, "headers": [*own, *headers, *usual]})

    async def _end(self, body: bytes, outcome: str) -> None:
        self._log.finish(self.entry, outcome)
        await self._send({"type": "http.response.body", "body": body})

    def _watcher(self) -> asyncio.Task[None]:
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._gone())
        return self._watch

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
