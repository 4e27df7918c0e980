"""The epoch of a Redis or Valkey server: a random text by which a store that was emptied is known."""

from typing import Any

from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import EPOCH_LIFETIME_MS, Keys


class RedisEpoch:
    """An `EpochStore` over one server or cluster."""

    def __init__(self, client: Any, keys: Keys, *, timeout_ms: int = CALL_TIMEOUT_MS) -> None:
        self._client = client
        self._keys = keys
        self._timeout_ms = timeout_ms

    async def epoch(self, new: str, *, write: bool) -> str:
        """The store's epoch, `new` if it had none. `write` makes the server write, to see whether it does."""
        async with in_time(self._timeout_ms):
            args: list[str | int] = [new, EPOCH_LIFETIME_MS, int(write)]
            return str(await scripts.run(self._client, "epoch", [self._keys.epoch()], args))
