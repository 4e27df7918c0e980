"""The one way to the server: a client for one server or a cluster."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, ResponseError

from scalix.store.connection.calls import in_time
from scalix.store.connection.client import Routes, StoreClient
from scalix.store.connection.cluster import Address, ClusterRoutes
from scalix.store.connection.deadline import CALL_TIMEOUT_MS
from scalix.store.connection.lane import Arguments, Lane, Options

__all__ = ["CALL_TIMEOUT_MS", "CONNECTIONS", "connect", "in_time"]

# To each server. It answers one command at a time; more connections only cover the time that answers travel.
CONNECTIONS = 4


def connect(url: str, *, timeout_ms: int = CALL_TIMEOUT_MS, connections: int = CONNECTIONS) -> StoreClient:
    """An asyncio client for `redis://`, `rediss://` or `unix://`: one server, or any node of a Redis Cluster.

    Which of the two is asked of the server (`INFO cluster`) at the first command; there is nothing to configure.
    `connections` is the most that are opened, for each node of a cluster; callers beyond share them.
    """
    return StoreClient(_Finder(url, timeout_ms, connections))


class _OneServer:
    """Routes where there is one server."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def call(self, arguments: Arguments, options: Options) -> asyncio.Future[Any]:
        return self._lane.call(arguments, options)

    def lanes(self) -> list[Lane]:
        return [self._lane]

    async def aclose(self) -> None:
        await self._lane.aclose()


class _Finder:
    """Asks the server that the URL names what it is."""

    def __init__(self, url: str, timeout_ms: int, connections: int) -> None:
        self._url = url
        self._timeout_ms = timeout_ms
        self._connections = connections
        self._lane: Lane | None = None

    async def find(self) -> Routes:
        if self._lane is None:
            self._lane = self._make_lane(self._url, lambda: None)
        try:
            facts = await self._lane.call(("INFO", "cluster"), {})
        except (NoPermissionError, ResponseError):
            facts = {}
        if not int(facts.get("cluster_enabled", 0)):
            return _OneServer(self._lane)
        parts = urlsplit(self._url)
        seed = (parts.hostname or "", parts.port or 6379)
        routes = ClusterRoutes(seed, self._lane_to)
        try:
            await routes.look()
        except BaseException:
            await routes.aclose()
            raise
        return routes

    async def aclose(self) -> None:
        if self._lane is not None:
            await self._lane.aclose()

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


def _with_address(url: str, address: Address) -> str:
    """The same URL, with its credentials and options, for another node."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return url
    credentials, at, _ = parts.netloc.rpartition("@")
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}:{address[1]}"))
