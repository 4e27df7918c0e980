"""Cooldowns of models in a Redis or Valkey server."""

from typing import Any

from scalix.store.base import Cooling
from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import Keys


class RedisCooldowns:
    """A `CooldownStore` over one server or cluster. The time that counts is the server's."""

    def __init__(self, client: Any, keys: Keys, *, timeout_ms: int = CALL_TIMEOUT_MS) -> None:
        self._client = client
        self._keys = keys
        self._timeout_ms = timeout_ms

    async def cool(self, model: str, for_ms: int, *, asked_for: bool) -> None:
        """Leave `model` alone for `for_ms` from now; 0 ends it."""
        async with in_time(self._timeout_ms):
            args: list[str | int] = [model, for_ms, int(asked_for)]
            await scripts.run(self._client, "cool", [self._keys.cooldowns()], args)

    async def cooling(self) -> list[Cooling]:
        """The models that are left alone now."""
        async with in_time(self._timeout_ms):
            found = await scripts.run(self._client, "cooling", [self._keys.cooldowns()], [])
        return [
            Cooling(str(model), int(rest_ms), str(asked_for) == "1")
            for model, rest_ms, asked_for in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]
