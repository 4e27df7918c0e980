"""Bounds on what is read of a provider's answer, whatever it claims to be: compressed, endless, or in one piece.

Compressed bodies are inflated here, piece by piece, and not by the HTTP client, which inflates whatever one read brings
at once: a kilobyte may be a megabyte.
"""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator

import httpx

MOST_ANSWER_BYTES = 32 * 1024 * 1024  # of one that is not streamed: four images of 6 MiB in base64
MOST_LINE_BYTES = 16 * 1024 * 1024  # of a stream: an image in one event
MOST_ERROR_BYTES = 256 * 1024
_PIECE_BYTES = 256 * 1024
# What is asked for; what else comes is not read.
CODINGS = "gzip, deflate"
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_EVENTS = "text/event-stream"


def bound(response: httpx.Response) -> httpx.Response:
    """`response` with its body inflated and bounded. Reading it raises `httpx.ReadError` where it is too large, or in a
    coding that was not asked for."""
    coding = response.headers.pop("content-encoding", "identity").strip().lower()
    if coding != "identity":
        response.headers.pop("content-length", None)
    if isinstance(response.stream, httpx.AsyncByteStream):
        is_stream = response.headers.get("content-type", "").startswith(_EVENTS)
        response.stream = _Bounded(response.stream, coding, is_stream)
    return response


async def read_error(response: httpx.Response) -> bytes:
    """The beginning of an error's body. The rest is not waited for."""
    if response.is_stream_consumed:
        return (await response.aread())[:MOST_ERROR_BYTES]
    parts: list[bytes] = []
    size = 0
    async for piece in response.aiter_raw():
        parts.append(piece)
        size += len(piece)
        if size >= MOST_ERROR_BYTES:
            break
    await response.aclose()
    return b"".join(parts)[:MOST_ERROR_BYTES]


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, coding: str, is_stream: bool) -> None:
        self._inner = inner
        self._coding = coding
        self._is_stream = is_stream
        self._size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._inner)
        inflate = None
        if self._coding != "identity":
            if self._coding not in _WINDOWS:
                raise httpx.ReadError("the provider's answer is in a coding that was not asked for")
            inflate = zlib.decompressobj(_WINDOWS[self._coding])
        try:
            async for piece in pieces:
                if inflate is None:
                    self._count(piece)
                    yield piece
                    continue
                rest = piece
                while rest:
                    try:
                        part = inflate.decompress(rest, _PIECE_BYTES)
                    except zlib.error:
                        raise httpx.ReadError("the provider's answer can't be inflated") from None
                    rest = inflate.unconsumed_tail
                    if part:
                        self._count(part)
                        yield part
                    elif inflate.eof:
                        break
        finally:
            # A generator that is left halfway would hold the provider's connection until it is collected.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    def _count(self, piece: bytes) -> None:
        """Bytes of the whole, or of the line that a stream is in."""
        if not self._is_stream:
            self._size += len(piece)
            if self._size > MOST_ANSWER_BYTES:
                raise httpx.ReadError("the provider's answer is larger than is read")
            return
        end = piece.rfind(b"\n")
        self._size = self._size + len(piece) if end < 0 else len(piece) - end - 1
        if self._size > MOST_LINE_BYTES:
            raise httpx.ReadError("a line of the provider's stream is longer than is read")

    async def aclose(self) -> None:
        await self._inner.aclose()
