"""Looks at what providers answer before LiteLLM does, under every HTTP client that LiteLLM makes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import httpx
import orjson

from scalix.domain.answers.provider_streams import ProviderStream
from scalix.domain.failures import kind_of_body
from scalix.domain.requests.routes import Route
from scalix.domain.requests.stream_events import EventSplitter
from scalix.litellm_adapter.bounded_answers import CODINGS, TooLarge, bound, read_error
from scalix.litellm_adapter.chat_servers import chat_servers
from scalix.litellm_adapter.client_urls import refuse_blocking_fetch
from scalix.litellm_adapter.joining_transport import FULL_READ_BYTES, JOINED_PATHS
from scalix.litellm_adapter.large_answers import check_values, lifted_of, lightened, without_vectors
from scalix.litellm_adapter.provider_answers import (
    ProviderAnswer,
    event_failure,
    event_failure_status,
    is_comment,
    is_done,
    is_over,
    is_ping,
    is_substantial,
)
from scalix.litellm_adapter.provider_redirects import staying, staying_blocking
from scalix.litellm_adapter.reports import seconds
from scalix.service.exchange.exchanges import (
    CURRENT,
    MOST_ANSWER_BYTES,
    NO_CONNECTION,
    Exchange,
    ProviderError,
)

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
_STREAMED = _PATHS[-1]
_JSON = "application/json"
_FOR_A_TOKEN = ("/token", "/oauth", "/oauth2")  # OAuth 2.0
_NOT_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.PoolTimeout)
# Providers that LiteLLM asks without httpx.
_UNSEEN = frozenset({"aiohttp_openai", "petals"})
_OK, _BAD_GATEWAY, _GATEWAY_TIMEOUT = 200, 502, 504
_ANSWERS = range(200, 300)
_NOT_OUR_KEY = (401, 403)
_ANSWERED = {"error": {"message": "This request has been answered", "type": "invalid_request_error"}}
_WRONG_KEY = {"error": {"message": "Incorrect API key provided", "type": "authentication_error"}}
OPENING_S = 1.0
MOST_AT_ONCE = 8  # events
# Some providers state the usage after the end of their stream, where LiteLLM has stopped reading.
AFTER_DONE_S = 0.25
MOST_OPENING_BYTES = 256 * 1024
_LONGEST_ERROR_BYTES = 4096
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
    if exchange.unfetched is not None and _asks(request):
        raise httpx.UnsupportedProtocol("a part of the client's request is missing", request=request)


def _note_asked(exchange: Exchange, request: httpx.Request) -> None:
    exchange.asked = exchange.asked or _asks(request)


def _asks(request: httpx.Request) -> bool:
    """Whether it is for the provider: what a client names in its request is fetched by GET, and a token for the account
    there comes from elsewhere."""
    return request.method != "GET" and not request.url.path.endswith(_FOR_A_TOKEN)


async def _send(handle: Handle, transport: Any, request: httpx.Request, exchange: Exchange) -> httpx.Response:
    attempt, was_asked = exchange.attempt, exchange.asked
    _note_asked(exchange, request)
    try:
        _refuse_incomplete(exchange, request)
        return await handle(transport, request)
    except Exception as error:
        if isinstance(error, httpx.TransportError) and not isinstance(error, _NOT_SENT):
            if _asks(request):
                _note_error(exchange, attempt, broken_connection(error))
        elif exchange.attempt == attempt:
            # A URL or a header that can't be sent, or no place among our own connections.
            exchange.asked = was_asked
        raise


def _reading(handle: Handle) -> Handle:
    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get()
        request.headers["accept-encoding"] = CODINGS
        if exchange is None:
            return bound(await handle(self, request), MOST_ANSWER_BYTES)
        if _is_asked_again(exchange, request):
            return httpx.Response(400, json=_ANSWERED, request=request)
        if exchange.rehearse is not None:
            _note_asked(exchange, request)
            return await read_response(exchange.rehearse(request), request, exchange)
        attempt = exchange.attempt
        is_read = request.url.path.endswith(_PATHS)
        if is_read:
            forget_answer(exchange)  # a former try's
        sent = await _send(handle, self, request, exchange)
        is_events = is_read and _is_events(sent, request, exchange)
        is_streamed = exchange.streamed and (is_events or not is_read)
        response = bound(sent, exchange.most_answer_bytes, is_streamed=is_streamed, is_events=is_events)
        try:
            lifted = lifted_of(exchange) if exchange.route is Route.EMBEDDINGS else None
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
            _note_broken(exchange, attempt, error)
            raise

    handle_async_request.scalix = True  # type: ignore[attr-defined]
    return handle_async_request


async def _read_refusal(
    response: httpx.Response, request: httpx.Request, exchange: Exchange, attempt: int
) -> httpx.Response:
    response.request = request
    body = await read_error(response)
    error = provider_error(response.status_code, response.headers, body)
    _note_error(exchange, attempt, error)
    if exchange.attempt == attempt:
        chat_servers.learn(exchange, request, error)
    if response.status_code in _NOT_OUR_KEY:
        # Whatever is said beside it, LiteLLM then asks no deployment again with the same key.
        return httpx.Response(401, json=_WRONG_KEY, request=request)
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_CODING]
    return httpx.Response(response.status_code, headers=headers, content=_short(error, body), request=request)


def _is_asked_again(exchange: Exchange, request: httpx.Request) -> bool:
    """Whether LiteLLM asks the same once more after a whole answer, which it could not translate: that would cost as
    much again, for nothing."""
    if exchange.answer_is_too_large:
        return True
    # A list of prompts is asked one by one, and may hold one twice.
    is_one = exchange.route not in (Route.COMPLETIONS, Route.EMBEDDINGS)
    return is_one and exchange.answered_whole and bool(exchange.sent) and exchange.sent == _content(request)


def _content(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return b""


def forget_answer(exchange: Exchange) -> None:
    """Whatever is asked now answers anew, maybe in a format that nobody reads here."""
    exchange.answered_whole, exchange.sent = False, b""
    exchange.provider_error = None
    exchange.usage_is_providers = None
    exchange.provider_usage = None
    exchange.provider_prompt_tokens = None


def is_unseen(call: Mapping[str, Any]) -> bool:
    """Whether a call to a deployment may go by a way that is not watched here: aiohttp without httpx, or a handler that
    the operator has written."""
    import litellm

    provider = call.get("custom_llm_provider") or str(call.get("model")).partition("/")[0]
    return provider in _UNSEEN or any(entry.get("provider") == provider for entry in litellm.custom_provider_map)


def _is_not_connected(error: httpx.TransportError) -> bool:
    """Whether no connection could be made. LiteLLM's aiohttp transport has the same error for one that broke, which a
    request may bring about."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)


def broken_connection(error: httpx.TransportError) -> ProviderError:
    """What came of a call that had no answer, or half of one, as if it were one."""
    if _is_not_connected(error):
        return ProviderError(_BAD_GATEWAY, "", kind=NO_CONNECTION)
    status = _GATEWAY_TIMEOUT if isinstance(error, httpx.TimeoutException) else _BAD_GATEWAY
    return ProviderError(status, "", kind="TimeoutException" if status == _GATEWAY_TIMEOUT else "TransportError")


def _note_broken(exchange: Exchange, attempt: int, error: httpx.TransportError) -> None:
    _note_error(exchange, attempt, broken_connection(error))
    if isinstance(error, TooLarge) and exchange.attempt == attempt:
        exchange.answered_whole = exchange.answer_is_too_large = True


def _note_error(exchange: Exchange, attempt: int, error: ProviderError) -> None:
    if exchange.attempt == attempt:
        exchange.provider_error = error


def provider_error(status: int, headers: httpx.Headers, body: bytes) -> ProviderError:
    """An error answer, read: `{"error": {"message"}}` as most send it, or near it."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    first = answer[0] if isinstance(answer, list) and answer else answer  # Gemini's streams are lists
    inner = first.get("error", first) if isinstance(first, dict) else first
    message = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return ProviderError(
        status,
        message if isinstance(message, str) else "",
        seconds(headers.get("retry-after")) or retry_delay_s(inner),
        kind_of_body(answer)[:_LONGEST_ERROR_BYTES],
    )


def retry_delay_s(error: Any) -> int | None:
    """Gemini's word for a Retry-After: `{"details": [{"retryDelay": "34s"}]}`."""
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return seconds(delay[:-1])
    return None


def _is_events(response: httpx.Response, request: httpx.Request, exchange: Exchange) -> bool:
    """Whether an answer is to be read as a stream of events. Some providers say of one that it is text, or nothing."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_whole = kind in (_JSON, "text/json") or kind.endswith("+json")
    return kind == "text/event-stream" or (not is_whole and _asks_for_events(request, exchange))


def _asks_for_events(request: httpx.Request, exchange: Exchange) -> bool:
    if not exchange.streamed:
        return False
    body = _content(request)
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
    _note(answer, exchange, attempt)
    response.request = request
    if not _is_events(response, request, exchange):
        whole = await response.aread()
        if exchange.route is not Route.EMBEDDINGS:
            whole = lightened(whole, lifted_of(exchange))
        status, body = answer.whole(whole, keeps_refusals=exchange.route is Route.CHAT)
        _note(answer, exchange, attempt)
        if status == _OK and exchange.attempt == attempt and _has_answered(answer):
            exchange.answered_whole, exchange.sent = True, _content(request)
        if status == _OK and _asks_for_events(request, exchange):
            status = _BAD_GATEWAY  # nobody would find an event in it
        _warn_of_nonsense(answer, exchange)
        if status != _OK:
            headers = _as_json(headers)
        return _response(status, body, headers, request, exchange, attempt)
    stream = _ReadStream(response, request, answer, exchange)
    exchange.hang_up = stream.aclose
    failed = await stream.open()
    if failed is None:
        if exchange.attempt == attempt:
            exchange.on_open()
        return httpx.Response(200, headers=headers, stream=stream, request=request, extensions=response.extensions)
    await stream.aclose()
    return _response(failed, stream.failure, _as_json(headers), request, exchange, attempt)


def _as_json(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*((name, value) for name, value in headers if name != "content-type"), ("content-type", _JSON)]


def _response(
    status: int, body: bytes, headers: list[tuple[str, str]], request: httpx.Request, exchange: Exchange, attempt: int
) -> httpx.Response:
    if status != _OK:
        error = provider_error(status, httpx.Headers(headers), body)
        _note_error(exchange, attempt, error)
        log.warning(
            "request %s: the provider answered 200 with an error, with nothing, or with a page", exchange.request_id
        )
        body = _short(error, body)
    return httpx.Response(status, headers=headers, content=body, request=request)


def _short(error: ProviderError, body: bytes) -> bytes:
    """An error's body as LiteLLM should have it: it echoes what the client sent, and LiteLLM looks through it again and
    again. The client is told by `error`."""
    if len(body) <= _LONGEST_ERROR_BYTES:
        return body
    inner = {"message": error.message[:_LONGEST_ERROR_BYTES], "type": error.kind, "code": error.status}
    return orjson.dumps({"error": inner})


def _note(answer: ProviderAnswer, exchange: Exchange, attempt: int) -> None:
    if exchange.attempt != attempt:
        return  # it has been given up
    exchange.usage_is_providers = answer.usage is not None
    exchange.provider_usage = answer.usage
    exchange.provider_prompt_tokens = answer.prompt_tokens


def _has_answered(answer: ProviderAnswer) -> bool:
    """Whether something was generated: what is empty is a failure, whatever it states."""
    return answer.usage is not None and answer.usage.completion_tokens > 0


def _warn_of_nonsense(answer: ProviderAnswer, exchange: Exchange) -> None:
    if answer.nonsense:
        log.warning("request %s: the usage that the provider states can't be true", exchange.request_id)


async def _next(pieces: AsyncIterator[bytes], within_s: float | None) -> bytes | None:
    """The next piece; `None` if there is none, or not in time."""
    if within_s is None:
        return await anext(pieces, None)
    try:
        async with asyncio.timeout(within_s):
            return await anext(pieces, None)
    except TimeoutError:
        return None


async def _in_turns(events: list[bytes], is_joined: bool) -> AsyncIterator[bytes]:
    """A few of the events that have come already at a time, with a turn for everybody else in between: LiteLLM takes a
    millisecond for each, and asks for the next without ever waiting. Those that are joined first cost less."""
    part: list[bytes] = []
    size = 0
    for position, event in enumerate(events, 1):
        part.append(event)
        size += len(event)
        if position == len(events) or size >= FULL_READ_BYTES or (len(part) == MOST_AT_ONCE and not is_joined):
            yield b"".join(part)
            part, size = [], 0
            await asyncio.sleep(0)


class _ReadStream(httpx.AsyncByteStream):
    """A provider's event stream, event by event."""

    def __init__(
        self, response: httpx.Response, request: httpx.Request, answer: ProviderAnswer, exchange: Exchange
    ) -> None:
        self._response = response
        self._answer = answer
        self._exchange = exchange
        self._attempt = exchange.attempt
        self._stream = ProviderStream(
            orjson.loads,
            orjson.dumps,
            is_chat=request.url.path.endswith("/chat/completions"),
            keeps_refusals=exchange.route is Route.CHAT,
            finishes=exchange.finishes if exchange.choices > 1 else None,
        )
        self._pieces = self._read()
        self._is_joined = response.request.url.path.endswith(JOINED_PATHS)
        self._opening: asyncio.Task[tuple[list[bytes], int | None]] | None = None
        self.failure = b"{}"  # the error that it began with, as a body

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

    async def _read_opening(self) -> tuple[list[bytes], int | None]:
        opening: list[bytes] = []
        size = 0
        async for events in self._pieces:
            if any(map(is_ping, events)):
                self._exchange.on_sign_of_life()
                events = [event for event in events if not is_ping(event)]
            opening += events
            size += sum(map(len, events))
            if size > MOST_OPENING_BYTES:  # whatever that is
                return opening, None
            for event in events:
                if (status := event_failure_status(event)) is not None:
                    self.failure = event_failure(event)
                    return [], status
                if is_substantial(event):
                    return opening, None
        # It may have thought, and nothing else.
        return (opening, None) if _has_answered(self._answer) else ([], _BAD_GATEWAY)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._opening is not None:
            opening, failed = await self._opening
            if failed is not None:
                # LiteLLM knows this as a stream that broke off, which it is.
                _note_error(self._exchange, self._attempt, provider_error(failed, self._response.headers, self.failure))
                raise httpx.ReadError("the provider's stream had nothing in it", request=self._response.request)
            async for part in _in_turns(opening, self._is_joined):
                yield part
        async for events in self._pieces:
            async for part in _in_turns(events, self._is_joined):
                yield part

    async def _read(self) -> AsyncIterator[list[bytes]]:
        splitter, answer, exchange = EventSplitter(), self._answer, self._exchange
        pieces = aiter(self._response.aiter_bytes())
        done: list[bytes] = []  # the end, until the usage is stated, or is not in time
        try:
            while (piece := await _next(pieces, AFTER_DONE_S if done else None)) is not None:
                events = splitter.feed(piece)
                if splitter.gave_up:
                    raise TooLarge("an event of the provider's stream is larger than is read")
                if any(map(is_comment, events)):
                    # Signs of life, of which a provider may send as many as it likes. LiteLLM knows none.
                    exchange.on_sign_of_life()
                    events = [event for event in events if not is_comment(event)]
                if done or any(map(is_done, events)):
                    end = 0 if done else next(index for index, event in enumerate(events) if is_done(event))
                    after = [event for event in events[end:] if not is_done(event) and b'"usage"' in event]
                    done = done or [events[end]]
                    events = events[:end] + after
                if events:
                    for event in events:
                        check_values(event)
                    mended = [answer.event(self._stream.event(event)) for event in events]
                    # What is known must be noted before LiteLLM can act on the end of the stream.
                    self._note(mended)
                    yield mended
                if done and answer.usage is not None:
                    break
        except httpx.TransportError as error:
            _note_broken(exchange, self._attempt, error)
            exchange.on_usage()
            raise
        if rest := splitter.rest():
            check_values(rest)
            mended = [answer.event(self._stream.event(rest))]
            self._note(mended)
            yield mended
        if not self._stream.has_ended and self._opening is not None and self._opening.done():
            # It has said something, and nobody knows whether that was all.
            broken = httpx.ReadError("the provider's stream has no end", request=self._response.request)
            _note_error(exchange, self._attempt, broken_connection(broken))
            exchange.on_usage()
            raise broken
        if done:
            yield done
        if exchange.attempt == self._attempt and answer.usage is not None:
            exchange.usage_is_final = True
            exchange.answered_whole = _has_answered(answer)
            if exchange.answered_whole:
                exchange.sent = _content(self._response.request)
        exchange.on_usage()
        _warn_of_nonsense(answer, exchange)

    def _note(self, events: list[bytes]) -> None:
        """What has been stated so far, and whether that is all that there will be."""
        answer, exchange = self._answer, self._exchange
        before = exchange.provider_usage
        _note(answer, exchange, self._attempt)
        if exchange.attempt != self._attempt:
            return
        was_over = exchange.finish_seen
        for event in events:
            exchange.finish_seen = is_over(event, exchange.finish_seen)
        if (was_over or exchange.finish_seen) and answer.usage is not None and answer.usage is not before:
            exchange.usage_is_final = True
        if exchange.usage_is_final or (was_over and not exchange.finish_seen):
            exchange.on_usage()

    async def aclose(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        await self._response.aclose()
