"""Takes plain deltas off a provider's connection as they come, where nobody has anything else to do with them.

By the usual way each piece of a stream wakes a task, which hands it through every layer. While that task has nothing to
do but to wait for more, `StraightThrough` stands before aiohttp's protocol and offers each read to `take`. What that
does not take goes to aiohttp, as all else does: silence, the end, a client that does not read.
"""

import asyncio
from functools import cache
from typing import Any, Protocol, cast

import aiohttp

from scalix.litellm_adapter.seam_checks import stand
from scalix.litellm_adapter.seams import SEAMS

# What is read at once. More than that has been waiting, and is taken in turns.
MOST_BYTES = 64 * 1024
_END_OF_LINE = b"\r\n"
_END_OF_EVENT = b"\n\n"
_MOST_DIGITS = 8


class Reader(Protocol):
    """Who reads the stream, such as `StreamReading`."""

    def passes(self, piece: bytes) -> bool:
        """Have a piece of the body sent to the client now; whether it was."""

    def rest_s(self) -> float:
        """How long to read nothing afterwards, so that more comes with the next read."""


class StraightThrough(asyncio.Protocol):
    """Stands before the protocol of one answer's connection, from `open` until its end or `close`."""

    def __init__(
        self, response: aiohttp.ClientResponse, reader: Reader, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        connection = response.connection
        self._own: Any = connection.protocol if connection is not None else None
        self._content: Any = response.content
        self._reader = reader
        self._loop = loop or asyncio.get_running_loop()
        self._timeout_s: float | None = None
        self._heard_s = 0.0
        self._silence: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._is_between = False  # whether aiohttp's parser stands between two chunks
        self._transport: Any = None

    @classmethod
    def open(
        cls, response: aiohttp.ClientResponse, reader: Reader, loop: asyncio.AbstractEventLoop | None = None
    ) -> "StraightThrough | None":
        """Put one before a streamed answer's connection; `None` where its body is no plain row of chunks."""
        coding = response.headers.get("content-encoding", "identity")
        is_chunked = response.headers.get("transfer-encoding", "").strip().lower() == "chunked"
        if not _fits() or not is_chunked or coding.strip().lower() != "identity" or response.content.is_eof():
            return None
        straight = cls(response, reader, loop)
        straight._open()
        return straight

    def _open(self) -> None:
        transport = self._own.transport if self._own is not None else None
        if transport is None or transport.is_closing():
            return
        self._transport = transport
        # One timer that looks whether there was silence, in place of one for each read.
        self._timeout_s, self._own.read_timeout = self._own.read_timeout, None
        self._own.start_timeout()
        self._heard_s = self._loop.time()
        if self._timeout_s:
            self._silence = self._loop.call_later(self._timeout_s, self._look)
        transport.set_protocol(self)

    def close(self) -> None:
        """Leave the connection to aiohttp."""
        transport, self._transport = self._transport, None
        for timer in (self._silence, self._rest):
            if timer is not None:
                timer.cancel()
        if transport is not None and not transport.is_closing() and transport.get_protocol() is self:
            transport.set_protocol(self._own)
            if self._rest is not None:
                transport.resume_reading()

    # what the transport calls

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        if self._is_between and self._is_awaited() and (piece := body_of(data)) and self._reader.passes(piece):
            if rest_s := self._reader.rest_s():
                self._transport.pause_reading()
                self._rest = self._loop.call_later(rest_s, self._go_on)
            return
        self._own.data_received(data)
        content = self._content
        splits = content._http_chunk_splits
        self._is_between = (
            data.endswith(_END_OF_EVENT + _END_OF_LINE) and bool(splits) and splits[-1] == content.total_bytes
        )
        if content.is_eof():
            self.close()

    def eof_received(self) -> bool | None:
        return cast("bool | None", self._own.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        self._own.connection_lost(exc)

    def pause_writing(self) -> None:
        self._own.pause_writing()

    def resume_writing(self) -> None:
        self._own.resume_writing()

    def _is_awaited(self) -> bool:
        """Whether all that came before has been taken, so that its reader waits for what comes now."""
        content = self._content
        return content._waiter is not None and not content._buffer and not self._own._reading_paused

    # timers

    def _go_on(self) -> None:
        self._rest = None
        self._heard_s = self._loop.time()
        if self._transport is not None and not self._transport.is_closing() and not self._own._reading_paused:
            self._transport.resume_reading()

    def _look(self) -> None:
        """End the answer if its provider has been silent for too long; a pause of ours is no silence."""
        timeout_s = self._timeout_s or 0.0
        left_s = self._heard_s + timeout_s - self._loop.time()
        if self._own._reading_paused:
            left_s = timeout_s
        if left_s <= 0:
            self._own._on_read_timeout()
        else:
            self._silence = self._loop.call_later(left_s, self._look)


@cache
def _fits() -> bool:
    """Whether this is the aiohttp whose protocol and reader are known here."""
    return stand(*(seam.name for seam in SEAMS if "straight_through" in seam.users))


def body_of(data: bytes) -> bytes:
    """What is in a row of whole chunks (RFC 9112, 7.1), without the last one; nothing if `data` is not that."""
    if len(data) > MOST_BYTES:
        return b""
    found: list[bytes] = []
    at, size = 0, len(data)
    while at < size:
        line_end = data.find(_END_OF_LINE, at, at + _MOST_DIGITS + 2)
        digits = data[at:line_end]
        if line_end <= at or not digits.isalnum():
            return b""
        try:
            length = int(digits, 16)
        except ValueError:
            return b""
        begin = line_end + 2
        at = begin + length + 2
        if not length or at > size or data[at - 2 : at] != _END_OF_LINE:
            return b""
        found.append(data[begin : at - 2])
    return found[0] if len(found) == 1 else b"".join(found)
