"""A way to the store that loses its answers: a script has run there, and nobody here will ever know."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from scalix.store.connection.session import hash_of


class CuttingProxy:
    """Passes bytes on to the server at `path`. Once `cut` is called, each of the next `times` calls of `script` reaches
    the server, which runs it, and the connection ends in place of the answer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self._script = b""
        self._left = 0
        self._running: set[asyncio.Task[None]] = set()
        self.cuts = 0

    @property
    def url(self) -> str:
        assert self._server
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def cut(self, script: str, times: int) -> None:
        self._script, self._left = hash_of(script).encode(), times

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._running.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, calls = await asyncio.open_unix_connection(self._path)
        back = asyncio.create_task(self._answers(answers, writer))
        try:
            while data := await reader.read(1 << 20):
                is_last = self._left > 0 and self._script in data
                if is_last:
                    self._left -= 1
                    self.cuts += 1
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                calls.write(data)
                await calls.drain()
                if is_last:
                    # Its answer is there, so it has run; and it goes no further.
                    await answers.read(1)
                    return
        finally:
            back.cancel()
            calls.close()

    @staticmethod
    async def _answers(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(1 << 20):
            writer.write(data)
            await writer.drain()
