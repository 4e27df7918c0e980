"""What every store asks the server through: commands, scans, and Lua scripts, one file per operation."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Self

from redis.commands import AsyncCoreCommands
from redis.exceptions import NoScriptError

from scalix.store.connection.calls import in_time
from scalix.store.connection.deadline import CALL_TIMEOUT_MS
from scalix.store.connection.redis_client import StoreClient
from scalix.store.keys import Keys

_SCAN_COUNT = 1_000
_SPECIAL = re.compile(r"([\\*?\[\]])")  # what a pattern does not take as it is
# What each script needs, and no more: a call costs more with every function that is loaded.
_SHARED = "windows"
_WITH = {
    **dict.fromkeys(("settle", "sweep", "release"), ("charges", "people", "ledger")),
    **dict.fromkeys(("reset", "raise_to", "delete_user"), ("ended", "adjust")),
    "admit": ("ended", "people"),
    "mend_person": ("people",),
}

Clock = Callable[[], int]
"""Returns Unix time in ms."""


class StoreSession(AsyncCoreCommands):
    """A client, the names of its keys, its time, and how long the server may take for an answer.

    It has redis-py's methods for single commands (`hgetall`, `set` …); each call is bounded by `timeout_ms`, and every
    way that it can fail is a `StoreUnavailable`. Sessions share their client: `within` makes one with another bound.

    `clock` gives Unix time in ms; without it, the time is the server's.
    """

    def __init__(
        self, client: StoreClient, keys: Keys, *, clock: Clock | None = None, timeout_ms: int = CALL_TIMEOUT_MS
    ) -> None:
        self.client = client
        self.names = keys
        self.clock = clock
        self._timeout_ms = timeout_ms

    def within(self, timeout_ms: int) -> "StoreSession":
        """The same, with another bound."""
        return StoreSession(self.client, self.names, clock=self.clock, timeout_ms=timeout_ms)

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """The answer to one command; every command method of redis-py comes through here."""
        async with in_time(self._timeout_ms):
            return await self.client.execute_command(*arguments, **options)

    async def run(self, script: str, names: Sequence[str], args: Sequence[str | int] = ()) -> Any:
        """The reply of `lua/<script>.lua`, for keys of these `names`."""
        async with in_time(self._timeout_ms):
            return await _run(self.client, script, names, args)

    async def run_all(self, script: str, calls: Iterable[tuple[Sequence[str], Sequence[str | int]]]) -> list[Any]:
        """The replies of one script to several calls, sent together: names and arguments of each."""
        async with in_time(self._timeout_ms):
            return await asyncio.gather(*(_run(self.client, script, *call) for call in calls))

    async def each(self, command: str, names: Iterable[str], *arguments: str | int) -> list[Any]:
        """The answers to the same command for each of several keys, sent together."""
        batch = self.batch()
        for name in names:
            batch.execute_command(command, name, *arguments)
        return await batch.execute()

    def batch(self) -> "Batch":
        """Collects commands, by redis-py's methods, that are then sent together."""
        return Batch(self.client, self._timeout_ms)

    async def on_every_server(self, *arguments: Any) -> list[Any]:
        """The answers to a command that is about a server, of all servers that hold a part of the keys."""
        async with in_time(self._timeout_ms):
            return await self.client.on_every_server(*arguments)

    async def pages(self, scan: Callable[..., Awaitable[tuple[Any, Any]]], name: str, count: int) -> AsyncIterator[Any]:
        """All pages of a `hscan` or `zscan` of this session, over the key `name`."""
        cursor: Any = 0
        while True:
            cursor, page = await scan(name, cursor, count=count)
            yield page
            if not int(cursor):
                return

    async def names_like(self, pattern: str) -> AsyncIterator[str]:
        """The names of all keys that match `pattern` after our prefix, on all servers. A name may come twice.

        Each step is bounded as a call is.
        """
        match = _SPECIAL.sub(r"\\\1", self.names.prefix) + pattern
        async with in_time(self._timeout_ms):
            lanes = await self.client.lanes()
        for lane in lanes:
            cursor: str | int | None = 0
            while cursor is not None:
                async with in_time(self._timeout_ms):
                    cursor, names = await lane.call(("SCAN", cursor, "MATCH", match, "COUNT", _SCAN_COUNT), {})
                for name in names:
                    yield name
                cursor = cursor if int(cursor) else None

    def now(self) -> str | int:
        """What scripts take for the time: that of our clock, else an empty text, which means the server's."""
        return "" if self.clock is None else self.clock()

    async def time_ms(self) -> int:
        """Unix time in ms."""
        if self.clock is not None:
            return self.clock()
        seconds, microseconds = await self.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


class SessionStore:
    """A store over one session, whose keys have the session's names."""

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self._keys = session.names

    async def now_ms(self) -> int:
        """The store's time, as Unix time in ms. Raises `StoreUnavailable`."""
        return await self._session.time_ms()


class Batch(AsyncCoreCommands):
    """Commands collected by redis-py's methods, sent together by `execute`, in no promised order. What has to be atomic
    is a script."""

    def __init__(self, client: StoreClient, timeout_ms: int) -> None:
        self._client = client
        self._timeout_ms = timeout_ms
        self._calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def execute_command(self, *arguments: Any, **options: Any) -> Self:
        """Collect one command."""
        self._calls.append((arguments, options))
        return self

    async def execute(self) -> list[Any]:
        """The answers in order. Raises `StoreUnavailable`, once all have been answered."""
        calls, self._calls = self._calls, []
        async with in_time(self._timeout_ms):
            waiting = (self._client.execute_command(*arguments, **options) for arguments, options in calls)
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        return answers

    def __len__(self) -> int:
        return len(self._calls)


@cache
def source_of(name: str) -> str:
    """The text of `lua/<name>.lua`, with the shared functions that it needs before it."""
    folder = files("scalix.store") / "lua"
    names = [_SHARED, *_WITH.get(name, ()), name]
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in names)


@cache
def hash_of(name: str) -> str:
    """The SHA-1 by which the server knows the script."""
    return sha1(source_of(name).encode(), usedforsecurity=False).hexdigest()


async def _run(client: StoreClient, name: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
    """Run a script; the server gets its text again when it has lost it (restart, SCRIPT FLUSH, fail-over)."""
    try:
        return await client.evalsha(hash_of(name), len(keys), *keys, *args)
    except NoScriptError:
        return await client.eval(source_of(name), len(keys), *keys, *args)
