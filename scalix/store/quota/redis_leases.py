"""How many requests are in flight at all gateways of a store."""

from typing import Any

from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import Keys


class RedisLeases:
    """Counts the leases in the indexes of all shards."""

    def __init__(self, client: Any, keys: Keys, *, timeout_ms: int = CALL_TIMEOUT_MS) -> None:
        self._client = client
        self._keys = keys
        self._timeout_ms = timeout_ms

    async def count(self) -> int:
        """Requests in flight, those of workers that died and are not swept yet among them. Raises
        `StoreUnavailable`."""
        async with in_time(self._timeout_ms):
            pipeline = self._client.pipeline(transaction=False)
            for index in self._keys.all_leases():
                pipeline.zcard(index)
            return sum(await pipeline.execute())
