"""The client that all of the store shares: redis-py's commands, carried by lanes to one server or to a cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol, Self

from redis.commands import AsyncCoreCommands

from scalix.store.connection.background import in_background
from scalix.store.connection.lane import Arguments, Lane, Options


class Routes(Protocol):
    """Which lane a call takes."""

    def call(self, arguments: Arguments, options: Options) -> Awaitable[Any]:
        """The answer to one command."""
        ...

    def lanes(self) -> list[Lane]:
        """One lane for each server that holds a part of the keys."""
        ...

    async def aclose(self) -> None:
        """Close all lanes."""
        ...


class RouteFinder(Protocol):
    """Looks at the server, once it can be reached."""

    async def find(self) -> Routes:
        """The routes. Raises StoreUnavailable."""
        ...

    async def aclose(self) -> None:
        """Close what looking has opened."""
        ...


class StoreClient(AsyncCoreCommands):
    """An asyncio client with redis-py's methods for single commands, and `pipeline(transaction=False)`.

    What kind of server it is gets asked at the first command, so that a client can be made while the server is away.
    """

    def __init__(self, finder: RouteFinder) -> None:
        self._finder = finder
        self._routes: Routes | None = None
        self._finding: asyncio.Task[Routes] | None = None

    def execute_command(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        """The answer to one command; every command method of redis-py comes through here."""
        if self._routes is not None:
            return self._routes.call(arguments, options)
        return self._first_command(arguments, options)

    def pipeline(self, transaction: bool = True) -> "Batch":
        """Commands to be sent together. There are no transactions: what has to be atomic is a script."""
        if transaction:
            raise NotImplementedError("pipelines of the store are without transaction: put it into a script")
        return Batch(self)

    async def scan_iter(self, match: str | None = None, count: int | None = None, **_: Any) -> AsyncIterator[str]:
        """The names of all keys that match, on all servers; a name may come twice."""
        for lane in (await self._found()).lanes():
            cursor = 0
            while True:
                pattern = () if match is None else ("MATCH", match)
                size = () if count is None else ("COUNT", count)
                cursor, names = await lane.call(("SCAN", cursor, *pattern, *size), {})
                for name in names:
                    yield name
                if not int(cursor):
                    break

    async def on_every_server(self, *arguments: Any) -> list[Any]:
        """The answers to a command that is about a server, of all servers that hold a part of the keys."""
        return [await lane.call(arguments, {}) for lane in (await self._found()).lanes()]

    async def reconnect(self) -> None:
        """Let the next calls connect anew, to wherever the server's name leads then."""
        if self._routes is not None:
            for lane in self._routes.lanes():
                await lane.drop_idle()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._finding is not None:
            self._finding.cancel()
            await asyncio.gather(self._finding, return_exceptions=True)
        if self._routes is not None:
            await self._routes.aclose()
        await self._finder.aclose()

    async def _first_command(self, arguments: Arguments, options: Options) -> Any:
        return await (await self._found()).call(arguments, options)

    async def _found(self) -> Routes:
        while self._routes is None:
            if self._finding is None or self._finding.done():
                self._finding = in_background(self._finder.find())
            # Shielded: whoever gives up waiting must not stop it for the others.
            self._routes = await asyncio.shield(self._finding)
        return self._routes


class Batch(AsyncCoreCommands):
    """Commands collected by redis-py's methods, sent together by `execute`. Their order is not promised."""

    def __init__(self, client: StoreClient) -> None:
        self._client = client
        self._calls: list[tuple[Arguments, Options]] = []

    def execute_command(self, *arguments: Any, **options: Any) -> Self:
        """Collect one command."""
        self._calls.append((arguments, options))
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The answers in order, errors among them if they are not to be raised."""
        calls, self._calls = self._calls, []
        answers = await asyncio.gather(
            *(self._client.execute_command(*arguments, **options) for arguments, options in calls),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and (raise_on_error or not isinstance(answer, Exception)):
                raise answer
        return answers

    def __len__(self) -> int:
        return len(self._calls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._calls = []
