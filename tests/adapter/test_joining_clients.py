"""The joining transport under LiteLLM's own clients."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import pytest
from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

from scalix.litellm_adapter.joining_clients import _PROVIDERS_WITH_HANDLER, JoiningClients, joined
from scalix.litellm_adapter.joining_transport import JoiningTransport
from scalix.litellm_adapter.pressure import Pressure
from tests.demo_server import DemoServer, demo_server

__all__ = ["demo_server"]

MESSAGES = [{"role": "user", "content": "Rivers. [[demo words=300 burst=1]]"}]


@pytest.fixture(autouse=True)
def own_session() -> Iterator[None]:
    before = litellm.aclient_session
    litellm.aclient_session = None
    yield
    litellm.aclient_session = before


async def streamed(demo_server: DemoServer, model: str, key: str = "k", **more: Any) -> list[str]:
    """The pieces of text that LiteLLM gives for a streamed answer of the demo provider."""
    answer = await litellm.acompletion(
        model=model, messages=MESSAGES, stream=True, api_key=key, api_base=demo_server.base_url, **more
    )
    return [text async for chunk in answer if (text := chunk.choices[0].delta.content)]


@pytest.mark.parametrize("provider", sorted(_PROVIDERS_WITH_HANDLER))
def test_a_provider_with_a_handler_of_its_own_is_joined(demo_server: DemoServer, provider: str) -> None:
    async def run() -> tuple[list[str], list[str]]:
        clients = JoiningClients(100)
        model = f"{provider}/some/model"
        joined = await streamed(demo_server, model, client=clients.handler(model, None))
        plain = await streamed(demo_server, model)
        await clients.aclose()
        return joined, plain

    joined, plain = asyncio.run(run())
    assert "".join(joined) == "".join(plain)
    assert len(plain) == 300
    assert len(joined) < 30


def test_what_goes_through_openais_sdk_is_joined(demo_server: DemoServer) -> None:
    async def run() -> tuple[list[str], list[str]]:
        plain = await streamed(demo_server, "openai/m", "one")
        clients = JoiningClients(100)
        await clients.open()
        joined = await streamed(demo_server, "openai/m", "two")
        await clients.aclose()
        assert litellm.aclient_session is None
        return joined, plain

    joined, plain = asyncio.run(run())
    assert "".join(joined) == "".join(plain)
    assert len(plain) == 300
    assert len(joined) < 30


def test_other_formats_keep_litellms_own_handler() -> None:
    clients = JoiningClients(100)
    assert [clients.handler(model, None) for model in ("gemini/x", "anthropic/x", "openai/x", "gpt-4o")] == [None] * 4
    assert clients.handler("deepseek/x", None) is clients.handler("deepseek/y", None)
    assert clients.handler("deepseek/x", None) is not clients.handler("deepseek/x", False)


def opened() -> httpx.AsyncClient:
    """The session that LiteLLM would use, made on a loop of its own; closed already."""

    async def run() -> httpx.AsyncClient:
        clients = JoiningClients(100)
        await clients.open()
        session = litellm.aclient_session
        assert isinstance(session, httpx.AsyncClient)
        await clients.aclose()
        return session

    return asyncio.run(run())


def test_the_session_is_litellms_own_but_for_the_transport() -> None:
    session = opened()
    assert isinstance(session._transport, JoiningTransport)
    assert isinstance(session._transport._inner, LiteLLMAiohttpTransport)
    assert session.follow_redirects


def test_proxies_of_the_environment_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", "True")  # with it, proxies are the aiohttp session's own business
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "inner.test")
    session = opened()
    outer = session._transport_for_url(httpx.URL("https://api.openai.com/v1"))
    assert isinstance(outer, JoiningTransport)
    assert outer is not session._transport
    assert session._transport_for_url(httpx.URL("https://inner.test/v1")) is session._transport


def test_http2_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_HTTP2", "True")
    transport = opened()._transport
    assert isinstance(transport, JoiningTransport)
    assert isinstance(transport._inner, httpx.AsyncHTTPTransport)
    assert transport._inner._pool._http2


@pytest.mark.parametrize(("value", "expected"), [("False", False), ("True", True)])
def test_verification_is_kept(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("SSL_VERIFY", value)
    transport = opened()._transport
    assert isinstance(transport, JoiningTransport)
    assert isinstance(transport._inner, LiteLLMAiohttpTransport)
    assert (transport._inner._ssl_verify is not False) is expected


def test_a_session_of_the_operators_own_is_left_alone() -> None:
    async def run() -> None:
        litellm.aclient_session = theirs = httpx.AsyncClient()
        clients = JoiningClients(100)
        await clients.open()
        await clients.aclose()
        assert litellm.aclient_session is theirs
        assert not theirs.is_closed
        await theirs.aclose()

    asyncio.run(run())


def test_what_a_provider_sets_for_one_user_is_not_sent_with_anothers_request() -> None:
    sent: list[httpx.Headers] = []

    def provider(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers)
        return httpx.Response(200, headers={"set-cookie": "session=one; path=/"})

    async def run() -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(provider))
        await client.get("http://provider/")
        await client.get("http://provider/")
        assert sent[-1].get("cookie") == "session=one"  # as LiteLLM's own client would
        quiet = joined(client, Pressure(100))
        await quiet.get("http://provider/")
        await quiet.get("http://provider/")
        await quiet.aclose()

    asyncio.run(run())
    assert [headers.get("cookie") for headers in sent[2:]] == [None, None]
