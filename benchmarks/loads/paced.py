"""Streams at a steady pace: how many a peer holds on one core before its clients notice.

A number of streams is kept open for a while; each one that ends is replaced. A peer holds that number as long as the
99th percentile of the gaps between a stream's events, and of the times to its first token, stay within their bounds.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

from benchmarks.accounting import usage
from benchmarks.generator import Request
from benchmarks.loads.base import QUESTION, SYSTEM
from benchmarks.measure import percentile
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import UNLIMITED
from benchmarks.processes import BenchmarkError
from benchmarks.texts import check_texts

GAP_MS = 20
WORDS = 300
MOST_GAP_P99_MS = 250.0
MOST_FIRST_TOKEN_P99_MS = 1000.0
HOLD_S = 8.0
RAMP_S = 3.0
# All streams have begun, and those that came with the ramp have left its mark.
SETTLE_S = 1.0
_TOKEN = b'"content":"'
_NO_TOKEN = b'"content":""'


@dataclass(slots=True)
class Seen:
    """What the clients of one step saw after `counts` was set. Times in ms."""

    gaps_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    events: int = 0
    wrong: list[bytes] = field(default_factory=list)
    whole: list[bytes] = field(default_factory=list)  # bodies of full length that have ended
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One number of streams, measured. `busy` is the CPU that the peer has used, in cores; `compared` is how many whole
    streams had the provider's text, byte for byte."""

    streams: int
    gap_p99_ms: float
    first_token_p50_ms: float
    first_token_p99_ms: float
    busy: float
    events_per_token: float
    compared: int

    @property
    def holds(self) -> bool:
        """Whether the peer kept up."""
        return self.gap_p99_ms <= MOST_GAP_P99_MS and self.first_token_p99_ms <= MOST_FIRST_TOKEN_P99_MS


class _Stream(asyncio.Protocol):
    def __init__(self, request: Request, seen: Seen, *, is_whole: bool) -> None:
        self._raw = request.raw
        self._seen = seen
        self._is_whole = is_whole
        self._parser = httptools.HttpResponseParser(self)
        self._last_s = self._first_s = 0.0
        self._body: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type
        self._began_s = time.perf_counter()
        self._transport.write(self._raw)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        now_s, seen = time.perf_counter(), self._seen
        if self._last_s and seen.counts:
            seen.gaps_ms.append((now_s - self._last_s) * 1000)
        self._last_s = now_s
        if not self._first_s and _TOKEN in body.replace(_NO_TOKEN, b""):
            self._first_s = now_s
            if seen.counts:
                seen.first_token_ms.append((now_s - self._began_s) * 1000)
        if seen.counts:
            seen.events += body.count(b"\ndata:") + body.startswith(b"data:")
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        if self._parser.get_status_code() != 200 or not body.rstrip().endswith(b"[DONE]"):
            self._seen.wrong.append(body[-64:])
        elif self._is_whole:
            self._seen.whole.append(body)
        self._transport.close()

    def connection_lost(self, exception: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def request_of(running: Running, words: int = WORDS) -> Request:
    """A streamed completion of `words` tokens at one every `GAP_MS` ms."""
    return Request.build(running.port, "POST", "/v1/chat/completions", running.headers, body_of(running.model, words))


def body_of(model: str, words: int = WORDS) -> dict[str, object]:
    """What such a request says."""
    question = f"{QUESTION} [[demo words={words} gap_ms={GAP_MS}]]"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    return {"model": model, "messages": messages, "user": UNLIMITED, "stream": True, "max_tokens": 4 * WORDS}


def measure(running: Running, streams: int, text: str, hold_s: float = HOLD_S) -> Step:
    """Hold `streams` streams open for `hold_s` seconds, after as long as all take to begin. `text` is what each says.

    Raises BenchmarkError.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_hold(running, streams, text, hold_s))


async def _hold(running: Running, streams: int, text: str, hold_s: float) -> Step:
    seen = Seen()
    # All at once would be another load. The first of each is as long as is left of a stream at some moment, so that
    # ends and beginnings are spread evenly from the start.
    tasks = [
        asyncio.create_task(_follow(running, seen, RAMP_S * number / streams, random.randint(1, WORDS)))
        for number in range(streams)
    ]
    await asyncio.sleep(RAMP_S + SETTLE_S)
    began_s, before = time.monotonic(), usage(running.roots)
    seen.counts = True
    await asyncio.sleep(hold_s)
    seen.counts = False
    took_s = time.monotonic() - began_s
    busy = usage(running.roots).since(before).serving_cpu_ns / 1e9 / took_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if seen.wrong:
        raise BenchmarkError(f"{len(seen.wrong)} wrong streams; the end of one: {seen.wrong[0]!r}")
    check_texts(f"{streams} streams", seen.whole, text)
    # A peer that has collapsed may not have begun a single stream within the time.
    first = seen.first_token_ms or [hold_s * 1000]
    return Step(
        streams,
        percentile(seen.gaps_ms or [float("inf")], 99),
        percentile(first, 50),
        percentile(first, 99),
        busy,
        seen.events / (streams * took_s * 1000 / GAP_MS),
        len(seen.whole),
    )


async def _follow(running: Running, seen: Seen, after_s: float, first_words: int) -> None:
    loop = asyncio.get_running_loop()
    whole = request_of(running)
    request = request_of(running, first_words)
    await asyncio.sleep(after_s)
    while True:
        is_whole = request is whole
        transport, stream = await loop.create_connection(
            lambda request=request, is_whole=is_whole: _Stream(request, seen, is_whole=is_whole),  # type: ignore[misc]
            "127.0.0.1",
            running.port,
        )
        try:
            await stream.done
        finally:
            transport.abort()
        request = whole
