"""The HTTP client of all that LiteLLM calls through OpenAI's SDK: one for every deployment, and without cookies."""

import sys
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import litellm
from litellm.llms.openai.common_utils import BaseOpenAILLM


class SharedClient:
    """The client that LiteLLM would make itself (proxies, `verify`, HTTP/2, timeouts, its session with its connection
    limits). What a provider sets in the answer to one user is not sent along with another's request."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Give it to LiteLLM. Call it on the loop that serves, once LiteLLM has read its settings."""
        if litellm.aclient_session is not None or litellm.network_mock:
            return
        # The proxy's module, if it is there: it has one session for all of its calls.
        proxy = sys.modules.get("litellm.proxy.proxy_server")
        client = BaseOpenAILLM.get_async_http_client(shared_session=getattr(proxy, "shared_aiohttp_session", None))
        if client is not None:
            client.cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
            litellm.aclient_session = self._client = client

    async def aclose(self) -> None:
        """Take it back and close it."""
        if self._client is not None:
            if litellm.aclient_session is self._client:
                litellm.aclient_session = None
            await self._client.aclose()
