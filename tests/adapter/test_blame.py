"""Whether a request has left, and of what LiteLLM failed: over its own client, real sockets and real exceptions."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import httpx
import litellm
import pytest
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from scalix.domain.requests.routes import Route
from scalix.domain.requests.wrong_fields import wrong_field
from scalix.litellm_adapter.blame import is_by_content, place_of
from scalix.litellm_adapter.callbacks import GatewayCallbacks
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.service.exchange.attempts import NO_CONNECTION
from scalix.service.exchange.exchanges import CURRENT, Exchange
from tests.adapter.test_trimmed_calls import exchange as made_exchange

PATH = "/v1/chat/completions"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def exchange() -> Any:
    install_reading()
    made = made_exchange()
    token = CURRENT.set(made)
    yield made
    CURRENT.reset(token)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with made:
        yield f"http://127.0.0.1:{made.sockets[0].getsockname()[1]}"


async def _post(url: str) -> None:
    client = AsyncHTTPHandler(timeout=httpx.Timeout(5.0))
    try:
        await client.post(url, data="{}")
    finally:
        await client.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
    await writer.drain()
    writer.close()


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def test_where_nobody_listens_no_connection_was_made(exchange: Exchange) -> None:
    async with server(_answer) as url:
        pass
    with pytest.raises(Exception, match=r".*"):
        await _post(url + PATH)
    assert exchange.attempt.seen.error is not None
    assert exchange.attempt.seen.error.kind == NO_CONNECTION


async def test_a_connection_that_the_provider_resets_was_made(exchange: Exchange) -> None:
    """What a request says may bring that about, so it takes the model from nobody else."""
    async with server(_reset) as url:
        with pytest.raises(Exception, match=r".*"):
            await _post(url + PATH)
    assert exchange.attempt.asked
    assert exchange.attempt.seen.error is not None
    assert exchange.attempt.seen.error.kind == "TransportError"


@pytest.mark.parametrize("path", ["/identity/token", "/oauth2/v2.0/token", "/api/v2/oauth"])
async def test_who_is_asked_for_a_token_is_not_the_provider(exchange: Exchange, path: str) -> None:
    async with server(_answer) as url:
        await _post(url + path)
        assert not exchange.attempt.asked
        await _post(url + "/converse")
        assert exchange.attempt.asked


async def test_what_can_not_be_sent_was_not_asked(exchange: Exchange) -> None:
    for url in ("nothing://provider/v1/chat/completions", "http://[::1/v1"):
        with pytest.raises(Exception, match=r".*"):
            await _post(url)
        assert not exchange.attempt.asked


async def test_a_handler_of_the_operators_own_may_have_asked(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": "ours", "custom_handler": None}])
    hooks = GatewayCallbacks()
    await hooks.async_pre_call_deployment_hook({"model": "openai/m"}, None)
    assert not exchange.attempt.unseen
    await hooks.async_pre_call_deployment_hook({"model": "ours/m"}, None)
    assert exchange.attempt.unseen


HI = [{"role": "user", "content": "hi"}]


async def _failure(**call: Any) -> Exception:
    with pytest.raises(Exception, match=r".*") as caught:
        await litellm.acompletion(**{"messages": HI, "api_base": "http://provider.invalid", **call})
    return caught.value


@pytest.mark.parametrize("model", ["openai/gpt-4", "anthropic/claude-3-5-sonnet-20241022", "gemini/gemini-2.0-flash"])
async def test_what_litellm_can_not_translate_is_of_the_content(model: str) -> None:
    for content in ([{"type": "file", "file": "x"}], [{"type": "hologram"}], ["text"]):
        error = await _failure(model=model, api_key="none", messages=[{"role": "user", "content": content}])
        assert is_by_content(error), repr(error)
        assert ".py:" in place_of(error)


async def test_what_is_missing_in_a_deployment_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_API_KEY", "ANTHROPIC_API_KEY", "AZURE_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    for call in (
        {"model": "openai/gpt-4"},
        {"model": "anthropic/claude-3-5-sonnet-20241022"},
        {"model": "azure/gpt", "api_key": "none", "api_base": None},
        {"model": "nobody-knows-it"},
    ):
        error = await _failure(**call)
        assert not is_by_content(error), (call, repr(error), place_of(error))


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (
            Route.CHAT,
            {"messages": HI, "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"},
        ),
        (Route.CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
        (Route.CHAT, {"messages": HI, "response_format": {"type": "json_object"}}),
        (Route.MESSAGES, {"messages": HI, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        (Route.RESPONSES, {"input": "hi", "tools": [{"type": "web_search"}], "text": {"format": {"type": "text"}}}),
        (Route.RESPONSES, {"input": [{"type": "reasoning", "summary": []}, {"role": "user", "content": "hi"}]}),
        (Route.COMPLETIONS, {"prompt": ["a", "b"]}),
    ],
)
def test_of_what_is_right_no_field_is_named(route: Route, body: dict[str, Any]) -> None:
    assert wrong_field(route, body) is None


def test_any_json_value_may_stand_anywhere() -> None:
    values: list[Any] = [None, 0, "x", [], {}, [None], [{}], {"type": 5}, [{"type": []}], [{"content": [{"type": {}}]}]]
    for route in Route:
        for name in ("messages", "tools", "tool_choice", "response_format", "input", "prompt", "text"):
            for value in values:
                for body in ({name: value}, {name: [value]}, {name: [{"function": value, "content": value}]}):
                    wrong_field(route, body)


@pytest.mark.parametrize("model", ["gemini/gemini-2.5-flash", "ollama_chat/llama3.1"])
@pytest.mark.parametrize("arguments", ["{", '{"a":', '{"a":1', '{"a":1}}', "a", " "])
async def test_arguments_that_are_no_json_are_the_clients(model: str, arguments: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
    ]
    with pytest.raises(Exception, match=r".*") as raised:
        await litellm.acompletion(model=model, messages=messages, api_key="x", api_base="http://127.0.0.1:1")
    assert is_by_content(raised.value)
    assert wrong_field(Route.CHAT, {"messages": messages}) is not None
