"""Looks at what providers answer before LiteLLM does, under every HTTP client that LiteLLM makes."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from scalix.domain.answers.refusals import Refusals
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.bounded_answers import CODINGS, bound, read_error
from scalix.litellm_adapter.chat_servers import chat_servers
from scalix.litellm_adapter.client_urls import refuse_blocking_fetch
from scalix.litellm_adapter.large_answers import lifted_of, lightened, without_vectors
from scalix.litellm_adapter.provider_answers import ProviderAnswer
from scalix.litellm_adapter.provider_faults import broken_connection, note_broken, provider_error, short
from scalix.litellm_adapter.provider_notes import content_of, has_answered, note, warn_of_nonsense
from scalix.litellm_adapter.provider_redirects import staying, staying_blocking
from scalix.litellm_adapter.provider_stream import ReadStream
from scalix.service.exchange.attempts import Attempt, Seen
from scalix.service.exchange.calls import MOST_ANSWER_BYTES
from scalix.service.exchange.exchanges import CURRENT, Exchange

log = logging.getLogger("scalix.provider")

_PATHS = tuple(path for route in Route for path in route.row.provider_paths)
_STREAMED = ":streamGenerateContent"
_CHAT = Route.CHAT.row.path
_JSON = "application/json"
_EVENTS = ("content-type", "text/event-stream")
_FOR_A_TOKEN = ("/token", "/oauth", "/oauth2")  # OAuth 2.0
_NOT_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.PoolTimeout)
# Providers that LiteLLM asks without httpx.
_UNSEEN = frozenset({"aiohttp_openai", "petals"})
_OK, _BAD_GATEWAY = 200, 502
_ANSWERS = range(200, 300)
_NOT_OUR_KEY = (401, 403)
_ANSWERED = {"error": {"message": "This request has been answered", "type": "invalid_request_error"}}
_WRONG_KEY = {"error": {"message": "Incorrect API key provided", "type": "authentication_error"}}
_OF_THE_CODING = ("content-encoding", "content-length", "transfer-encoding")

Handle = Callable[[Any, httpx.Request], Awaitable[httpx.Response]]


def install_reading() -> None:
    """Read answers below LiteLLM's clients, whichever transport they use (LiteLLM 1.106.12 has these two), and note
    what leaves by those that block, which some providers' own clients use."""
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

    for transport in (LiteLLMAiohttpTransport, httpx.AsyncHTTPTransport):
        if not hasattr(transport.handle_async_request, "scalix"):
            setattr(transport, "handle_async_request", _reading(staying(transport.handle_async_request)))  # noqa: B010
    if not hasattr(httpx.HTTPTransport.handle_request, "scalix"):
        noting = _noting(staying_blocking(httpx.HTTPTransport.handle_request))
        setattr(httpx.HTTPTransport, "handle_request", noting)  # noqa: B010


def _noting(handle: Callable[[Any, httpx.Request], httpx.Response]) -> Callable[[Any, httpx.Request], httpx.Response]:
    def handle_request(self: Any, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get()
        if exchange is not None:
            refuse_blocking_fetch(exchange, request)
            _refuse_incomplete(exchange, request)
            _note_asked(exchange, request)
        return handle(self, request)

    handle_request.scalix = True  # type: ignore[attr-defined]
    return handle_request


def _refuse_incomplete(exchange: Exchange, request: httpx.Request) -> None:
    """LiteLLM leaves out of a tool's result what could not be fetched, and would send the rest."""
    if exchange.attempt.unfetched is not None and _asks(request):
        raise httpx.UnsupportedProtocol("a part of the client's request is missing", request=request)


def _note_asked(exchange: Exchange, request: httpx.Request) -> None:
    exchange.attempt.asked |= _asks(request)


def _asks(request: httpx.Request) -> bool:
    """Whether it is for the provider: what a client names in its request is fetched by GET, and a token for the account
    there comes from elsewhere."""
    return request.method != "GET" and not request.url.path.endswith(_FOR_A_TOKEN)


async def _send(handle: Handle, transport: Any, request: httpx.Request, exchange: Exchange) -> httpx.Response:
    attempt = exchange.attempt
    was_asked = attempt.asked
    _note_asked(exchange, request)
    try:
        _refuse_incomplete(exchange, request)
        return await handle(transport, request)
    except Exception as error:
        if isinstance(error, httpx.TransportError) and not isinstance(error, _NOT_SENT):
            if _asks(request):
                attempt.seen.error = broken_connection(error)
        else:
            # A URL or a header that can't be sent, or no place among our own connections.
            attempt.asked = was_asked
        raise


def _reading(handle: Handle) -> Handle:
    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get()
        request.headers["accept-encoding"] = CODINGS
        if exchange is None:
            return bound(await handle(self, request), MOST_ANSWER_BYTES)
        if _is_asked_again(exchange, request):
            return httpx.Response(400, json=_ANSWERED, request=request)
        if exchange.admission.call.rehearse is not None:
            _note_asked(exchange, request)
            return await read_response(exchange.admission.call.rehearse(request), request, exchange)
        attempt = exchange.attempt
        is_read = request.url.path.endswith(_PATHS)
        if is_read:
            attempt.seen = Seen()  # a former try's is forgotten
        sent = await _send(handle, self, request, exchange)
        is_events = is_read and _is_events(sent, request, exchange)
        is_streamed = exchange.admission.streamed and (is_events or not is_read)
        response = bound(sent, exchange.admission.call.most_answer_bytes, is_streamed=is_streamed, is_events=is_events)
        try:
            lifted = lifted_of(exchange) if exchange.admission.route is Route.EMBEDDINGS else None
            if lifted is not None and response.status_code in _ANSWERS and _asks(request):
                response = await without_vectors(response, request, lifted)
            if not is_read:
                return response
            if response.status_code >= 400:
                return await _read_refusal(response, request, exchange, attempt)
            if response.status_code not in _ANSWERS:
                return response
            return await read_response(response, request, exchange)
        except httpx.TransportError as error:
            note_broken(attempt, error)
            raise

    handle_async_request.scalix = True  # type: ignore[attr-defined]
    return handle_async_request


async def _read_refusal(
    response: httpx.Response, request: httpx.Request, exchange: Exchange, attempt: Attempt
) -> httpx.Response:
    response.request = request
    body = await read_error(response)
    error = provider_error(response.status_code, response.headers, body)
    attempt.seen.error = error
    if exchange.attempt is attempt:
        chat_servers.learn(exchange, request, error)
    if response.status_code in _NOT_OUR_KEY:
        # Whatever is said beside it, LiteLLM then asks no deployment again with the same key.
        return httpx.Response(401, json=_WRONG_KEY, request=request)
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_CODING]
    return httpx.Response(response.status_code, headers=headers, content=short(error, body), request=request)


def _is_asked_again(exchange: Exchange, request: httpx.Request) -> bool:
    """Whether LiteLLM asks the same once more after a whole answer, which it could not translate: that would cost as
    much again, for nothing."""
    if exchange.attempt.answer_is_too_large:
        return True
    # A list of prompts is asked one by one, and may hold one twice.
    is_one = exchange.admission.route.row.is_chat
    seen = exchange.attempt.seen
    return is_one and seen.answered_whole and bool(seen.sent) and seen.sent == content_of(request)


def is_unseen(call: Mapping[str, Any]) -> bool:
    """Whether a call to a deployment may go by a way that is not watched here: aiohttp without httpx, or a handler that
    the operator has written."""
    import litellm

    provider = call.get("custom_llm_provider") or str(call.get("model")).partition("/")[0]
    return provider in _UNSEEN or any(entry.get("provider") == provider for entry in litellm.custom_provider_map)


def _is_events(response: httpx.Response, request: httpx.Request, exchange: Exchange) -> bool:
    """Whether an answer is to be read as a stream of events. Some providers say of one that it is text, or nothing."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_whole = kind in (_JSON, "text/json") or kind.endswith("+json")
    return kind == "text/event-stream" or (not is_whole and _asks_for_events(request, exchange))


def _asks_for_events(request: httpx.Request, exchange: Exchange) -> bool:
    if not exchange.admission.streamed:
        return False
    body = content_of(request)
    return request.url.path.endswith(_STREAMED) or any(mark in body for mark in (b'"stream":true', b'"stream": true'))


async def read_response(response: httpx.Response, request: httpx.Request, exchange: Exchange) -> httpx.Response:
    """`response` as LiteLLM should have it. What it says of its usage is noted in `exchange`.

    A 200 that holds an error or nothing becomes an HTTP error, which LiteLLM understands on every route, and may still
    try again.
    """
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_CODING]
    # A retry or a fallback starts anew.
    answer = ProviderAnswer()
    attempt = exchange.attempt
    note(answer, attempt)
    response.request = request
    if not _is_events(response, request, exchange):
        whole = await response.aread()
        if exchange.admission.route is not Route.EMBEDDINGS:
            whole = lightened(whole, lifted_of(exchange))
        refusals = Refusals(exchange.admission.route)
        is_translated = exchange.admission.route is not Route.MESSAGES
        status, body = answer.whole(whole, refusals, is_translated=is_translated)
        attempt.refused = refusals.is_all
        note(answer, attempt)
        if status == _OK and has_answered(answer):
            attempt.seen.answered_whole, attempt.seen.sent = True, content_of(request)
        wants_events = status == _OK and _asks_for_events(request, exchange)
        if not wants_events or not request.url.path.endswith(_CHAT):
            status = _BAD_GATEWAY if wants_events else status  # nobody would find an event in it
            warn_of_nonsense(answer, exchange)
            if status != _OK:
                headers = _as_json(headers)
            return _response(status, body, headers, request, exchange, attempt)
        # A server that does not stream: its answer is the only event.
        answer, headers = ProviderAnswer(), [_EVENTS]
        note(answer, attempt)
        event = b"data: " + body.replace(b"\n", b" ") + b"\n\ndata: [DONE]\n\n"
        response = httpx.Response(_OK, headers=headers, content=event, request=request)
    stream = ReadStream(response, request, answer, exchange)
    attempt.hang_up = stream.aclose
    failed = await stream.open()
    if failed is None:
        attempt.on_open()
        return httpx.Response(200, headers=headers, stream=stream, request=request, extensions=response.extensions)
    await stream.aclose()
    return _response(failed, stream.failure, _as_json(headers), request, exchange, attempt)


def _as_json(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*((name, value) for name, value in headers if name != "content-type"), ("content-type", _JSON)]


def _response(
    status: int,
    body: bytes,
    headers: list[tuple[str, str]],
    request: httpx.Request,
    exchange: Exchange,
    attempt: Attempt,
) -> httpx.Response:
    if status != _OK:
        error = provider_error(status, httpx.Headers(headers), body)
        attempt.seen.error = error
        log.warning(
            "request %s: the provider answered 200 with an error, with nothing, or with a page",
            exchange.admission.request_id,
        )
        body = short(error, body)
    return httpx.Response(status, headers=headers, content=body, request=request)
