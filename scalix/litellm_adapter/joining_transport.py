"""A transport under LiteLLM's OpenAI client that joins stream deltas which are waiting already."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import orjson

from scalix.domain.stream_events import EventSplitter
from scalix.domain.stream_joining import Joiner
from scalix.litellm_adapter.pressure import Pressure

DEFAULT_WINDOW_MS = 100
# So many events in one read mean that they have been waiting for us.
_WAITING_EVENTS = 4
_JOINED_PATHS = ("/chat/completions", "/completions")


class JoiningTransport(httpx.AsyncBaseTransport):
    """Passes everything through to `inner`; only OpenAI-format event streams are read event by event."""

    def __init__(self, inner: httpx.AsyncBaseTransport, pressure: Pressure) -> None:
        self._inner = inner
        self._pressure = pressure
        self._joiner = Joiner(orjson.loads, orjson.dumps)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if _is_joinable(request, response):
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = _JoinedStream(response.stream, self._joiner, self._pressure)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_joinable(request: httpx.Request, response: httpx.Response) -> bool:
    return (
        response.headers.get("content-type", "").startswith("text/event-stream")
        and response.headers.get("content-encoding", "identity") == "identity"
        and request.url.path.endswith(_JOINED_PATHS)
    )


class _JoinedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, joiner: Joiner, pressure: Pressure) -> None:
        self._inner = inner
        self._joiner = joiner
        self._pressure = pressure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        splitter = EventSplitter()
        pressure = self._pressure
        pressure.opened()
        try:
            async for piece in self._inner:
                events = splitter.feed(piece)
                window_s = pressure.window_s()
                if len(events) >= _WAITING_EVENTS or (window_s and len(events) > 1):
                    events = self._joiner.join(events)
                passed_on = time.monotonic()
                if events:
                    yield b"".join(events)
                if window_s:
                    # Not reading is what collects: the next read takes all that has come by then.
                    await asyncio.sleep(max(0.0, window_s - (time.monotonic() - passed_on)))
            if rest := splitter.rest():
                yield rest
        finally:
            pressure.closed()

    async def aclose(self) -> None:
        await self._inner.aclose()


def install_joining(window_ms: int = DEFAULT_WINDOW_MS) -> None:
    """Give LiteLLM's OpenAI clients a session like the one that they would have made, over our transport.

    The arguments are those of `BaseOpenAILLM._get_async_http_client` in LiteLLM 1.106.2: proxies, `verify`, HTTP/2 and
    redirects stay as they were. Timeouts are set per request.
    """
    import ssl

    import litellm
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, get_ssl_configuration, http2_enabled

    verify = get_ssl_configuration()
    transport = AsyncHTTPHandler.create_async_transport(
        ssl_context=verify if isinstance(verify, ssl.SSLContext) else None,
        ssl_verify=verify if isinstance(verify, bool) else None,
    )
    pressure = Pressure(window_ms)
    mounts = AsyncHTTPHandler.create_httpx_proxy_mounts(transport, verify=verify, cert=None) or {}
    litellm.aclient_session = httpx.AsyncClient(
        verify=verify,
        transport=JoiningTransport(transport or httpx.AsyncHTTPTransport(verify=verify), pressure),
        mounts={pattern: inner and JoiningTransport(inner, pressure) for pattern, inner in mounts.items()},
        follow_redirects=True,
        http2=http2_enabled(),
    )
