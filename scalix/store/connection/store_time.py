"""The time that windows and events go by: the store's own, or in tests a given one."""

from collections.abc import Callable
from typing import Any

from scalix.store.connection.calls import in_time

Clock = Callable[[], int]
"""Returns Unix time in ms."""


async def store_time_ms(client: Any, clock: Clock | None, timeout_ms: int) -> int:
    """Unix time in ms, by `clock` where there is one, else by the server. Raises `StoreUnavailable`."""
    if clock is not None:
        return clock()
    async with in_time(timeout_ms):
        seconds, microseconds = await client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
