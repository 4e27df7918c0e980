"""Prepaid balances in Redis or Valkey."""

from collections.abc import Callable
from typing import Any

from scalix.domain.ledger.ledger import Balance
from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import Keys


class RedisBalanceStore:
    """A `BalanceStore` over one server or cluster. Without `clock`, time is the server's."""

    def __init__(
        self, client: Any, keys: Keys, *, clock: Callable[[], int] | None = None, timeout_ms: int = CALL_TIMEOUT_MS
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._timeout_ms = timeout_ms

    async def balance(self, subject: str) -> Balance | None:
        async with in_time(self._timeout_ms):
            nano_usd, held = await self._client.hmget(self._keys.balance(subject), ["nano", "held"])
        return None if nano_usd is None else Balance(int(nano_usd), int(held or 0))

    async def credit(self, subject: str, nano_usd: int, credit_id: str) -> tuple[bool, Balance]:
        names = [self._keys.balance(subject), self._keys.credits(subject)]
        args: list[str | int] = [credit_id, nano_usd, "" if self._clock is None else self._clock()]
        async with in_time(self._timeout_ms):
            added, after, held = await scripts.run(self._client, "credit", names, args)
        return bool(added), Balance(int(after), int(held))
