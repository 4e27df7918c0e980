"""Deltas that wait together are joined below OpenAI's own SDK."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI

from scalix.litellm_adapter.bridge import bridge
from scalix.litellm_adapter.provider_calls import ProviderCall
from scalix.litellm_adapter.provider_transport import as_response
from scalix.service.answers.pressure import Pressure
from tests.domain.streams import Event, chunk, data, in_pieces, joinable
from tests.exchanges import made_exchange

EVENTS = {"content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"
FINISH = data(chunk({"index": 0, "delta": {}, "finish_reason": "stop"}))


class Behind(Pressure):
    """A worker that has fallen behind by a set time."""

    def __init__(self, window_ms: int = 1) -> None:
        super().__init__(window_ms)
        self._window_s = window_ms / 1000

    def opened(self) -> None:
        pass


class Pieces(httpx.AsyncByteStream):
    """A provider's answer in set pieces; says how many were taken and whether it was closed."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece

    async def aclose(self) -> None:
        self.closed = True


class Provider(httpx.AsyncBaseTransport):
    """Its answers are read as those of any provider."""

    def __init__(self, body: Pieces, pressure: Pressure) -> None:
        self.body = body
        self.pressure = pressure

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        bridge.pressure = self.pressure
        response = httpx.Response(200, headers=EVENTS, stream=self.body)
        return as_response(await ProviderCall(made_exchange(), request).read(response), request)


@pytest.fixture(autouse=True)
def own_pressure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "pressure", None)


def client(body: Pieces, pressure: Pressure) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Provider(body, pressure))


async def read_by_the_sdk(pieces: list[bytes], pressure: Pressure) -> tuple[dict[Any, str], int]:
    """The texts by choice and kind, and the number of chunks that they came in."""
    texts: dict[Any, str] = defaultdict(str)
    chunks = 0
    async with AsyncOpenAI(api_key="k", base_url="http://p/v1", http_client=client(Pieces(pieces), pressure)) as openai:
        stream = await openai.chat.completions.create(model="m", messages=[], stream=True)
        async for part in stream:
            chunks += 1
            for choice in part.choices:
                delta: dict[str, Any] = choice.delta.to_dict() if choice.delta else {}
                for kind in ("content", "reasoning_content", "reasoning"):
                    texts[choice.index, kind] += delta.get(kind) or ""
                for call in delta.get("tool_calls") or ():
                    texts[choice.index, "call", call["index"]] += call["function"]["arguments"]
    return {place: text for place, text in texts.items() if text}, chunks


def passed_through(pieces: list[bytes], pressure: Pressure, path: str = "chat/completions") -> bytes:
    async def read() -> bytes:
        async with client(Pieces(pieces), pressure) as http:
            return (await http.post(f"http://p/v1/{path}")).content

    return asyncio.run(read())


@settings(max_examples=40, deadline=None)
@given(events=st.lists(joinable(), min_size=1, max_size=25), draw=st.data())
def test_openais_sdk_reads_the_same_text(events: list[Event], draw: st.DataObject) -> None:
    chat = [event for event in events if event.channel and event.channel[1] != "text"]
    whole = b"".join([*(event.raw for event in chat), FINISH, DONE]).replace(b"\r\r", b"\n\n")
    pieces = draw.draw(in_pieces(whole))

    async def both() -> None:
        plain, many = await read_plain(whole)
        joined, few = await read_by_the_sdk(pieces, Behind())
        assert joined == plain
        assert few <= many

    asyncio.run(both())


async def read_plain(whole: bytes) -> tuple[dict[Any, str], int]:
    """What the SDK reads of a stream that is not joined, because each event comes in a piece of its own."""
    events = [event + b"\n\n" for event in whole.replace(b"\r\n", b"\n").split(b"\n\n") if event]
    return await read_by_the_sdk(events, Pressure(100))


@pytest.mark.parametrize("pressure", [Pressure(100), Behind()])
def test_events_that_come_one_by_one_pass_as_they_are(pressure: Pressure) -> None:
    events = [data(chunk({"index": 0, "delta": {"content": word}})) for word in "abc"]
    assert passed_through([*events, FINISH, DONE], pressure) == b"".join([*events, FINISH, DONE])


def test_a_few_events_in_one_read_pass_as_they_are_while_the_worker_keeps_up() -> None:
    events = [data(chunk({"index": 0, "delta": {"content": word}})) for word in "abc"]
    whole = b"".join([*events, FINISH, DONE])
    assert passed_through([b"".join(events), FINISH + DONE], Pressure(100)) == whole
    joined, *_ = passed_through([b"".join(events), FINISH + DONE], Behind()).split(b"\n\n")
    assert json.loads(joined[6:])["choices"][0]["delta"]["content"] == "abc"


def test_events_that_have_been_waiting_are_joined_at_any_time() -> None:
    events = [data(chunk({"index": 0, "delta": {"content": word}})) for word in "abcd"]
    assert passed_through([b"".join([*events, FINISH, DONE])], Pressure(100)).count(b"data:") == 3


@pytest.mark.parametrize("path", ["messages", "responses", "models/gemini:streamGenerateContent"])
def test_other_formats_pass_untouched(path: str) -> None:
    events = b"".join(data(chunk({"index": 0, "delta": {"content": word}})) for word in "abcdefgh") + FINISH
    assert passed_through([events], Behind(), path) == events


def test_nothing_is_read_before_it_is_wanted() -> None:
    """So a slow client slows its provider, and no stream is collected in memory."""

    async def read() -> None:
        body = Pieces([data(chunk({"index": 0, "delta": {"content": "a"}})) for _ in range(50)])
        async with (
            client(body, Pressure(100)) as http,
            http.stream("POST", "http://p/v1/chat/completions") as answer,
        ):
            pieces = answer.aiter_raw()
            for wanted in range(1, 10):
                await anext(pieces)
                assert body.taken == wanted
            assert isinstance(pieces, AsyncGenerator)
            await pieces.aclose()
        assert body.closed
        assert body.taken == 9

    asyncio.run(read())


def test_the_end_of_a_stream_is_not_kept_waiting() -> None:
    events = [data(chunk({"index": 0, "delta": {"content": "a"}})), FINISH + DONE]
    began_s = time.monotonic()
    passed_through(events, Behind(60_000))
    assert time.monotonic() - began_s < 30


def test_an_event_without_an_end_is_not_lost() -> None:
    events = [data(chunk({"index": 0, "delta": {"content": word}})) for word in "abcde"]
    assert passed_through([b"".join(events), FINISH.rstrip(b"\n")], Behind()).endswith(FINISH.rstrip(b"\n"))


async def _busy_until(condition: Callable[[], bool], *, spin_s: float) -> bool:
    """Burn CPU on this loop for `spin_s` at a time until the condition holds; whether it did within 10 seconds."""
    deadline_s = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline_s:
        until_s = time.monotonic() + spin_s
        while time.monotonic() < until_s:
            pass
        await asyncio.sleep(0 if spin_s else 0.01)
    return condition()


def test_pressure_follows_the_load_of_the_loop() -> None:
    async def watch() -> None:
        pressure = Pressure(100)
        pressure.opened()
        assert pressure.window_s() == 0
        assert await _busy_until(lambda: pressure.window_s() > 0.09, spin_s=0.005)
        assert await _busy_until(lambda: pressure.window_s() == 0, spin_s=0)
        pressure.closed()

    asyncio.run(watch())


def test_pressure_is_watched_only_while_a_stream_is_open() -> None:
    async def watch() -> None:
        pressure = Pressure(100)
        pressure.opened()
        assert await _busy_until(lambda: pressure.window_s() > 0, spin_s=0.005)
        pressure.closed()
        assert await _busy_until(lambda: len(asyncio.all_tasks()) == 1, spin_s=0)
        assert pressure.window_s() == 0

    asyncio.run(watch())
