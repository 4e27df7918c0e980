"""Reads a provider's event stream for an engine: mends it, and notes what it says of its usage and its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import orjson

from scalix.domain.answers.event_kinds import data_of, is_comment, is_done, is_over, is_ping, is_substantial
from scalix.domain.answers.hidden_failures import BAD_GATEWAY, failure_in_event
from scalix.domain.answers.plain_deltas import Group, PlainDeltas, Run
from scalix.domain.answers.provider_answers import ProviderAnswer
from scalix.domain.answers.provider_streams import ProviderStream, tells_end
from scalix.domain.answers.refusals import Refusals
from scalix.domain.answers.stream_events import EventSplitter
from scalix.domain.requests.routes import Route
from scalix.service.answers.passing_on import FULL_READ_BYTES, collected, in_turns, joined
from scalix.service.answers.pressure import Pressure
from scalix.service.answers.provider_errors import BROKEN, AnswerBroke, AnswerTooLarge, note_broken, provider_error
from scalix.service.answers.reading import CODEC, has_answered, note_usage, warn_of_nonsense
from scalix.service.answers.value_counts import check_values
from scalix.service.exchange.admission import Admission
from scalix.service.exchange.attempts import Attempt

OPENING_S = 1.0
MOST_OPENING_BYTES = 256 * 1024
# Some providers state the usage after the end of their stream, where an engine may have stopped reading.
AFTER_DONE_S = 0.25
_JOINED_PATHS = ("/chat/completions", "/completions")

Failure = tuple[int, bytes]  # an HTTP status, and the body of an error answer


class StreamReading:
    """Reads one stream. Iterate over it for pieces of whole events, as an engine should read them; that raises
    `AnswerBroke`, and what `pieces` raises.

    `pieces` is the body as it comes, `headers` are the answer's, and `path` is the one that was asked, which tells the
    format. What is seen is noted in `attempt`. With `pressure`, deltas of OpenAI's format are joined, or where
    `attempt.directly` collected; runs of plain ones are not parsed there.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        headers: Mapping[str, str],
        path: str,
        admission: Admission,
        attempt: Attempt,
        pressure: Pressure | None,
    ) -> None:
        self._headers = headers
        self._admission = admission
        self._attempt = attempt
        self._pressure = pressure if path.endswith(_JOINED_PATHS) else None
        is_chat = path.endswith("/chat/completions")
        is_text = admission.route is Route.COMPLETIONS and not is_chat and path.endswith("/completions")
        self._refusals = Refusals(admission.route)
        self._answer = ProviderAnswer(CODEC)
        self._stream = ProviderStream(
            CODEC,
            is_chat=is_chat,
            refusals=self._refusals,
            finishes=attempt.finishes if admission.choices > 1 else None,
            texts=attempt.text_choices if is_text and not attempt.directly else None,
            is_translated=admission.route is not Route.MESSAGES,
        )
        is_plain = attempt.directly and (is_chat or is_text) and admission.choices == 1
        self._plain = PlainDeltas(CODEC) if is_plain else None
        self._splitter = EventSplitter()
        self._has_told = False
        self._done: list[bytes] = []  # the mark of its end, until the usage is stated, or is not in time
        self._groups = self._read(pieces)
        self._opening: asyncio.Task[tuple[list[bytes], Failure | None]] | None = None

    async def open(self) -> Failure | None:
        """Wait for the first event that brings something. What a stream that fails before it should have been answered
        with; else `None`.

        A provider that has begun and then thinks is waited for `OPENING_S` only, so that its signs of life pass.
        """
        self._opening = asyncio.ensure_future(self._read_opening())
        try:
            done, _ = await asyncio.wait((self._opening,), timeout=OPENING_S)
        except asyncio.CancelledError:
            self._opening.cancel()
            raise
        return self._opening.result()[1] if done else None

    def stop(self) -> None:
        """Wait no longer for the first event. Whoever has `pieces` closes them."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()

    def __aiter__(self) -> AsyncIterator[bytes]:
        groups = _as_lists(self._all())
        return in_turns(groups) if self._pressure is None else joined(groups, self._pressure)

    def groups(self) -> AsyncIterator[Group]:
        """The events that came together, mended, in place of pieces of them."""
        return self._all() if self._pressure is None else collected(self._all(), self._pressure)

    def passes(self, piece: bytes) -> bool:
        """Have a piece that is nothing but plain deltas sent to the client now. Returns whether it was; else it has to
        come with the others, which only whoever waits for the next of them may ask."""
        if self._plain is None or self._done or self._opening is None or not self._opening.done():
            return False
        if self._splitter.has_begun_event or self._splitter.gave_up or self._stream.has_half:
            return False
        run = self._plain.whole(piece)
        return run is not None and self._attempt.take_run(run)

    def rest_s(self) -> float:
        """How long a worker that falls behind leaves plain deltas to collect."""
        return self._pressure.window_s() if self._pressure is not None else 0.0

    async def _all(self) -> AsyncIterator[Group]:
        if self._opening is not None:
            opening, failure = await self._opening
            if failure is not None:
                # An engine knows this as a stream that broke off, which it is.
                self._attempt.seen.error = provider_error(failure[0], self._headers, failure[1])
                raise AnswerBroke("the provider's stream had nothing in it")
            if opening:
                yield opening
        async for events in self._groups:
            yield events

    async def _read_opening(self) -> tuple[list[bytes], Failure | None]:
        opening: list[bytes] = []
        size = 0
        async for group in self._groups:
            events = _listed(group)
            parsed = [(event, data_of(event, orjson.loads)) for event in events]
            kept = [(event, data) for event, data in parsed if not is_ping(event, data)]
            if len(kept) < len(parsed):
                self._attempt.on_sign_of_life()
            opening += [event for event, _ in kept]
            size += sum(len(event) for event, _ in kept)
            if size > MOST_OPENING_BYTES:  # whatever that is
                return opening, None
            for event, data in kept:
                if (failure := failure_in_event(data)) is not None:
                    return [], (failure[0], orjson.dumps(failure[1]))
                if is_substantial(event, data):
                    return opening, None
        # It may have thought, and nothing else.
        return (opening, None) if has_answered(self._answer) else ([], (BAD_GATEWAY, b"{}"))

    async def _read(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[Group]:
        """The events that came together, mended."""
        splitter, answer, attempt = self._splitter, self._answer, self._attempt
        try:
            while (piece := await _next(pieces, AFTER_DONE_S if self._done else None)) is not None:
                together = splitter.feed(piece)
                if splitter.gave_up:
                    raise AnswerTooLarge("an event of the provider's stream is larger than is read")
                for group in self._parted(together):
                    if isinstance(group, Run) and not self._done and not self._stream.has_half:
                        yield group
                        continue
                    events = self._without_comments(_listed(group))
                    if self._done or any(map(is_done, events)):
                        end = 0 if self._done else next(index for index, event in enumerate(events) if is_done(event))
                        after = [event for event in events[end:] if not is_done(event) and b'"usage"' in event]
                        self._done = self._done or [events[end]]
                        events = events[:end] + after
                    if events:
                        yield self._mended(events)
                if self._done and answer.usage is not None:
                    break
                if attempt.directly and len(piece) >= FULL_READ_BYTES:
                    await asyncio.sleep(0)
            if rest := splitter.rest():
                yield self._mended([rest])
            # It has said something, and nobody knows whether that was all.
            if not self._stream.has_ended and self._opening is not None and self._opening.done():
                attempt.seen.error = BROKEN
                raise AnswerBroke("the provider's stream has no end")
        except Exception as error:
            if isinstance(error, AnswerTooLarge):
                note_broken(attempt, BROKEN, is_too_large=True)
            attempt.on_usage()
            raise
        if self._done:
            yield self._done
        if answer.usage is not None:
            attempt.usage_is_final = True
            attempt.seen.answered_whole = has_answered(answer) and not self._stream.has_failed
        attempt.on_usage()
        warn_of_nonsense(answer, self._admission)

    def _parted(self, events: list[bytes]) -> Iterable[Group]:
        return (events,) if self._plain is None else self._plain.groups(events)

    def _without_comments(self, events: list[bytes]) -> list[bytes]:
        """Signs of life, of which a provider may send as many as it likes. Engines know none."""
        if not any(map(is_comment, events)):
            return events
        self._attempt.on_sign_of_life()
        return [event for event in events if not is_comment(event)]

    def _mended(self, events: list[bytes]) -> list[bytes]:
        for event in events:
            check_values(event)
        mended = [self._answer.event(self._stream.event(event)) for event in events]
        if self._attempt.hear is not None:
            self._tell(self._attempt.hear, mended)
        if self._plain is not None:
            for event, came in zip(mended, events, strict=True):
                if event == came:
                    self._plain.learn(event)
        self._note(mended)  # before an engine can act on the end of the stream
        return mended

    def _tell(self, hear: Callable[[dict[str, Any]], None], events: list[bytes]) -> None:
        """Tell of the events in which an answer speaks of itself: the first one, and its end."""
        for event in events:
            if not self._has_told or tells_end(event):
                data = data_of(event, orjson.loads)
                if data is not None:
                    self._has_told = True
                    hear(data)

    def _note(self, events: list[bytes]) -> None:
        """What has been stated so far, and whether that is all that there will be."""
        answer, attempt = self._answer, self._attempt
        before = attempt.seen.usage
        attempt.refused = self._refusals.is_all
        note_usage(answer, attempt)
        was_over = attempt.finish_seen
        for event in events:
            attempt.finish_seen = is_over(event, attempt.finish_seen)
        if (was_over or attempt.finish_seen) and answer.usage is not None and answer.usage is not before:
            attempt.usage_is_final = True
        if attempt.usage_is_final or (was_over and not attempt.finish_seen):
            attempt.on_usage()


async def _as_lists(groups: AsyncIterator[Group]) -> AsyncIterator[list[bytes]]:
    async for group in groups:
        yield _listed(group)


def _listed(group: Group) -> list[bytes]:
    return group.events() if isinstance(group, Run) else group


async def _next(pieces: AsyncIterator[bytes], within_s: float | None) -> bytes | None:
    """The next piece; `None` if there is none, or not in time."""
    if within_s is None:
        return await anext(pieces, None)
    try:
        async with asyncio.timeout(within_s):
            return await anext(pieces, None)
    except TimeoutError:
        return None
