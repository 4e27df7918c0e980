"""The client of the store: redis-py's commands, carried by lanes to a server, a Redis Cluster or Sentinel's master."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands import AsyncCoreCommands
from redis.exceptions import NoPermissionError, ResponseError

from scalix.store.connection.background import in_background
from scalix.store.connection.cluster import Address, ClusterRoutes
from scalix.store.connection.deadline import CALL_TIMEOUT_MS
from scalix.store.connection.lane import Lane
from scalix.store.connection.seeds import seeds_of
from scalix.store.connection.sentinel import SentinelRoutes
from scalix.store.connection.sentinel_url import SentinelUrl, is_of_sentinel

# To each server. It answers one command at a time; more connections only cover the time that answers travel.
CONNECTIONS = 4

Routes = Lane | ClusterRoutes | SentinelRoutes
R = TypeVar("R", ClusterRoutes, SentinelRoutes)


class StoreClient(AsyncCoreCommands):
    """An asyncio client with redis-py's methods for single commands.

    `url` is `redis://`, `rediss://` or `unix://`: one server, or any node of a Redis Cluster, or several of them; or it
    names the Sentinels that know the server, as `SentinelUrl` has it. Which of the first two, the first command asks
    (`INFO cluster`), so that a client can be made while the server is away. `connections` is the most that are opened,
    for each node of a cluster; callers beyond share them.
    """

    def __init__(self, url: str, *, timeout_ms: int = CALL_TIMEOUT_MS, connections: int = CONNECTIONS) -> None:
        self._url = url
        self._timeout_ms = timeout_ms
        self._connections = connections
        self._first_lane: Lane | None = None
        self._routes: Routes | None = None
        self._finding: asyncio.Task[Routes] | None = None

    def execute_command(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        """The answer to one command; every command method of redis-py comes through here."""
        if self._routes is not None:
            return self._routes.call(arguments, options)
        return self._first_command(arguments, options)

    async def lanes(self) -> list[Lane]:
        """One lane for each server that holds a part of the keys. Raises `StoreUnavailable`."""
        return (await self._found()).lanes()

    async def on_every_server(self, *arguments: Any) -> list[Any]:
        """The answers to a command that is about a server, of all servers that hold a part of the keys."""
        return [await lane.call(arguments, {}) for lane in await self.lanes()]

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
        for routes in (self._routes, self._first_lane):
            if routes is not None:
                await routes.aclose()

    async def _first_command(self, arguments: Any, options: Any) -> Any:
        return await (await self._found()).call(arguments, options)

    async def _found(self) -> Routes:
        while self._routes is None:
            if self._finding is None or self._finding.done():
                self._finding = in_background(self._find())
                self._finding.add_done_callback(_heed)
            # Shielded: whoever gives up waiting must not stop it for the others.
            self._routes = await asyncio.shield(self._finding)
        return self._routes

    async def _find(self) -> Routes:
        """Ask the server that the URL names what it is."""
        if is_of_sentinel(self._url):
            return await _sound(SentinelRoutes(SentinelUrl.parse(self._url), self._make_lane))
        seeds = [_address_in(seed) for seed in seeds_of(self._url)]
        if len(seeds) > 1:
            return await _sound(ClusterRoutes(seeds, self._lane_to))
        if self._first_lane is None:
            self._first_lane = self._make_lane(self._url, lambda: None)
        try:
            facts = await self._first_lane.call(("INFO", "cluster"), {})
        except (NoPermissionError, ResponseError):
            facts = {}
        if not int(facts.get("cluster_enabled", 0)):
            return self._first_lane
        return await _sound(ClusterRoutes(seeds, self._lane_to))

    def _lane_to(self, address: Address, on_fault: Callable[[], None]) -> Lane:
        return self._make_lane(_with_address(self._url, address), on_fault)

    def _make_lane(self, url: str, on_fault: Callable[[], None]) -> Lane:
        # The pool is not used as one: it knows how to read a URL, and makes connections.
        pool: Any = redis.asyncio.ConnectionPool.from_url(
            url,
            decode_responses=True,
            socket_timeout=None,
            # The lane bounds connecting too, by a clock that our own busy moments don't move.
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        callbacks = redis.asyncio.Redis(connection_pool=pool).response_callbacks
        return Lane(
            pool.make_connection,
            callbacks,
            timeout_ms=self._timeout_ms,
            connections=self._connections,
            on_fault=on_fault,
        )


connect = StoreClient


def _heed(finding: asyncio.Task[Routes]) -> None:
    """Whoever waited may have given up by now, and asyncio would log what it failed of, with its trace."""
    if not finding.cancelled():
        finding.exception()


async def _sound(routes: R) -> R:
    """The same, once they lead somewhere. Raises StoreUnavailable."""
    try:
        await routes.look()
    except BaseException:
        await routes.aclose()
        raise
    return routes


def _address_in(url: str) -> Address:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 6379


def _with_address(url: str, address: Address) -> str:
    """The same URL, with its credentials and options, for another node."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return url
    credentials, at, _ = parts.netloc.rpartition("@")
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}:{address[1]}"))
