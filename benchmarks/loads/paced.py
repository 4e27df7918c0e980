"""Streams at a steady pace, more and more of them, until a core can't keep up: `python -m benchmarks.loads.paced`.

A number of streams is held open for a while; each one that ends is followed by a new one. The number rises until the
99th percentile of the gaps between a stream's events, or of the times to its first token, passes its bound.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import httptools
import uvloop

from benchmarks.accounting import usage
from benchmarks.generator import Request
from benchmarks.loads.base import QUESTION, SYSTEM
from benchmarks.measure import percentile
from benchmarks.peers import PEERS
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import UNLIMITED
from benchmarks.processes import OTHER_CORES, BenchmarkError, start_provider, stop
from benchmarks.report import table

GAP_MS = 20
WORDS = 300
MOST_GAP_P99_MS = 250.0
MOST_FIRST_TOKEN_P99_MS = 1000.0
STEPS = (1, 8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320)
HOLD_S = 12.0
_TOKEN = b'"content":"'
_NO_TOKEN = b'"content":""'


@dataclass(slots=True)
class Seen:
    """What the clients of one step have seen, from the moment that `counts` is set. Times in ms."""

    gaps_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    events: int = 0
    ended: int = 0
    wrong: list[bytes] = field(default_factory=list)
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One number of streams, measured. `busy` is the CPU that the peer has used, in cores."""

    streams: int
    gap_p99_ms: float
    first_token_p50_ms: float
    first_token_p99_ms: float
    busy: float

    @property
    def holds(self) -> bool:
        """Whether the peer has kept up."""
        return self.gap_p99_ms <= MOST_GAP_P99_MS and self.first_token_p99_ms <= MOST_FIRST_TOKEN_P99_MS


class _Stream(asyncio.Protocol):
    def __init__(self, raw: bytes, seen: Seen) -> None:
        self._raw = raw
        self._seen = seen
        self._parser = httptools.HttpResponseParser(self)
        self._last_s = self._first_s = 0.0
        self._tail = b""
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
        seen.events += body.count(b"\ndata:") + body.startswith(b"data:")
        self._tail = (self._tail + body)[-64:]

    def on_message_complete(self) -> None:
        self._seen.ended += 1
        if self._parser.get_status_code() != 200 or b"[DONE]" not in self._tail:
            self._seen.wrong.append(self._tail)
        self._transport.close()

    def connection_lost(self, exception: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def request_of(running: Running) -> Request:
    """A streamed completion of `WORDS` tokens at one every `GAP_MS` ms."""
    question = f"{QUESTION} [[demo words={WORDS} gap_ms={GAP_MS}]]"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    body = {"model": running.model, "messages": messages, "user": UNLIMITED, "stream": True, "max_tokens": 4 * WORDS}
    return Request.build(running.port, "POST", "/v1/chat/completions", running.headers, body)


def measure(running: Running, streams: int, hold_s: float = HOLD_S) -> Step:
    """Hold `streams` streams open for `hold_s` seconds, after as long as all take to begin. Raises BenchmarkError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_hold(running, request_of(running), streams, hold_s))


async def _hold(running: Running, request: Request, streams: int, hold_s: float) -> Step:
    seen = Seen()
    # All at once would be another load; each begins at its own moment of a stream's length.
    spread_s = WORDS * GAP_MS / 1000
    tasks = [asyncio.create_task(_follow(request, seen, random.random() * spread_s)) for _ in range(streams)]
    await asyncio.sleep(spread_s)
    began_s, before = time.monotonic(), usage(running.roots)
    seen.counts = True
    await asyncio.sleep(hold_s)
    busy = usage(running.roots).since(before).serving_cpu_ns / 1e9 / (time.monotonic() - began_s)
    seen.counts = False
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if seen.wrong:
        raise BenchmarkError(f"{len(seen.wrong)} wrong streams; the end of one: {seen.wrong[0]!r}")
    if not seen.gaps_ms:
        return Step(streams, float("inf"), float("inf"), float("inf"), busy)
    # A peer that has collapsed may not have begun a single stream within the time.
    first = seen.first_token_ms or [hold_s * 1000]
    return Step(streams, percentile(seen.gaps_ms, 99), percentile(first, 50), percentile(first, 99), busy)


async def _follow(request: Request, seen: Seen, after_s: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(after_s)
    while True:
        transport, stream = await loop.create_connection(lambda: _Stream(request.raw, seen), "127.0.0.1", request.port)
        try:
            await stream.done
        finally:
            transport.abort()


def rise(running: Running, steps: Sequence[int], hold_s: float) -> list[Step]:
    """Measure one number of streams after another; the last one is the first that the peer did not hold."""
    measured: list[Step] = []
    for streams in steps:
        measured.append(measure(running, streams, hold_s))
        print(f"  {streams}: {measured[-1]}", file=sys.stderr, flush=True)
        if not measured[-1].holds:
            break
        time.sleep(1.0)
    return measured


def step_table(title: str, steps: Sequence[Step]) -> str:
    """One peer's steps as a table."""
    header = (title, "p99 gap ms", "first token p50 ms", "p99 ms", "cores")
    rows = [
        (
            f"{step.streams} streams" + ("" if step.holds else " (not held)"),
            f"{step.gap_p99_ms:.0f}",
            f"{step.first_token_p50_ms:.0f}",
            f"{step.first_token_p99_ms:.0f}",
            f"{step.busy:.2f}",
        )
        for step in steps
    ]
    return table(header, rows)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 2 when it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loads.paced", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=["litellm", "litellm-packages", "gateway"])
    parser.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    parser.add_argument("--hold", type=float, default=HOLD_S, metavar="S", help="seconds for each number of streams")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, OTHER_CORES)
    with TemporaryDirectory(prefix="scalix-bench-") as name:
        folder = Path(name)
        provider, url = start_provider(folder)
        try:
            for peer in (PEERS[name] for name in options.peers):
                (folder / peer.name).mkdir()
                peer.install()
                running = peer.start(folder / peer.name, url)
                try:
                    measure(running, 4, 1.0)
                    print(step_table(peer.title, rise(running, options.steps, options.hold)), flush=True)
                finally:
                    running.stop()
        except BenchmarkError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 2
        finally:
            stop(provider)
    return 0


if __name__ == "__main__":
    sys.exit(main())
