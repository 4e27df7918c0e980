"""Looks at what providers answer before LiteLLM does, under every HTTP client that LiteLLM makes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import orjson

from scalix.domain.stream_events import EventSplitter
from scalix.litellm_adapter.provider_answers import ProviderAnswer, event_failure_status, is_substantial
from scalix.litellm_adapter.reports import seconds
from scalix.service.exchanges import CURRENT, Exchange, ProviderError

log = logging.getLogger("scalix.provider")

_PATHS = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/responses",
    "/messages",
    ":generateContent",
    ":streamGenerateContent",
)
_OK, _BAD_GATEWAY = 200, 502
OPENING_S = 1.0
_OF_THE_CODING = ("content-encoding", "content-length", "transfer-encoding")

Handle = Callable[[Any, httpx.Request], Awaitable[httpx.Response]]


def install_reading() -> None:
    """Read answers below LiteLLM's clients, whichever transport they use (LiteLLM 1.106.2 has these two)."""
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

    for transport in (LiteLLMAiohttpTransport, httpx.AsyncHTTPTransport):
        if not hasattr(transport.handle_async_request, "scalix"):
            setattr(transport, "handle_async_request", _reading(transport.handle_async_request))  # noqa: B010


def _reading(handle: Handle) -> Handle:
    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get()
        if exchange is not None:
            exchange.provider_error = None  # an earlier attempt's
        response = await handle(self, request)
        if exchange is None or not request.url.path.endswith(_PATHS):
            return response
        if response.status_code >= 400:
            response.request = request
            exchange.provider_error = provider_error(response.status_code, response.headers, await response.aread())
        if response.status_code != _OK:
            return response
        return await read_response(response, request, exchange)

    handle_async_request.scalix = True  # type: ignore[attr-defined]
    return handle_async_request


def provider_error(status: int, headers: httpx.Headers, body: bytes) -> ProviderError:
    """An error answer, read: `{"error": {"message"}}` as most send it, or near it."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    inner = answer.get("error", answer) if isinstance(answer, dict) else answer
    message = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return ProviderError(status, message if isinstance(message, str) else "", seconds(headers.get("retry-after")))


async def read_response(response: httpx.Response, request: httpx.Request, exchange: Exchange) -> httpx.Response:
    """`response` as LiteLLM should have it. What it says of its usage is noted in `exchange`.

    A 200 that holds an error or nothing becomes an HTTP error, which LiteLLM understands on every route, and may still
    try again.
    """
    kind = response.headers.get("content-type", "")
    if not kind.startswith(("application/json", "text/event-stream")):
        return response
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_CODING]
    # A retry or a fallback starts anew.
    answer = ProviderAnswer()
    _note(answer, exchange)
    response.request = request
    if not kind.startswith("text/event-stream"):
        status, body = answer.whole(await response.aread())
        _note(answer, exchange)
        _warn_of_nonsense(answer, exchange)
        return _response(status, body, headers, request, exchange)
    stream = _ReadStream(response, answer, exchange)
    exchange.hang_up = stream.aclose
    failed = await stream.open()
    if failed is None:
        return httpx.Response(200, headers=headers, stream=stream, request=request, extensions=response.extensions)
    await stream.aclose()
    headers = [(name, value) for name, value in headers if name != "content-type"]
    return _response(failed, b"{}", [*headers, ("content-type", "application/json")], request, exchange)


def _response(
    status: int, body: bytes, headers: list[tuple[str, str]], request: httpx.Request, exchange: Exchange
) -> httpx.Response:
    if status != _OK:
        exchange.provider_error = provider_error(status, httpx.Headers(headers), body)
        log.warning("request %s: the provider answered 200 with an error, or with nothing", exchange.request_id)
    return httpx.Response(status, headers=headers, content=body, request=request)


def _note(answer: ProviderAnswer, exchange: Exchange) -> None:
    exchange.usage_is_providers = answer.usage is not None
    exchange.provider_usage = answer.usage
    exchange.provider_prompt_tokens = answer.prompt_tokens


def _warn_of_nonsense(answer: ProviderAnswer, exchange: Exchange) -> None:
    if answer.nonsense:
        log.warning("request %s: the usage that the provider states can't be true", exchange.request_id)


class _ReadStream(httpx.AsyncByteStream):
    """A provider's event stream, event by event."""

    def __init__(self, response: httpx.Response, answer: ProviderAnswer, exchange: Exchange) -> None:
        self._response = response
        self._answer = answer
        self._exchange = exchange
        self._pieces = self._read()
        self._opening: asyncio.Task[tuple[bytes, int | None]] | None = None

    async def open(self) -> int | None:
        """Waits for the first event that brings something. The HTTP status of a stream that fails before it, else
        `None`. Raises what `httpx` raises.

        A provider that has begun and then thinks is waited for `OPENING_S` only, so that its signs of life pass.
        """
        self._opening = asyncio.ensure_future(self._read_opening())
        try:
            done, _ = await asyncio.wait((self._opening,), timeout=OPENING_S)
        except asyncio.CancelledError:
            self._opening.cancel()
            raise
        return self._opening.result()[1] if done else None

    async def _read_opening(self) -> tuple[bytes, int | None]:
        opening: list[bytes] = []
        async for events in self._pieces:
            opening += events
            for event in events:
                if (status := event_failure_status(event)) is not None:
                    return b"", status
                if is_substantial(event):
                    return b"".join(opening), None
        return b"", _BAD_GATEWAY

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._opening is not None:
            opening, failed = await self._opening
            if failed is not None:
                # LiteLLM knows this as a stream that broke off, which it is.
                raise httpx.ReadError("the provider's stream had nothing in it", request=self._response.request)
            yield opening
        async for events in self._pieces:
            yield b"".join(events)

    async def _read(self) -> AsyncIterator[list[bytes]]:
        splitter, answer, exchange = EventSplitter(), self._answer, self._exchange
        async for piece in self._response.aiter_bytes():
            if events := splitter.feed(piece):
                mended = [answer.event(event) for event in events]
                # What is known must be noted before LiteLLM can act on the end of the stream.
                _note(answer, exchange)
                yield mended
        if rest := splitter.rest():
            mended = [answer.event(rest)]
            _note(answer, exchange)
            yield mended
        _warn_of_nonsense(answer, exchange)

    async def aclose(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        await self._response.aclose()
