"""Cooldowns of models in a Redis or Valkey server."""

from hashlib import blake2b
from typing import Any

from scalix.store.base import Cooling
from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import Keys

_OF_FAILURES = b"failures of models"


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

    async def count_failure(self, model: str, subject: str, *, within_ms: int, failures: int) -> bool:
        """Count a failed request; whether there are enough of more than one subject."""
        # What is kept names nobody, not even for half a minute.
        digest = blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=8, key=_OF_FAILURES).hexdigest()
        async with in_time(self._timeout_ms):
            args: list[str | int] = [model, digest, within_ms, failures]
            return bool(await scripts.run(self._client, "count_failure", [self._keys.failures()], args))

    async def forget_failures(self, model: str) -> None:
        """The model has answered: its failures are no row any more."""
        async with in_time(self._timeout_ms):
            await self._client.hdel(self._keys.failures(), model)

    async def cooling(self) -> tuple[list[Cooling], set[str]]:
        """The models that rest now, and those of which failures are counted."""
        names = [self._keys.cooldowns(), self._keys.failures()]
        async with in_time(self._timeout_ms):
            found, failing = await scripts.run(self._client, "cooling", names, [])
        resting = [
            Cooling(str(model), int(rest_ms), str(asked_for) == "1")
            for model, rest_ms, asked_for in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]
        return resting, set(map(str, failing))
