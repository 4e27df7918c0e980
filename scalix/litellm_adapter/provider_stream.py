"""A provider's event stream as LiteLLM should have it, looked at event by event."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import orjson

from scalix.domain.answers.provider_streams import ProviderStream
from scalix.domain.answers.refusals import Refusals
from scalix.domain.json_codec import JsonCodec
from scalix.domain.requests.routes import Route
from scalix.domain.requests.stream_events import EventSplitter
from scalix.litellm_adapter.bounded_answers import TooLarge
from scalix.litellm_adapter.joining_transport import FULL_READ_BYTES, JOINED_PATHS
from scalix.litellm_adapter.large_answers import check_values
from scalix.litellm_adapter.provider_answers import ProviderAnswer
from scalix.litellm_adapter.provider_events import (
    event_failure,
    event_failure_status,
    is_comment,
    is_done,
    is_over,
    is_ping,
    is_substantial,
)
from scalix.litellm_adapter.provider_faults import broken_connection, note_broken, provider_error
from scalix.litellm_adapter.provider_notes import content_of, has_answered, note, warn_of_nonsense
from scalix.service.exchange.exchanges import Exchange

OPENING_S = 1.0
MOST_AT_ONCE = 8  # events
# Some providers state the usage after the end of their stream, where LiteLLM has stopped reading.
AFTER_DONE_S = 0.25
MOST_OPENING_BYTES = 256 * 1024
_BAD_GATEWAY = 502


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


class ReadStream(httpx.AsyncByteStream):
    """A provider's event stream, event by event."""

    def __init__(
        self, response: httpx.Response, request: httpx.Request, answer: ProviderAnswer, exchange: Exchange
    ) -> None:
        self._response = response
        self._answer = answer
        self._exchange = exchange
        self._attempt = exchange.attempt
        path = request.url.path
        is_chat = path.endswith("/chat/completions")
        is_text = exchange.admission.route is Route.COMPLETIONS and not is_chat and path.endswith("/completions")
        self._refusals = Refusals(exchange.admission.route)
        self._stream = ProviderStream(
            JsonCodec(orjson.loads, orjson.dumps),
            is_chat=is_chat,
            refusals=self._refusals,
            finishes=self._attempt.finishes if exchange.admission.choices > 1 else None,
            texts=self._attempt.text_choices if is_text else None,
            is_translated=exchange.admission.route is not Route.MESSAGES,
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
                self._attempt.on_sign_of_life()
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
        return (opening, None) if has_answered(self._answer) else ([], _BAD_GATEWAY)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._opening is not None:
            opening, failed = await self._opening
            if failed is not None:
                # LiteLLM knows this as a stream that broke off, which it is.
                self._attempt.seen.error = provider_error(failed, self._response.headers, self.failure)
                raise httpx.ReadError("the provider's stream had nothing in it", request=self._response.request)
            async for part in _in_turns(opening, self._is_joined):
                yield part
        async for events in self._pieces:
            async for part in _in_turns(events, self._is_joined):
                yield part

    async def _read(self) -> AsyncIterator[list[bytes]]:
        splitter, answer, attempt = EventSplitter(), self._answer, self._attempt
        pieces = aiter(self._response.aiter_bytes())
        done: list[bytes] = []  # the end, until the usage is stated, or is not in time
        try:
            while (piece := await _next(pieces, AFTER_DONE_S if done else None)) is not None:
                events = splitter.feed(piece)
                if splitter.gave_up:
                    raise TooLarge("an event of the provider's stream is larger than is read")
                if any(map(is_comment, events)):
                    # Signs of life, of which a provider may send as many as it likes. LiteLLM knows none.
                    attempt.on_sign_of_life()
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
            if rest := splitter.rest():
                check_values(rest)
                mended = [answer.event(self._stream.event(rest))]
                self._note(mended)
                yield mended
        except httpx.TransportError as error:
            note_broken(attempt, error)
            attempt.on_usage()
            raise
        if not self._stream.has_ended and self._opening is not None and self._opening.done():
            # It has said something, and nobody knows whether that was all.
            broken = httpx.ReadError("the provider's stream has no end", request=self._response.request)
            attempt.seen.error = broken_connection(broken)
            attempt.on_usage()
            raise broken
        if done:
            yield done
        if answer.usage is not None:
            attempt.usage_is_final = True
            attempt.seen.answered_whole = has_answered(answer)
            if attempt.seen.answered_whole:
                attempt.seen.sent = content_of(self._response.request)
        attempt.on_usage()
        warn_of_nonsense(answer, self._exchange)

    def _note(self, events: list[bytes]) -> None:
        """What has been stated so far, and whether that is all that there will be."""
        answer, attempt = self._answer, self._attempt
        before = attempt.seen.usage
        attempt.refused = self._refusals.is_all
        note(answer, attempt)
        was_over = attempt.finish_seen
        for event in events:
            attempt.finish_seen = is_over(event, attempt.finish_seen)
        if (was_over or attempt.finish_seen) and answer.usage is not None and answer.usage is not before:
            attempt.usage_is_final = True
        if attempt.usage_is_final or (was_over and not attempt.finish_seen):
            attempt.on_usage()

    async def aclose(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        await self._response.aclose()
