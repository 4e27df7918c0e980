"""Sends the direct engine's requests through the session that is under LiteLLM's own clients.

Its pool, its certificates, its proxies and the bounds of its connections hold; the objects that LiteLLM's transport
makes for `httpx` on the way are left out. Where an operator has LiteLLM ask by `httpx` itself, so do we.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
from aiohttp import ClientResponse, ClientTimeout
from multidict import CIMultiDict
from yarl import URL

from scalix.litellm_adapter.bounded_answers import CODINGS
from scalix.litellm_adapter.provider_redirects import REDIRECTS, kept_here
from scalix.litellm_adapter.wire import Came

if TYPE_CHECKING:
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport


@dataclass(slots=True)
class Target:
    """Where requests of one kind go, and all of them that is not their content."""

    url: httpx.URL
    headers: httpx.Headers
    extensions: Mapping[str, Any]
    options: dict[str, Any] | None = None  # the same in the words of the session, once a request has gone there


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """One request of the direct engine. `own` are headers that no other request of its kind has."""

    target: Target
    method: ClassVar[str] = "POST"
    content: bytes
    own: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> httpx.URL:
        return self.target.url

    @property
    def headers(self) -> httpx.Headers:
        return self.target.headers

    def moved(self, location: str) -> "DirectRequest":
        """The same for where its host has moved it."""
        there = Target(self.url.join(location), self.headers, self.target.extensions)
        return replace(self, target=there)


class DirectClient:
    """Asks by what is under `client`, which is LiteLLM's: its cookies, redirects and hooks are not wanted here."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

        transport = client._transport
        if isinstance(transport, LiteLLMAiohttpTransport):
            self._ask: Callable[[DirectRequest], Awaitable[Came]] = partial(_by_session, transport)
        else:
            self._ask = partial(_by_httpx, client)

    async def send(self, request: DirectRequest) -> Came:
        """The answer as it comes, or an error in place of a redirect to elsewhere. Raises `httpx.TransportError`."""
        return await kept_here(request, await self._ask(request))


async def _by_session(transport: "LiteLLMAiohttpTransport", request: DirectRequest) -> Came:
    from litellm.llms.custom_httpx.aiohttp_transport import map_aiohttp_exceptions

    target = request.target
    if target.options is None:
        target.options = await _options(transport, target)
    with map_aiohttp_exceptions():
        session = transport.get_valid_client_session()
        options = target.options
        if request.own:
            options = {**options, "headers": CIMultiDict([*options["headers"].items(), *request.own])}
        return _SessionAnswer(await session.request(request.method, data=request.content, **options))


async def _options(transport: "LiteLLMAiohttpTransport", target: Target) -> dict[str, Any]:
    """What LiteLLM's transport gives the session beside the content."""
    timeout_s = target.extensions.get("timeout", {})
    options = {
        "url": URL(str(target.url), encoded=True),
        "headers": CIMultiDict([*target.headers.multi_items(), ("accept-encoding", CODINGS)]),
        "allow_redirects": False,
        "auto_decompress": False,
        "timeout": ClientTimeout(
            sock_connect=timeout_s.get("connect"), sock_read=timeout_s.get("read"), connect=timeout_s.get("pool")
        ),
        "proxy": await transport._get_proxy_settings(httpx.Request(DirectRequest.method, target.url)),
        "server_hostname": target.extensions.get("sni_hostname"),
    }
    return options if transport._ssl_verify is None else {**options, "ssl": transport._ssl_verify}


async def _by_httpx(client: httpx.AsyncClient, request: DirectRequest) -> httpx.Response:
    transport = client._transport_for_url(request.url)  # a proxy has its own
    headers = [*request.headers.multi_items(), ("accept-encoding", CODINGS), *request.own]
    extensions = dict(request.target.extensions)
    sent = httpx.Request(request.method, request.url, headers=headers, content=request.content, extensions=extensions)
    handle = inspect.unwrap(type(transport).handle_async_request)  # what is asked and answered is seen above it
    response: httpx.Response = await handle(transport, sent)
    return response


class _Headers(CIMultiDict[str]):
    """Headers that can be listed as those of `httpx`."""

    def multi_items(self) -> list[tuple[str, str]]:
        return [(name.lower(), value) for name, value in self.items()]


class _SessionAnswer:
    """An answer as the session has it."""

    def __init__(self, response: ClientResponse) -> None:
        from litellm.llms.custom_httpx.aiohttp_transport import AiohttpResponseStream

        self.status_code = response.status
        self.headers = _Headers(response.headers)
        self.stream: Any = AiohttpResponseStream(response)

    @property
    def has_redirect_location(self) -> bool:
        return self.status_code in REDIRECTS and "location" in self.headers

    async def aread(self) -> bytes:
        return b"".join([piece async for piece in self.stream])

    async def aclose(self) -> None:
        await self.stream.aclose()
