"""Reading what providers send within bounds, without losing a byte of what is within them."""

import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from scalix.litellm_adapter.bounded_answers import MOST_LINE_BYTES, bound

TEXT = b'{"data": "' + bytes(range(32, 127)) * 30_000 + b'"}'


def _raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def _response(body: bytes, size: int, **headers: str) -> httpx.Response:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, content=pieces())


@pytest.mark.parametrize("size", [7, 1_000, 10**7])
@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", _raw_deflate)]
)
async def test_what_is_inflated_is_whole_however_it_comes(coding: str, pack: object, size: int) -> None:
    for text in (TEXT, b"0" * (256 * 1024), b"0" * (256 * 1024 + 1), b"0" * (512 * 1024 + 100), b"x"):
        body = pack(text)  # type: ignore[operator]
        assert await bound(_response(body, size, content_encoding=coding), 2**25).aread() == text


async def test_what_is_larger_than_is_read_is_an_error_of_the_provider_before_it_is_in_memory() -> None:
    bomb = gzip.compress(b"0" * 2**26)
    for response in (_response(bomb, 1_000, content_encoding="gzip"), _response(b"0" * 2_000, 100)):
        with pytest.raises(httpx.ReadError):
            await bound(response, 1_000).aread()
    with pytest.raises(httpx.ReadError):
        await bound(_response(gzip.compress(bomb), 10**6, content_encoding="gzip, gzip"), 2**30).aread()


async def test_a_stream_that_nobody_reads_as_one_is_bounded_as_a_whole() -> None:
    events = b"data: {}\n\n" * 1_000
    for is_streamed in (True, False):
        response = bound(_response(events, 100, content_type="text/event-stream"), 5_000, is_streamed=is_streamed)
        if is_streamed:
            assert await response.aread() == events
        else:
            with pytest.raises(httpx.ReadError):
                await response.aread()
    line = _response(b"x" * (MOST_LINE_BYTES + 1), 10**6, content_type="text/event-stream")
    with pytest.raises(httpx.ReadError):
        await bound(line, 10**9, is_streamed=True).aread()
