"""A light load generator: keep-alive connections, a fixed number of requests, one at a time on each connection."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools
import orjson
import uvloop

_TAIL_BYTES = 64
ANSWER_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as bytes. With `others`, `raw` and they are sent in turn."""

    port: int
    raw: bytes
    others: tuple[bytes, ...] = ()

    @classmethod
    def build(cls, port: int, method: str, path: str, headers: Mapping[str, str], body: object = None) -> "Request":
        """`body` is sent as JSON."""
        payload = b"" if body is None else orjson.dumps(body)
        fixed = {"host": f"127.0.0.1:{port}", "content-type": "application/json", "content-length": str(len(payload))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**fixed, **headers}.items())]
        return cls(port, "\r\n".join(lines).encode() + b"\r\n\r\n" + payload)

    @classmethod
    def circle(cls, requests: "Sequence[Request]") -> "Request":
        """All of `requests`, which go to one port, in turn."""
        return cls(requests[0].port, requests[0].raw, tuple(request.raw for request in requests[1:]))

    def number(self, index: int) -> bytes:
        """The request that is sent as the `index`th."""
        index %= 1 + len(self.others)
        return self.others[index - 1] if index else self.raw


@dataclass(slots=True)
class Answers:
    """What came back. Times in ns from the first byte sent; `samples` holds the first body of each status, `bodies` all
    of them where they are kept."""

    statuses: Counter[int] = field(default_factory=Counter)
    first_byte_ns: list[int] = field(default_factory=list)
    whole_ns: list[int] = field(default_factory=list)
    body_bytes: int = 0
    streams_ended: int = 0
    broken: int = 0
    wall_s: float = 0.0
    samples: dict[int, bytes] = field(default_factory=dict)
    keeps_all: bool = False
    bodies: list[bytes] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """One connection's exchanges, until the budget is used up."""

    def __init__(self, budget: "_Budget", answers: Answers) -> None:
        self._budget = budget
        self._answers = answers
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = self._keep = False
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._parser = httptools.HttpResponseParser(self)
        self._next()

    def _next(self) -> None:
        raw = self._budget.take()
        if raw is None:
            self._transport.close()
            self._finish()
            return
        self._waiting, self._first_ns, self._tail, self._body = True, 0, b"", []
        self._began_ns = time.perf_counter_ns()
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_headers_complete(self) -> None:
        self._keep = self._answers.keeps_all or self._parser.get_status_code() not in self._answers.samples

    def on_body(self, body: bytes) -> None:
        if not self._first_ns:
            self._first_ns = time.perf_counter_ns()
        self._answers.body_bytes += len(body)
        self._tail = (self._tail + body)[-_TAIL_BYTES:]
        if self._keep:
            self._body.append(body)

    def on_message_complete(self) -> None:
        now_ns, answers = time.perf_counter_ns(), self._answers
        self._waiting = False
        status = self._parser.get_status_code()
        answers.statuses[status] += 1
        answers.first_byte_ns.append((self._first_ns or now_ns) - self._began_ns)
        answers.whole_ns.append(now_ns - self._began_ns)
        answers.streams_ended += self._tail.rstrip().endswith(b"data: [DONE]")
        if self._keep:
            body = b"".join(self._body)
            answers.samples.setdefault(status, body)
            if answers.keeps_all:
                answers.bodies.append(body)
        if self._parser.should_keep_alive():
            self._next()
        else:
            self._transport.close()
            self._finish()

    def connection_lost(self, exception: Exception | None) -> None:
        if self._waiting:
            self._answers.broken += 1
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class _Budget:
    """The requests that all connections together still have to send."""

    def __init__(self, request: Request, requests: int, first: int) -> None:
        self.left = requests
        self._request = request
        self._next = first

    def take(self) -> bytes | None:
        """The next request; `None` when all have been sent."""
        self.left -= 1
        if self.left < 0:
            return None
        self._next += 1
        return self._request.number(self._next - 1)


def run(request: Request, *, requests: int, concurrency: int, first: int = 0, keeps_all: bool = False) -> Answers:
    """Send `request` `requests` times over `concurrency` connections. Returns when all answers are whole. `first` is
    where in its circle to begin.

    Raises TimeoutError when they take longer than `ANSWER_TIMEOUT_S`, OSError when the server can't be reached.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        budget = _Budget(request, requests, first)
        return runner.run(_run(request.port, budget, Answers(keeps_all=keeps_all), min(concurrency, requests)))


async def _run(port: int, budget: _Budget, answers: Answers, concurrency: int) -> Answers:
    began = time.perf_counter()
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        await asyncio.gather(*(_drive(port, budget, answers) for _ in range(concurrency)))
    answers.wall_s = time.perf_counter() - began
    return answers


async def _drive(port: int, budget: _Budget, answers: Answers) -> None:
    loop = asyncio.get_running_loop()
    while budget.left > 0:  # a server may close a connection after an answer; the next one takes a new connection
        _, connection = await loop.create_connection(lambda: _Connection(budget, answers), "127.0.0.1", port)
        await connection.done
