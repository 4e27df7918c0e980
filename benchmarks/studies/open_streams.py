"""What an open stream takes of a worker's memory."""

import asyncio
import resource
import statistics
import time
from typing import cast

import uvloop

from benchmarks.accounting import usage
from benchmarks.generator import Request
from benchmarks.loads.base import QUESTION, SYSTEM
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer, Running
from benchmarks.peers.gateway import UNLIMITED, ScalixGateway
from benchmarks.peers.litellm import LiteLLMWithPackages
from benchmarks.processes import BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting

BASELINE = "litellm-packages"
STREAMS = 1_000
ROUNDS, QUICK_ROUNDS = 3, 1
_GAP_MS = 2_000
_WARM_UP = 100
_SETTLE_S = 3.0
_OPENING_S = 90.0
_FILES = 8_192
# LiteLLM, and so both sides, opens 500 to one host unless told.
_CONNECTIONS = {"AIOHTTP_CONNECTOR_LIMIT": "4000", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "4000"}
_TEXT = b'"content":"'
_NO_TEXT = b'"content":""'


class _Stock(LiteLLMWithPackages):
    env = _CONNECTIONS


class OpenStreams:
    """Peers are started anew for each measurement: memory that was given back once is taken again first."""

    name = "open-streams"
    title = f"Memory of {STREAMS:,} open streams"
    peers: tuple[str, ...] = ()
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _FILES)), hard))
        settings = {"scalix": {"overload": {"in_flight": 4 * STREAMS}}}
        gateway = ScalixGateway(env=_CONNECTIONS, settings=settings)
        peers: dict[str, Peer] = {BASELINE: _Stock(), "gateway": gateway}
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
        for number in range(QUICK_ROUNDS if setting.quick else ROUNDS):
            for name, peer in peers.items() if number % 2 == 0 else reversed(peers.items()):
                place = setting.folder / f"{self.name}-{name}-{number}"
                place.mkdir()
                peer.install()
                running = peer.start(place, setting.provider_url)
                try:
                    seen[name].append(_measured(running))
                finally:
                    running.stop()
                setting.note(f"  {PEERS[name].title}: {seen[name][-1][0]:.1f} MiB, then {seen[name][-1][1]:.1f}")
        rows = []
        kib: dict[str, float] = {}
        for name, turns in seen.items():
            kib[name] = statistics.median(1024 * (after - before) / STREAMS for before, after in turns)
            before, after = (statistics.median(values) for values in zip(*turns, strict=True))
            rows.append((PEERS[name].title, f"{before:.0f}", f"{after:.0f}", f"{kib[name]:.1f}"))
        about = (
            f"Resident memory of a worker after {_WARM_UP} short streams, and with {STREAMS:,} that have begun, each "
            f"of a token every {_GAP_MS // 1000} s. Both sides may open 4,000 connections to the provider. Medians of "
            f"{len(seen[BASELINE])} starts each, by turns.\n\n"
        )
        header = ("", "MiB", f"MiB with {STREAMS:,} streams", "KiB per stream")
        return Findings(about + table(header, rows), seen, {"open_stream_memory": kib["gateway"] / kib[BASELINE]})


def _measured(running: Running) -> tuple[float, float]:
    """MiB before the streams, and with all of them open. Raises `BenchmarkError`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_hold(running))


async def _hold(running: Running) -> tuple[float, float]:
    short, long = _request(running, words=5, gap_ms=1), _request(running, words=600, gap_ms=_GAP_MS)
    for _ in range(_WARM_UP):
        await _opened(short, 1)
    await asyncio.sleep(_SETTLE_S)
    before_mib = _mib(running)
    streams = await _opened(long, STREAMS)
    await asyncio.sleep(_SETTLE_S)
    after_mib = _mib(running)
    broken = sum(stream.is_lost for stream in streams)
    for stream in streams:
        stream.transport.abort()
    if broken:
        raise BenchmarkError(f"{broken} of {STREAMS} streams ended while they were to be open")
    return before_mib, after_mib


async def _opened(request: Request, count: int) -> list["_Stream"]:
    """So many streams, each of which has brought a text."""
    loop = asyncio.get_running_loop()
    streams: list[_Stream] = []
    deadline_s = time.monotonic() + _OPENING_S
    for _ in range(count):
        _, stream = await loop.create_connection(lambda: _Stream(request), "127.0.0.1", request.port)
        streams.append(stream)
        while sum(not one.has_begun for one in streams[-32:]) > 8:  # not all at once, which would be another load
            if time.monotonic() > deadline_s:
                raise BenchmarkError(
                    f"of {len(streams)} streams {sum(not one.has_begun for one in streams)} do not begin"
                )
            await asyncio.sleep(0.002)
    async with asyncio.timeout(_OPENING_S):
        await asyncio.gather(*(stream.begun for stream in streams))
    return streams


class _Stream(asyncio.Protocol):
    def __init__(self, request: Request) -> None:
        self._raw = request.raw
        self.is_lost = False
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def has_begun(self) -> bool:
        return self.begun.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type
        self.transport.write(self._raw)

    def data_received(self, data: bytes) -> None:
        if not self.begun.done() and _TEXT in data.replace(_NO_TEXT, b""):
            self.begun.set_result(None)

    def connection_lost(self, exception: Exception | None) -> None:
        self.is_lost = True
        if not self.begun.done():
            self.begun.set_exception(BenchmarkError("a stream has ended before its first text"))


def _request(running: Running, *, words: int, gap_ms: int) -> Request:
    question = f"{QUESTION} [[demo words={words} gap_ms={gap_ms}]]"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    body = {"model": running.model, "messages": messages, "user": UNLIMITED, "stream": True}
    headers = {**running.headers, "connection": "close"}
    return Request.build(running.port, "POST", "/v1/chat/completions", headers, body)


def _mib(running: Running) -> float:
    return usage(running.roots).rss_bytes / 2**20
