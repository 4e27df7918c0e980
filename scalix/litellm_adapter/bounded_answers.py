"""Bounds on what is read of a provider's answer, whatever it claims to be: compressed, endless, or in one piece.

Compressed bodies are inflated here, piece by piece, and not by the HTTP client, which inflates whatever one read brings
at once: a kilobyte may be a megabyte.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TypeVar

import aiohttp
import httpx

from scalix.litellm_adapter.wire import Body, Came
from scalix.service.answers.provider_errors import AnswerTooLarge

MOST_LINE_BYTES = 16 * 1024 * 1024  # of a stream: an image in one event
MOST_OTHER_STREAM_BYTES = 256 * 1024 * 1024  # of a stream in no format with lines, which is not gathered
MOST_ERROR_BYTES = 256 * 1024
_PIECE_BYTES = 256 * 1024
# What is asked for; what else comes is not read.
CODINGS = "gzip, deflate"
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_EVENTS = "text/event-stream"


C = TypeVar("C", bound=Came)


class TooLarge(httpx.ReadError, AnswerTooLarge):
    """As LiteLLM should have it, which knows no other errors of an answer than those of its HTTP client."""


def bound(response: C, most_bytes: int, *, is_streamed: bool = False, is_events: bool = False) -> C:
    """`response` with its body inflated and bounded: `most_bytes` of it in all, or where a client reads it as a stream,
    `MOST_LINE_BYTES` of each line; `is_events`: it is one, whatever it is said to be. Reading it raises
    `httpx.ReadError` where it is too large, or in a coding that was not asked for."""
    coding = response.headers.pop("content-encoding", "identity").strip().lower()
    if coding != "identity":
        response.headers.pop("content-length", None)
    if isinstance(response.stream, httpx.AsyncByteStream):
        kind = response.headers.get("content-type", "")
        is_events = is_events or kind.startswith(_EVENTS)
        if is_streamed and not is_events and not kind.startswith("application/json"):
            most_bytes = MOST_OTHER_STREAM_BYTES
        most_line_bytes = MOST_LINE_BYTES if is_streamed and is_events else None
        response.stream = Bounded(response.stream, coding, most_bytes, most_line_bytes)
    return response


async def read_error(response: Came) -> bytes:
    """The beginning of an error's body. The rest is not waited for."""
    parts: list[bytes] = []
    size = 0
    async for piece in response.stream:
        parts.append(piece)
        size += len(piece)
        if size >= MOST_ERROR_BYTES:
            break
    await response.aclose()
    return b"".join(parts)[:MOST_ERROR_BYTES]


class Bounded(httpx.AsyncByteStream):
    def __init__(self, inner: Body, coding: str, most_bytes: int, most_line_bytes: int | None) -> None:
        self._inner = inner
        self._coding = coding
        self._most_bytes = most_bytes
        self._most_line_bytes = most_line_bytes
        self._size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._inner)
        inflater = None
        if self._coding != "identity":
            if self._coding not in _WINDOWS:
                raise httpx.ReadError("the provider's answer is in a coding that was not asked for")
            inflater = _Inflater(_WINDOWS[self._coding])
        try:
            async for piece in _with_rest(self.connected, pieces):
                for number, part in enumerate(inflater.parts(piece) if inflater else (piece,)):
                    if number:
                        await asyncio.sleep(0)  # one read may hold a thousand times its size
                    self._count(part)
                    yield part
        finally:
            # A generator that is left halfway would hold the provider's connection until it is collected.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    def _count(self, piece: bytes) -> None:
        """Bytes of the whole, or of the line that a stream is in."""
        if self._most_line_bytes is None:
            self._size += len(piece)
            if self._size > self._most_bytes:
                raise TooLarge("the provider's answer is larger than is read")
            return
        end = piece.rfind(b"\n")
        self._size = self._size + len(piece) if end < 0 else len(piece) - end - 1
        if self._size > self._most_line_bytes:
            raise TooLarge("a line of the provider's stream is longer than is read")

    @property
    def connected(self) -> aiohttp.ClientResponse | None:
        """What is read, as the HTTP client below knows it."""
        return getattr(self._inner, "_aiohttp_response", None)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _with_rest(response: aiohttp.ClientResponse | None, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`pieces`, and before a connection that broke is an error, what had come by then: aiohttp keeps it to itself where
    it was not read in time."""
    try:
        async for piece in pieces:
            yield piece
    except httpx.ReadError:
        if response is not None and (rest := response.content._read_nowait(-1)):
            yield rest
        raise


class _Inflater:
    def __init__(self, window: int) -> None:
        self._inflate = zlib.decompressobj(window)
        self._is_deflate = window == zlib.MAX_WBITS
        self._has_begun = False

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """What `piece` brings, in parts of at most `_PIECE_BYTES`. What comes after the end is not read."""
        part = b""
        while (piece or len(part) == _PIECE_BYTES) and not self._inflate.eof:
            try:
                part = self._inflate.decompress(piece, _PIECE_BYTES)
            except zlib.error:
                if self._has_begun or not self._is_deflate:
                    raise httpx.ReadError("the provider's answer can't be inflated") from None
                self._inflate, self._is_deflate = zlib.decompressobj(-zlib.MAX_WBITS), False  # as many servers send it
                continue
            self._has_begun = True
            piece = self._inflate.unconsumed_tail
            if part:
                yield part
