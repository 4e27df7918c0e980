"""In a Redis or Valkey server: which names served by wildcards the sums of a day have as they are."""

from typing import Any

from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import WILDCARD_NAMES_LIFETIME_MS, Keys


class RedisModelNames:
    """A `NameStore` over one server or cluster."""

    def __init__(self, client: Any, keys: Keys, *, timeout_ms: int = CALL_TIMEOUT_MS) -> None:
        self._client = client
        self._keys = keys
        self._timeout_ms = timeout_ms

    async def list_name(self, day: int, name: str, most: int) -> frozenset[str] | None:
        """Put `name` among the day's, or find it there: `None`. Where there are `most` others: those, for good."""
        async with in_time(self._timeout_ms):
            args: list[str | int] = [name, most, WILDCARD_NAMES_LIFETIME_MS]
            found = await scripts.run(self._client, "list_name", [self._keys.wildcard_names(day)], args)
        return frozenset(map(str, found)) or None
