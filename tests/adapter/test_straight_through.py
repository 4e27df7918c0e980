"""Plain deltas go from a provider's connection to the client without waking anybody, and nothing is lost by that."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import orjson
import pytest
from litellm import Router
from litellm.proxy import proxy_server

from scalix.direct_engine.engine import DirectEngine
from scalix.domain.answers.plain_deltas import Run
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.straight_through import StraightThrough, body_of
from scalix.service.exchange.exchanges import CURRENT
from tests.exchanges import made_exchange

HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10}
Write = Callable[[bytes], Awaitable[None]]
Provide = Callable[[Write], Awaitable[None]]


def event_of(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return (
        b"data: " + orjson.dumps({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}) + b"\n\n"
    )


TEXTS = [f'word {number} "é"\n' for number in range(60)]
FIRST = event_of({"role": "assistant", "content": ""})
END = event_of({}, "stop") + b"data: " + orjson.dumps({**HEAD, "choices": [], "usage": USAGE}) + b"\n\ndata: [DONE]\n\n"
EVENTS = [event_of({"content": text}) for text in TEXTS]


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


class Heard:
    """What a client gets of one stream, and by which ways. `takes` says whether the client has room now."""

    def __init__(self, takes: Callable[[], bool] = lambda: True) -> None:
        self.parts: list[bytes] = []
        self.sent = self.straight = 0
        self._takes = takes

    async def send(self, message: Any) -> None:
        run: Run | None = message.get("run")
        self.parts.append(run.written(run.template) if run is not None else message.get("body", b""))
        self.sent += 1

    def pass_run(self, run: Run) -> bool:
        if not self._takes():
            return False
        self.parts.append(run.written(run.template))
        self.straight += run.count
        return True

    @property
    def said(self) -> str:
        lines = [line[6:] for line in b"".join(self.parts).splitlines() if line.startswith(b"data: {")]
        chunks = [orjson.loads(line) for line in lines]
        return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


@asynccontextmanager
async def engine(provide: Provide, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[DirectEngine, list[int]]]:
    """An engine before a provider that answers each request as `provide` writes it, and its connections so far."""
    install_reading()
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)

        async def write(data: bytes) -> None:
            writer.write(data)
            for _ in range(4):  # the turns in which it comes over, and is read
                await asyncio.sleep(0)

        while head := await _head(reader):
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            await write(ANSWER)
            await provide(write)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    entry = {"model": "hosted_vllm/m", "api_key": "sk-x", "api_base": base}
    router = Router(model_list=[{"model_name": "m", "litellm_params": entry}])
    monkeypatch.setattr(proxy_server, "llm_router", router)
    async with aiohttp.ClientSession() as session, server:
        monkeypatch.setattr(proxy_server, "shared_aiohttp_session", session)
        requests = DirectRequests()
        await requests.open()
        yield DirectEngine(_nobody, requests.build, requests.ask), connections


async def heard_of(asked: DirectEngine, heard: Heard) -> Heard:
    exchange = made_exchange()
    exchange.attempt.model = "m"
    exchange.attempt.pass_run = heard.pass_run
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    exchange.attempt.body = body
    token = CURRENT.set(exchange)
    try:
        await asked({"scalix": exchange}, _nothing, heard.send)
    finally:
        CURRENT.reset(token)
    assert exchange.attempt.seen.usage is not None
    return heard


async def test_paced_deltas_wake_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def provide(write: Write) -> None:
        for event in (FIRST, *EVENTS):
            await write(chunked(event))
        await write(chunked(END) + b"0\r\n\r\n")

    async with engine(provide, monkeypatch) as (asked, _):
        heard = await heard_of(asked, Heard())
    assert heard.said == "".join(TEXTS)
    assert heard.straight > len(TEXTS) - 8
    assert heard.sent < 16  # messages, each of which is a task woken, for 62 events


@pytest.mark.parametrize("seed", range(12))
async def test_however_a_stream_is_cut_and_whatever_is_between_the_client_has_the_same_text(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    others = [b": ping\n\n", event_of({"content": ""}), event_of({"reasoning_content": "hm"})]
    events = [event for text in EVENTS for event in (text, *dice.choices(others, k=dice.random() < 0.2))]
    body = b"".join((FIRST, *events, END))
    cuts = sorted(dice.sample(range(1, len(body)), 40)) if seed % 2 else []
    if not cuts:
        sizes = [len(b"".join((FIRST, *events)[:number])) for number in range(1, len(events) + 1)]
        cuts = sorted(dice.sample(sizes, 30))
    wire = b"".join(chunked(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)) + b"0\r\n\r\n"
    wire_cuts = sorted(dice.sample(range(1, len(wire)), 120))

    async def provide(write: Write) -> None:
        for begin, end in zip([0, *wire_cuts], [*wire_cuts, len(wire)], strict=True):
            await write(wire[begin:end])

    async with engine(provide, monkeypatch) as (asked, _):
        heard = await heard_of(asked, Heard(lambda: dice.random() < 0.7))
    assert heard.said == "".join(TEXTS)


async def test_the_next_stream_has_the_same_connection_and_goes_straight_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def provide(write: Write) -> None:
        for event in (FIRST, *EVENTS):
            await write(chunked(event))
        await write(chunked(END) + b"0\r\n\r\n")

    async with engine(provide, monkeypatch) as (asked, connections):
        both = [await heard_of(asked, Heard()) for _ in range(2)]
    assert [heard.said for heard in both] == ["".join(TEXTS)] * 2
    assert min(heard.straight for heard in both) > len(TEXTS) - 8
    assert len(connections) == 1


class Clock:
    """A loop whose time is set; `timers` are what it was asked to call."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        self.timers.append((self.now_s + delay_s, call))
        return asyncio.TimerHandle(0, call, (), cast(Any, self))

    def _timer_handle_cancelled(self, handle: Any) -> None: ...

    def get_debug(self) -> bool:
        return False

    def run_until(self, end_s: float) -> None:
        while due := sorted((timer for timer in self.timers if timer[0] <= end_s), key=lambda timer: timer[0]):
            self.timers.remove(due[0])
            self.now_s = due[0][0]
            due[0][1]()
        self.now_s = end_s


async def test_silence_of_the_provider_is_timed_by_one_timer_and_a_pause_of_ours_is_none() -> None:
    straight, connection, clock = _straight(timeout_s=10.0)
    for _ in range(100):
        clock.run_until(clock.now_s + 1.0)
        straight.data_received(chunked(EVENTS[0]))
    assert connection.silent == 0
    assert len(clock.timers) == 1
    connection._reading_paused = True  # by a client that does not read
    clock.run_until(clock.now_s + 100.0)
    assert connection.silent == 0
    connection._reading_paused = False
    clock.run_until(clock.now_s + 20.1)
    assert connection.silent == 1


async def test_a_worker_that_falls_behind_leaves_the_socket_unread_for_a_while() -> None:
    straight, connection, clock = _straight(rest_s=0.1)
    straight.data_received(chunked(EVENTS[0]))  # aiohttp's, as nothing has shown where a chunk begins
    straight.data_received(chunked(EVENTS[1]))
    assert connection.transport.reads == [False]
    clock.run_until(0.2)
    assert connection.transport.reads == [False, True]
    straight.close()
    assert connection.transport.protocol is connection


@pytest.mark.parametrize(
    "data",
    [
        chunked(b"text")[:-1],
        chunked(b"text") + b"4",
        chunked(b"text") + b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"4;name=value\r\ntext\r\n",
        b"-4\r\ntext\r\n",
        b"\r\ntext\r\n",
        b"5\r\ntext\r\n",
        b"+4\r\ntext\r\n",
        b"4_4\r\ntext\r\n",
        b"ffffffffffff\r\ntext\r\n",
        b"",
    ],
)
def test_what_is_no_row_of_whole_chunks_is_left_to_the_http_parser(data: bytes) -> None:
    assert body_of(data) == b""


def test_whole_chunks_are_put_together() -> None:
    assert body_of(chunked(b"a\r\n0\r\n\r\n") + chunked(EVENTS[0])) == b"a\r\n0\r\n\r\n" + EVENTS[0]


class _Transport:
    def __init__(self) -> None:
        self.protocol: Any = None
        self.reads: list[bool] = []

    def is_closing(self) -> bool:
        return False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def pause_reading(self) -> None:
        self.reads.append(False)

    def resume_reading(self) -> None:
        self.reads.append(True)


class _Connection:
    """What is below: aiohttp's protocol, and the reader that waits for it."""

    def __init__(self, timeout_s: float | None) -> None:
        self.transport = _Transport()
        self.read_timeout = timeout_s
        self.silent = 0
        self._reading_paused = False
        self._waiter: Any = object()
        self._buffer: list[bytes] = []
        self.total_bytes = 0
        self._http_chunk_splits: list[int] = []
        self.protocol = self

    def start_timeout(self) -> None: ...

    def is_eof(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        self.total_bytes += len(data)
        self._http_chunk_splits = [self.total_bytes]

    def _on_read_timeout(self) -> None:
        self.silent += 1


class _Reader:
    def __init__(self, rest_s: float) -> None:
        self._rest_s = rest_s

    def passes(self, piece: bytes) -> bool:
        return True

    def rest_s(self) -> float:
        return self._rest_s


def _straight(*, timeout_s: float | None = None, rest_s: float = 0.0) -> tuple[StraightThrough, _Connection, Clock]:
    connection, clock = _Connection(timeout_s), Clock()
    answer: Any = type("Answer", (), {"connection": connection, "content": connection, "headers": {}})
    answer.headers = {"transfer-encoding": "chunked"}
    straight = StraightThrough.open(answer, _Reader(rest_s), cast(Any, clock))
    assert straight is not None
    assert connection.transport.protocol is straight
    return straight, connection, clock


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _nobody(*of_the_request: Any) -> None:
    raise AssertionError("LiteLLM is to ask nobody")


async def _nothing() -> Any:
    return {"type": "http.disconnect"}
