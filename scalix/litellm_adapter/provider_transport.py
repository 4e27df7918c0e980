"""Sees what LiteLLM sends to providers and what they answer, below every HTTP client that LiteLLM makes."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, cast

import httpx
from aiohttp.client_proto import ResponseHandler

from scalix.litellm_adapter.bounded_answers import CODINGS, bound
from scalix.litellm_adapter.broken_framing import telling
from scalix.litellm_adapter.catching import Caught, is_caught
from scalix.litellm_adapter.client_urls import refuse_blocking_fetch
from scalix.litellm_adapter.provider_calls import Answered, ProviderCall, asks_provider, refuse_incomplete
from scalix.litellm_adapter.provider_redirects import elsewhere, kept_here, leads_away
from scalix.litellm_adapter.wire import Came, own_headers
from scalix.service.exchange.calls import MOST_ANSWER_BYTES
from scalix.service.exchange.exchanges import CURRENT, Exchange

# Providers that LiteLLM asks without httpx.
_UNSEEN = frozenset({"aiohttp_openai", "petals"})

_OF_THE_CODING = ("content-encoding", "content-length", "transfer-encoding")

Handle = Callable[[Any, httpx.Request], Awaitable[httpx.Response]]
BlockingHandle = Callable[[Any, httpx.Request], httpx.Response]


def install_reading() -> None:
    """Put it around the transports under LiteLLM's clients (LiteLLM 1.106.12 has these two), and around the one of
    clients that block, which some providers' own clients use."""
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

    for transport in (LiteLLMAiohttpTransport, httpx.AsyncHTTPTransport):
        _put_around(transport, "handle_async_request", watched)
    _put_around(httpx.HTTPTransport, "handle_request", watched_blocking)
    _put_around(ResponseHandler, "set_exception", telling)


def _put_around(kind: type, name: str, watch: Callable[[Any], Any]) -> None:
    own = getattr(kind, name)
    if not hasattr(own, "scalix"):
        watching = watch(own)
        watching.scalix = True
        setattr(kind, name, watching)


def watched(handle: Handle) -> Handle:
    """`handle` of a transport, with what is asked and answered seen on the way."""

    @wraps(handle)
    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        if is_caught():
            raise Caught(request)
        exchange = CURRENT.get()
        request.headers["accept-encoding"] = CODINGS

        async def ask() -> httpx.Response:
            return await kept_here(request, await handle(self, request))

        if exchange is None:
            return bound(await ask(), MOST_ANSWER_BYTES)
        _add_own_headers(exchange, request)
        return as_response(await ProviderCall(exchange, request).answer(ask), request)

    return handle_async_request


def as_response(answered: Answered | Came, request: httpx.Request) -> httpx.Response:
    """An answer for a client of `httpx`."""
    if not isinstance(answered, Answered):
        return cast(httpx.Response, answered)
    status, body, came, kind = answered
    given = came.headers.multi_items() if came is not None else ()
    left_out = _OF_THE_CODING if kind is None else (*_OF_THE_CODING, "content-type")
    headers = [item for item in given if item[0] not in left_out]
    if kind is not None:
        headers.append(("content-type", kind))
    if isinstance(body, bytes):
        return httpx.Response(status, headers=headers, content=body, request=request)
    return httpx.Response(status, headers=headers, stream=body, request=request)


def watched_blocking(handle: BlockingHandle) -> BlockingHandle:
    """The same for a transport that blocks, whose answers are not read."""

    def handle_request(self: Any, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get()
        if exchange is not None:
            refuse_blocking_fetch(exchange, request)
            refuse_incomplete(exchange, request)
            _add_own_headers(exchange, request)
            exchange.attempt.asked |= asks_provider(request)
        response = handle(self, request)
        if not leads_away(request, response):
            return response
        response.close()
        return elsewhere(request)

    return handle_request


def _add_own_headers(exchange: Exchange, request: httpx.Request) -> None:
    if asks_provider(request):
        request.headers.update(own_headers(exchange))


def is_unseen(call: Mapping[str, Any]) -> bool:
    """Whether a call to a deployment may go by a way that is not watched here: aiohttp without httpx, or a handler that
    the operator has written."""
    import litellm

    provider = call.get("custom_llm_provider") or str(call.get("model")).partition("/")[0]
    return provider in _UNSEEN or any(entry.get("provider") == provider for entry in litellm.custom_provider_map)
