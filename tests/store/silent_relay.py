"""A way to a server whose connections can be lost as a firewall loses them: both ends hear nothing, not even an end."""

import asyncio
from types import TracebackType
from typing import Self

from scalix.store.connection.background import in_background


class SilentRelay:
    """Passes bytes on to `port` of 127.0.0.1. Connections that were open when `fall_silent` was called carry nothing
    any more, and stay open; what is sent on them is not even read. Later ones work."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0

    @property
    def address(self) -> str:
        assert self._server
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def fall_silent(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        self._pumps.clear()

    async def __aenter__(self) -> Self:
        # A small window, so that a caller soon notices that nobody reads.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=4_096)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        self.fall_silent()
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, forth]
        self._pumps |= {in_background(_pump(reader, forth)), in_background(_pump(back, writer))}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
