"""One request to a provider, and its answer as an engine should have it.

An answer is bounded (`bounded_answers`), relieved of what LiteLLM need not see (`large_answers`) and read
(`scalix.service.answers`).
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple

import httpx

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.bounded_answers import Bounded, bound, read_error
from scalix.litellm_adapter.bridge import bridge
from scalix.litellm_adapter.chat_servers import chat_servers
from scalix.litellm_adapter.connection_errors import broken_connection, by_an_open_connection, of_the_wire
from scalix.litellm_adapter.large_answers import lifted_of, lightened, without_vectors
from scalix.litellm_adapter.straight_through import StraightThrough
from scalix.litellm_adapter.wire import Came, Sent
from scalix.service.answers.provider_errors import (
    BAD_GATEWAY,
    BROKEN,
    AnswerBroke,
    AnswerTooLarge,
    note_broken,
    provider_error,
    short,
)
from scalix.service.answers.reading import read_whole
from scalix.service.answers.stream_reading import StreamReading
from scalix.service.exchange.attempts import Attempt, Seen
from scalix.service.exchange.exchanges import Exchange

log = logging.getLogger("scalix.provider")

_PATHS = tuple(path for route in Route for path in route.row.provider_paths)
_STREAMED = ":streamGenerateContent"
_CHAT = Route.CHAT.row.path
_JSON = "application/json"
_EVENTS = "text/event-stream"
_FOR_A_TOKEN = ("/token", "/oauth", "/oauth2")  # OAuth 2.0
_NOT_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.PoolTimeout)
_OK = 200
_ANSWERS = range(200, 300)
_NOT_OUR_KEY = (401, 403)
_ANSWERED = b'{"error":{"message":"This request has been answered","type":"invalid_request_error"}}'
_WRONG_KEY = b'{"error":{"message":"Incorrect API key provided","type":"authentication_error"}}'


class Answered(NamedTuple):
    """An answer that was read. `kind`: its content type, where that is not the one that it `came` with."""

    status: int
    body: "bytes | ReadStream"
    came: Came | None = None
    kind: str | None = None


class ProviderCall:
    """One request, to a provider or for what a client has named, and its answer."""

    def __init__(self, exchange: Exchange, request: Sent) -> None:
        self._exchange = exchange
        self._request = request
        self._attempt = exchange.attempt
        self._path = request.url.path
        self._is_read = self._path.endswith(_PATHS)

    async def answer(self, ask: Callable[[], Awaitable[Came]]) -> Answered | Came:
        """The answer to it, as an engine should have it: as it came, but bounded, where it is not read. `ask` sends it.
        Raises what `httpx` raises."""
        exchange, request, attempt = self._exchange, self._request, self._attempt
        if is_asked_again(exchange, request):
            return Answered(400, _ANSWERED, kind=_JSON)
        if exchange.admission.call.rehearse is not None:
            attempt.asked |= asks_provider(request)
            return await self.read(exchange.admission.call.rehearse(request))
        if self._is_read:
            attempt.seen = Seen(sent=content_of(request))  # a former try's is forgotten
        response = self._bound(await self._sent(ask))
        try:
            lifted = lifted_of(exchange) if exchange.admission.route is Route.EMBEDDINGS else None
            if lifted is not None and response.status_code in _ANSWERS and asks_provider(request):
                response = await without_vectors(response, lifted)
            if self._is_read and response.status_code >= 400:
                return await self._refusal(response)
            return await self.read(response) if self._is_read and response.status_code in _ANSWERS else response
        except httpx.TransportError as error:
            note_broken(attempt, broken_connection(error), is_too_large=isinstance(error, AnswerTooLarge))
            raise
        except AnswerBroke as error:
            note_broken(attempt, BROKEN, is_too_large=isinstance(error, AnswerTooLarge))
            raise httpx.ReadError(str(error)) from error

    async def _sent(self, ask: Callable[[], Awaitable[Came]]) -> Came:
        attempt, request = self._attempt, self._request
        was_asked = attempt.asked
        attempt.asked |= asks_provider(request)
        try:
            refuse_incomplete(self._exchange, request)
            return await by_an_open_connection(ask)
        except Exception as raised:
            error = of_the_wire(raised)
            if not isinstance(error, httpx.TransportError) or isinstance(error, _NOT_SENT):
                # A URL or a header that can't be sent, or no place among our own connections.
                attempt.asked = was_asked
            elif asks_provider(request):
                attempt.seen.error = broken_connection(error)
            if error is raised:
                raise
            raise error from error.__cause__

    def _bound(self, response: Came) -> Came:
        is_events = self._is_read and self._is_events(response.headers)
        is_streamed = self._exchange.admission.streamed and (is_events or not self._is_read)
        return bound(
            response, self._exchange.admission.call.most_answer_bytes, is_streamed=is_streamed, is_events=is_events
        )

    def _is_events(self, headers: Mapping[str, str]) -> bool:
        """Whether an answer is to be read as a stream of events. Some providers call one text, or nothing."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_whole = kind in (_JSON, "text/json") or kind.endswith("+json")
        return kind == _EVENTS or (not is_whole and self._asks_for_events())

    def _asks_for_events(self) -> bool:
        if not self._exchange.admission.streamed:
            return False
        body = content_of(self._request)
        return self._path.endswith(_STREAMED) or any(mark in body for mark in (b'"stream":true', b'"stream": true'))

    async def _refusal(self, response: Came) -> Answered:
        body = await read_error(response)
        self._attempt.seen.error = error = provider_error(response.status_code, response.headers, body)
        if self._exchange.attempt is self._attempt:
            chat_servers.learn(self._exchange, self._request, error)
        if response.status_code in _NOT_OUR_KEY:
            # Whatever is said beside it, LiteLLM then asks no deployment again with the same key.
            return Answered(401, _WRONG_KEY, kind=_JSON)
        return Answered(response.status_code, short(error, body), response)

    async def read(self, response: Came) -> Answered:
        """An answer of status 200 as an engine should have it. What it says of its usage is noted in the attempt.

        A 200 that holds an error or nothing becomes an HTTP error, which LiteLLM understands on every route, and may
        still try again.
        """
        self._attempt.seen.states_usage = False
        if self._is_events(response.headers):
            return await self._stream(response)
        whole = await response.aread()
        if self._exchange.admission.route is not Route.EMBEDDINGS:
            whole = lightened(whole, lifted_of(self._exchange))
        status, body = read_whole(whole, self._exchange.admission, self._attempt)
        if status == _OK and self._asks_for_events():
            if self._path.endswith(_CHAT):
                # A server that does not stream: its answer is the only event.
                event = b"data: " + body.replace(b"\n", b" ") + b"\n\ndata: [DONE]\n\n"
                return await self._stream(httpx.Response(_OK, headers={"content-type": _EVENTS}, content=event))
            status = BAD_GATEWAY  # nobody would find an event in it
        if status != _OK:
            return self._failed(response, status, body)
        return Answered(_OK, body, response)

    async def _stream(self, response: Came) -> Answered:
        attempt, pieces = self._attempt, _pieces_of(response, self._attempt)
        path, pressure = self._path, bridge.pressure
        reading = StreamReading(pieces, response.headers, path, self._exchange.admission, attempt, pressure)
        stream = ReadStream(reading, response)
        attempt.hang_up = stream.aclose
        if attempt.directly:
            stream.go_straight()
        failure = await reading.open()
        if failure is not None:
            await stream.aclose()
            return self._failed(response, *failure)
        attempt.on_open()
        return Answered(_OK, stream, response)

    def _failed(self, response: Came, status: int, body: bytes) -> Answered:
        """An answer that came with a 200, and the status that it should have had."""
        self._attempt.seen.error = error = provider_error(status, response.headers, body)
        log.warning(
            "request %s: the provider answered 200 with an error, with nothing, or with a page",
            self._exchange.admission.request_id,
        )
        return Answered(status, short(error, body), response, _JSON)


class ReadStream(httpx.AsyncByteStream):
    """What is read of a stream: pieces of it for LiteLLM's client, or `groups` of events."""

    def __init__(self, reading: StreamReading, response: Came) -> None:
        self._reading = reading
        self._response = response
        self.groups = reading.groups
        self._straight: StraightThrough | None = None

    def go_straight(self) -> None:
        """Have plain deltas passed on without waking who reads this."""
        below = self._response.stream
        connected = below.connected if isinstance(below, Bounded) else None
        if connected is not None:
            self._straight = StraightThrough.open(connected, self._reading)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._reading:
                yield piece
        except AnswerBroke as error:
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        self._reading.stop()
        if self._straight is not None:
            self._straight.close()
        await self._response.aclose()


async def _pieces_of(response: Came, attempt: Attempt) -> AsyncIterator[bytes]:
    """The body as it comes. A connection that breaks is noted."""
    try:
        async for piece in response.stream:
            yield piece
    except httpx.TransportError as error:
        note_broken(attempt, broken_connection(error), is_too_large=isinstance(error, AnswerTooLarge))
        raise


def is_asked_again(exchange: Exchange, request: Sent) -> bool:
    """Whether LiteLLM asks the same once more after a whole answer, which it could not translate: that would cost as
    much again, for nothing."""
    if exchange.attempt.answer_is_too_large:
        return True
    # A list of prompts is asked one by one, and may hold one twice.
    is_one = exchange.admission.route.row.is_chat
    seen = exchange.attempt.seen
    return is_one and seen.answered_whole and bool(seen.sent) and seen.sent == content_of(request)


def refuse_incomplete(exchange: Exchange, request: Sent) -> None:
    """Raise for a request with something missing: LiteLLM leaves out of a tool's result what could not be fetched, and
    would send the rest."""
    if exchange.attempt.unfetched is not None and asks_provider(request):
        raise httpx.UnsupportedProtocol("a part of the client's request is missing")


def asks_provider(request: Sent) -> bool:
    """Whether it is for the provider: what a client names in its request is fetched by GET, and a token for the account
    there comes from elsewhere."""
    return request.method != "GET" and not request.url.path.endswith(_FOR_A_TOKEN)


def content_of(request: Sent) -> bytes:
    """The body of a request, where it is in memory."""
    try:
        return request.content
    except httpx.RequestNotRead:
        return b""
