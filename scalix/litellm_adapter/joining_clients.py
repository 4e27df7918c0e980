"""Puts the joining transport under the HTTP clients that LiteLLM uses for OpenAI-format streams.

LiteLLM 1.106.12 has two ways to a provider. What it calls through OpenAI's SDK uses `litellm.aclient_session` when
that is set. The others use an `AsyncHTTPHandler`, which a call may bring as its `client`. Both are given the client
that LiteLLM would have made itself (proxies, `verify`, HTTP/2, timeouts, redirects, its shared session with its
connection limits), with only the transport wrapped.
"""

import sys
from typing import Any

import httpx
import litellm
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
from litellm.llms.openai.common_utils import BaseOpenAILLM

from scalix.litellm_adapter.joining_transport import JoiningTransport
from scalix.litellm_adapter.pressure import Pressure

# Those of LiteLLM's providers that stream OpenAI's format through an AsyncHTTPHandler.
_PROVIDERS_WITH_HANDLER = frozenset(
    {
        "deepseek",
        "openrouter",
        "hosted_vllm",
        "fireworks_ai",
        "together_ai",
        "groq",
        "xai",
        "mistral",
    }
)


class JoiningClients:
    """The clients of one process. `window_ms` is the longest that a delta may wait for others."""

    def __init__(self, window_ms: int) -> None:
        self._pressure = Pressure(window_ms)
        self._session: httpx.AsyncClient | None = None
        self._handlers: dict[Any, AsyncHTTPHandler] = {}

    async def open(self) -> None:
        """Give LiteLLM the session. Call it on the loop that serves, once LiteLLM has read its settings."""
        if litellm.aclient_session is not None or litellm.network_mock:
            return
        # The proxy's module, if it is there: it has one session for all of its calls.
        proxy = sys.modules.get("litellm.proxy.proxy_server")
        client = BaseOpenAILLM.get_async_http_client(shared_session=getattr(proxy, "shared_aiohttp_session", None))
        if client is not None:
            litellm.aclient_session = self._session = joined(client, self._pressure)

    def handler(self, provider_model: str, ssl_verify: Any) -> AsyncHTTPHandler | None:
        """The handler for a streamed call to `provider_model`, such as `deepseek/x`; `None` if LiteLLM's own does.

        `ssl_verify` is the deployment's.
        """
        if provider_model.partition("/")[0] not in _PROVIDERS_WITH_HANDLER:
            return None
        if ssl_verify not in self._handlers:
            self._handlers[ssl_verify] = _JoiningHandler(self._pressure, ssl_verify)
        return self._handlers[ssl_verify]

    async def aclose(self) -> None:
        """Take the session back and close what is ours."""
        if self._session is not None:
            if litellm.aclient_session is self._session:
                litellm.aclient_session = None
            await self._session.aclose()
        for handler in self._handlers.values():
            await handler.close()


class _JoiningHandler(AsyncHTTPHandler):
    def __init__(self, pressure: Pressure, ssl_verify: Any) -> None:
        self._pressure = pressure
        super().__init__(ssl_verify=ssl_verify)

    def create_client(self, *args: Any, **kwargs: Any) -> httpx.AsyncClient:
        return joined(super().create_client(*args, **kwargs), self._pressure)


class _NoCookies(httpx.Cookies):
    """What a provider sets in the answer to one user is not sent along with another's request. And looking for it costs
    two objects a request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass

    def set_cookie_header(self, request: httpx.Request) -> None:
        pass


def joined(client: httpx.AsyncClient, pressure: Pressure) -> httpx.AsyncClient:
    """The same client with our transport over each of its transports, those to proxies included, and no cookies."""
    client._cookies = _NoCookies()
    client._transport = JoiningTransport(client._transport, pressure)
    client._mounts = {pattern: inner and JoiningTransport(inner, pressure) for pattern, inner in client._mounts.items()}
    return client
