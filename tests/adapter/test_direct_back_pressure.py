"""What a client does not read, the direct engine does not read from the provider either."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
from litellm import Router
from litellm.proxy import proxy_server

from scalix.direct_engine.engine import DirectEngine
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.service.exchange.exchanges import CURRENT
from tests.exchanges import made_exchange

EVENTS = 40_000
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
EVENT = b"data: " + orjson.dumps({**CHUNK, "choices": [{"index": 0, "delta": {"content": "word " * 300}}]}) + b"\n\n"
END = b"data: " + orjson.dumps({**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"\n\n"
# The sockets of this machine take some megabytes of the 60 that there are.
MOST_UNREAD_BYTES = 20_000_000
TURNS = 3_000


async def test_a_client_that_does_not_read_stops_the_reading_of_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    install_reading()
    wrote_bytes = 0

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal wrote_bytes
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for _ in range(EVENTS):
            writer.write(EVENT)
            await writer.drain()
            wrote_bytes += len(EVENT)
        writer.write(END + b"data: [DONE]\n\n")
        writer.close()

    server = await asyncio.start_server(provide, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    entry = {"model": "hosted_vllm/m", "api_key": "sk-x", "api_base": f"http://127.0.0.1:{port}/v1"}
    router = Router(model_list=[{"model_name": "m", "litellm_params": entry}])
    monkeypatch.setattr(proxy_server, "llm_router", router)
    sent_events = unread_bytes = 0

    async def send(message: Any) -> None:
        nonlocal sent_events, unread_bytes
        if sent_events == 0:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            unread_bytes = wrote_bytes
        run = message.get("run")
        sent_events += run.count if run is not None else message.get("body", b"").count(b"data: {")

    exchange = made_exchange()
    exchange.attempt.model = "m"
    exchange.attempt.body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    token = CURRENT.set(exchange)
    try:
        async with aiohttp.ClientSession() as session, server:
            monkeypatch.setattr(proxy_server, "shared_aiohttp_session", session)
            requests = DirectRequests()
            await requests.open()
            await DirectEngine(_nobody, requests.build, requests.ask)({"scalix": exchange}, _nothing, send)
    finally:
        CURRENT.reset(token)
    assert 0 < unread_bytes < MOST_UNREAD_BYTES
    assert wrote_bytes == EVENTS * len(EVENT)
    assert sent_events >= EVENTS


async def _nobody(*of_the_request: Any) -> None:
    raise AssertionError("LiteLLM is to ask nobody")


async def _nothing() -> Any:
    return {"type": "http.disconnect"}
