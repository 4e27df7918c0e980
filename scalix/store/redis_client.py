"""The one way to the server: a client whose calls end in time, and whose failures are `StoreUnavailable`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from scalix.store.base import StoreUnavailable

CALL_TIMEOUT_MS = 250
MAX_CONNECTIONS = 64


def connect(url: str, *, timeout_ms: int = CALL_TIMEOUT_MS, max_connections: int = MAX_CONNECTIONS) -> Any:
    """An asyncio client for `redis://`, `rediss://` or `unix://`; callers beyond the pool's size wait for a turn."""
    timeout_s = timeout_ms / 1000
    pool: Any = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        decode_responses=True,
        max_connections=max_connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return redis.asyncio.Redis(connection_pool=pool)


@asynccontextmanager
async def in_time(timeout_ms: int = CALL_TIMEOUT_MS) -> AsyncIterator[None]:
    """Bounds a call to the store, and turns every way that it can fail into `StoreUnavailable`."""
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            yield
    except TimeoutError:
        raise StoreUnavailable(f"the store did not answer within {timeout_ms} ms") from None
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"the store failed: {type(error).__name__}") from error
