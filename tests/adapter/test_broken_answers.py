"""What a provider has sent before its connection broke is not lost, and nonsense in the middle is an error at once:
over aiohttp's own client and a real connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from scalix.litellm_adapter.bounded_answers import bound
from scalix.litellm_adapter.direct_client import DirectClient, DirectRequest, Target
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.wire import Came

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = [b"data: %d\n\n" % number for number in range(50)]
CHUNKS = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in EVENTS)


class Server:
    """What it does: sends 50 events, and when it is told to `go`, hangs up, or sends `nonsense` and stays."""

    def __init__(self, nonsense: bytes = b"") -> None:
        self._nonsense = nonsense
        self.go = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + CHUNKS)
        await self.go.wait()
        if self._nonsense:
            writer.write(self._nonsense)
            await reader.read()
        writer.close()


@asynccontextmanager
async def answering(of: Server) -> AsyncIterator[Came]:
    """The answer of a server, which has not been read yet."""
    install_reading()
    server = await asyncio.start_server(of.serve, "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        transport = AsyncHTTPHandler.create_async_transport(shared_session=session)
        url = httpx.URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions")
        request = DirectRequest(Target(url, httpx.Headers(), {}), b"{}")
        came = await DirectClient(httpx.AsyncClient(transport=transport)).send(request)
        yield bound(came, 10**6, is_streamed=True, is_events=True)


async def read(came: Came) -> bytes:
    """All that can be read of it before it breaks, which it has to."""
    said: list[bytes] = []

    async def read_on() -> None:
        async for piece in came.stream:
            said.append(piece)

    with pytest.raises(httpx.ReadError):
        await read_on()
    return b"".join(said)


async def test_what_came_before_a_connection_broke_is_read_though_it_is_read_late() -> None:
    server = Server()
    async with answering(server) as came:
        server.go.set()
        content = came.stream._inner._aiohttp_response.content
        while content.exception() is None:  # noqa: ASYNC110 -- aiohttp tells it in no other way
            await asyncio.sleep(0)
        assert await read(came) == b"".join(EVENTS)


async def test_nonsense_among_the_chunks_is_an_error_though_the_server_stays() -> None:
    server = Server(b"zz\r\n")
    async with answering(server) as came, asyncio.timeout(10):
        server.go.set()
        assert await read(came) == b"".join(EVENTS)
