"""The HTTP clients that LiteLLM uses, with the gateway's reading under them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import pytest
from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

from scalix.litellm_adapter.bridge import bridge
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.shared_client import SharedClient
from scalix.service.answers.pressure import Pressure
from scalix.service.exchange.exchanges import CURRENT
from tests.demo_server import DemoServer, demo_server
from tests.exchanges import made_exchange

__all__ = ["demo_server"]

# Those of LiteLLM's providers that stream OpenAI's format without OpenAI's SDK.
WITH_A_HANDLER = (
    "deepseek",
    "fireworks_ai",
    "groq",
    "hosted_vllm",
    "mistral",
    "openrouter",
    "together_ai",
    "xai",
)
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


@pytest.mark.parametrize("model", ["openai/m", *(f"{name}/some/model" for name in WITH_A_HANDLER)])
def test_what_litellm_streams_in_openais_format_is_joined(
    demo_server: DemoServer, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> tuple[list[str], list[str]]:
        plain = await streamed(demo_server, model, "one")
        client = SharedClient()
        await client.open()
        monkeypatch.setattr(bridge, "pressure", Pressure(100))
        token = CURRENT.set(made_exchange())
        joined = await streamed(demo_server, model, "two")
        CURRENT.reset(token)
        await client.aclose()
        assert litellm.aclient_session is None
        return joined, plain

    install_reading()
    joined, plain = asyncio.run(run())
    assert "".join(joined) == "".join(plain)
    assert len(plain) == 300
    assert len(joined) < 30


def opened() -> httpx.AsyncClient:
    """The session that LiteLLM would use, made on a loop of its own; closed already."""

    async def run() -> httpx.AsyncClient:
        client = SharedClient()
        await client.open()
        session = litellm.aclient_session
        assert isinstance(session, httpx.AsyncClient)
        await client.aclose()
        return session

    return asyncio.run(run())


def test_the_session_is_litellms_own() -> None:
    session = opened()
    assert isinstance(session._transport, LiteLLMAiohttpTransport)
    assert session.follow_redirects


def test_proxies_of_the_environment_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", "True")  # with it, proxies are the aiohttp session's own business
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "inner.test")
    session = opened()
    assert session._transport_for_url(httpx.URL("https://api.openai.com/v1")) is not session._transport
    assert session._transport_for_url(httpx.URL("https://inner.test/v1")) is session._transport


def test_http2_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_HTTP2", "True")
    transport = opened()._transport
    assert isinstance(transport, httpx.AsyncHTTPTransport)
    assert transport._pool._http2


@pytest.mark.parametrize(("value", "expected"), [("False", False), ("True", True)])
def test_verification_is_kept(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("SSL_VERIFY", value)
    transport = opened()._transport
    assert isinstance(transport, LiteLLMAiohttpTransport)
    assert (transport._ssl_verify is not False) is expected


def test_a_session_of_the_operators_own_is_left_alone() -> None:
    async def run() -> None:
        litellm.aclient_session = theirs = httpx.AsyncClient()
        client = SharedClient()
        await client.open()
        await client.aclose()
        assert litellm.aclient_session is theirs
        assert not theirs.is_closed
        await theirs.aclose()

    asyncio.run(run())


def test_what_a_provider_sets_for_one_user_is_not_sent_with_anothers_request() -> None:
    sent: list[httpx.Headers] = []

    def provider(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers)
        return httpx.Response(200, headers={"set-cookie": "session=one; path=/"})

    async def ask_twice(client: httpx.AsyncClient) -> None:
        client._transport = httpx.MockTransport(provider)
        await client.get("http://provider/")
        await client.get("http://provider/")

    async def run() -> None:
        async with httpx.AsyncClient() as client:
            await ask_twice(client)
        assert sent[-1].get("cookie") == "session=one"  # as LiteLLM's own client would
        shared = SharedClient()
        await shared.open()
        assert litellm.aclient_session is not None
        await ask_twice(litellm.aclient_session)
        await shared.aclose()

    asyncio.run(run())
    assert [headers.get("cookie") for headers in sent[2:]] == [None, None]
