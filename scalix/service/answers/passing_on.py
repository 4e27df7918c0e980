"""Hands the events of a stream to the engine that reads them: a few at a time, and text that waits as one event."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import orjson

from scalix.domain.answers.event_kinds import is_over
from scalix.domain.answers.plain_deltas import Group, Run
from scalix.domain.answers.stream_joining import Joiner
from scalix.domain.json_codec import JsonCodec
from scalix.service.answers.pressure import Pressure

MOST_AT_ONCE = 8  # events
FULL_READ_BYTES = 16 * 1024
"""A read of this size was cut off by the HTTP client: more is there."""
# So many events in one read mean that they have been waiting for us.
_WAITING_EVENTS = 4


async def in_turns(groups: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    """Pieces of whole events, a few each, with a turn for everybody else in between: an engine may take a millisecond
    for each event, and asks for the next without ever waiting. `groups` are the events that came together."""
    async for events in groups:
        for piece in _pieces(events):
            yield piece
            await asyncio.sleep(0)


async def joined(groups: AsyncIterator[list[bytes]], pressure: Pressure) -> AsyncIterator[bytes]:
    """The same for a stream of OpenAI's format, with deltas that have been waiting joined. A worker that falls behind
    waits between two reads, as `pressure` says, so that deltas collect in the socket."""
    joiner = Joiner(JsonCodec(orjson.loads, orjson.dumps))
    has_begun = False
    pressure.opened()
    try:
        async for events in groups:
            window_s = pressure.window_s()
            # The first event says little and the second is the first text, so neither waits; nor does the end.
            waits = (
                window_s and has_begun and not is_over(events[-1], False) and sum(map(len, events)) < FULL_READ_BYTES
            )
            if len(events) >= _WAITING_EVENTS or (window_s and len(events) > 1):
                events = joiner.join(events)
            passed_on_s = time.monotonic()
            for piece in _pieces(events):
                yield piece
                await asyncio.sleep(0)
            if waits:
                await asyncio.sleep(max(0.0, window_s - (time.monotonic() - passed_on_s)))
            has_begun = True
    finally:
        pressure.closed()


async def collected(groups: AsyncIterator[Group], pressure: Pressure) -> AsyncIterator[Group]:
    """`groups` as they are, for an engine that passes them on. A worker that falls behind waits after plain deltas, as
    `pressure` says, so that more of them come with one read and go with one write."""
    pressure.opened()
    try:
        async for group in groups:
            passed_on_s = time.monotonic()
            yield group
            window_s = pressure.window_s()
            if window_s and isinstance(group, Run) and group.size_bytes < FULL_READ_BYTES // 2:
                await asyncio.sleep(max(0.0, window_s - (time.monotonic() - passed_on_s)))
    finally:
        pressure.closed()


def _pieces(events: list[bytes]) -> Iterator[bytes]:
    if len(events) == 1:
        yield events[0]
        return
    piece: list[bytes] = []
    size = 0
    for event in events:
        piece.append(event)
        size += len(event)
        if size >= FULL_READ_BYTES or len(piece) == MOST_AT_ONCE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)
