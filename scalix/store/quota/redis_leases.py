"""How many requests are in flight at all gateways of a store."""

from scalix.store.connection.session import SessionStore


class RedisLeases(SessionStore):
    """Counts the leases in the indexes of all shards."""

    async def count(self) -> int:
        """Requests in flight, those of workers that died and are not swept yet among them. Raises
        `StoreUnavailable`."""
        return sum(await self._session.each("ZCARD", self._keys.all_leases()))
