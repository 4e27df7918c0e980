"""What has no end of its own in Redis or Valkey: found and removed by age."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.connection.redis_client import in_time
from scalix.store.connection.store_time import Clock, store_time_ms
from scalix.store.keys import Keys
from scalix.store.records.redis_keys import CLAIM_MS

TIMEOUT_MS = 2_000
_SCAN_COUNT = 500
_SETTLES_S = 1.0


class RetentionStore(Protocol):
    """Every method may raise `StoreUnavailable`."""

    async def claim_today(self) -> bool:
        """Whether nobody has claimed the work of this day (UTC) before; it is the caller's now."""
        ...

    async def give_back_today(self) -> None:
        """Let somebody else do the work of this day."""
        ...


class RedisRetention:
    """A `RetentionStore` over one server or cluster. Without `clock`, time is the server's."""

    def __init__(
        self,
        client: Any,
        keys: Keys,
        *,
        clock: Clock | None = None,
        timeout_ms: int = TIMEOUT_MS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._sleep = sleep

    async def claim_today(self) -> bool:
        now_ms = await self._now_ms()
        left_ms = DAY_MS - now_ms % DAY_MS
        async with in_time(self._timeout_ms):
            name = self._keys.retention_run()
            return await self._client.set(name, str(now_ms // DAY_MS), px=left_ms, nx=True) is not None

    async def give_back_today(self) -> None:
        async with in_time(self._timeout_ms):
            await self._client.delete(self._keys.retention_run())

    async def remove_credits(self, days: int) -> int:
        """Forget what was added to balances longer than `days` ago, not the balances; how many entries."""
        oldest_ms = await self._now_ms() - days * DAY_MS
        removed = 0
        # Goes through all names of keys, as credits are kept by user.
        async for name in self._names("{s[0-9a-f][0-9a-f]}:c:*"):
            async with in_time(self._timeout_ms):
                entries = await self._client.hgetall(name)
                old = [field for field, text in entries.items() if int(text.split(" ")[1]) < oldest_ms]
                if old:
                    removed += await self._client.hdel(name, *old)
        return removed

    async def remove_dead_pointers(self) -> int:
        """Remove what leads to virtual keys that are not there: left behind by deletions that broke off."""
        candidates = [
            (name, place)
            for pattern in ("key:*", "alias:*")
            async for name in self._names(pattern)
            if (place := await self._place_of(name)) is not None and await self._is_dead(place)
        ]
        if candidates:
            # A key that is being made right now has what leads to it first.
            await self._sleep(_SETTLES_S)
        removed = 0
        for name, place in candidates:
            if await self._place_of(name) == place and await self._is_dead(place):
                async with in_time(self._timeout_ms):
                    removed += await self._client.delete(name)
                    await self._client.zrem(self._keys.key_list(), place)
        return removed

    async def _place_of(self, name: str) -> str | None:
        async with in_time(self._timeout_ms):
            place: str | None = await self._client.get(name)
        return place

    async def _is_dead(self, place: str) -> bool:
        key_id, _, user_id = place.partition(" ")
        async with in_time(self._timeout_ms):
            if await self._client.exists(self._keys.key_record(str(Subject("user", user_id)), key_id)):
                return False
            made_ms = await self._client.zscore(self._keys.key_list(), place)
        return made_ms is None or float(made_ms) < await self._now_ms() - CLAIM_MS

    async def _names(self, pattern: str) -> Any:
        escaped = "".join(f"\\{letter}" if letter in "\\*?[]" else letter for letter in self._keys.prefix)
        async for name in self._client.scan_iter(match=escaped + pattern, count=_SCAN_COUNT):
            yield name

    async def _now_ms(self) -> int:
        return await store_time_ms(self._client, self._clock, self._timeout_ms)
