"""The direct engine by itself: how it asks a provider, and what it makes of odd answers."""

from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import pytest

from scalix.direct_engine.engine import DirectEngine
from scalix.domain.answers.plain_deltas import Group
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.exchanges import Exchange
from tests.exchanges import made_exchange

CHUNK = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("LiteLLM was asked")


async def groups(*events: bytes) -> AsyncIterator[Group]:
    yield list(events)


async def served(answer: Any, *, streamed: bool) -> tuple[list[MutableMapping[str, Any]], Exchange]:
    """What the engine sends for a provider's answer."""
    exchange = made_exchange(streamed=streamed)
    exchange.attempt.model, exchange.attempt.body = "m", {"model": "m", "messages": []}
    sent: list[MutableMapping[str, Any]] = []

    async def build(exchange: Exchange, body: dict[str, Any]) -> httpx.Request:
        return httpx.Request("POST", "http://provider/v1/chat/completions")

    async def ask(exchange: Exchange, request: httpx.Request) -> Any:
        return answer

    async def send(message: MutableMapping[str, Any]) -> None:
        assert exchange.attempt.reported.is_set()  # the edge waits for it before it lets go of the end
        sent.append(message)

    await DirectEngine(no_app, build, ask)({"type": "http", "scalix": exchange}, no_app, send)  # type: ignore[arg-type]
    return sent, exchange


@pytest.mark.parametrize(("asked_s", "waited_s"), [(5, [5.0, 5.0]), (6, []), (60, []), (90, [])])
async def test_a_retry_waits_as_long_as_its_provider_asks_if_that_is_not_long(
    asked_s: int, waited_s: list[float]
) -> None:
    exchange = made_exchange(streamed=False)
    exchange.attempt.body = {"model": "m", "messages": [], "num_retries": 2}
    exchange.attempt.seen.error = ProviderError(503, "", asked_s)
    pauses: list[float] = []

    async def build(exchange: Exchange, body: dict[str, Any]) -> httpx.Request:
        return httpx.Request("POST", "http://provider/v1/chat/completions")

    async def ask(exchange: Exchange, request: httpx.Request) -> Any:
        return 503, b"{}"

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    engine = DirectEngine(no_app, build, ask, pause=pause)
    await engine({"type": "http", "scalix": exchange}, no_app, send)  # type: ignore[arg-type]
    assert pauses == waited_s

    pauses.clear()
    exchange.attempt.seen.error = ProviderError(503, "", None)
    engine = DirectEngine(no_app, build, ask, first_wait_s=0.1, pause=pause)
    await engine({"type": "http", "scalix": exchange}, no_app, send)  # type: ignore[arg-type]
    assert [0.07 < one <= 0.2 for one in pauses] == [True, True]


async def test_a_stream_that_nobody_has_asked_for_is_a_failure_and_no_answer() -> None:
    sent, _ = await served((200, groups(CHUNK, b"data: [DONE]\n\n")), streamed=False)
    assert sent[0]["status"] == 502
    assert all(b"hi" not in message.get("body", b"") for message in sent)


async def test_a_chunk_that_can_not_be_written_breaks_the_stream_off() -> None:
    odd = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}],"x":%s}\n\n' % (
        b"[" * 300 + b'"x"' + b"]" * 300
    )
    sent, _ = await served((200, groups(CHUNK, odd)), streamed=True)
    assert b'"error"' in sent[-1]["body"]


async def test_a_choice_whose_number_is_none_has_its_place() -> None:
    odd = b'data: {"id":"x","choices":[{"index":[1],"delta":{"content":"a"}}]}\n\n'
    sent, _ = await served((200, groups(odd, b"data: [DONE]\n\n")), streamed=True)
    assert b'"index":0' in sent[1]["body"]
