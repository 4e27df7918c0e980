"""What has no end of its own in Redis or Valkey: found and removed by age."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from scalix.domain.identity.subjects import user_subject
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS, window_end_ms
from scalix.domain.limits.limits import Window
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.keys import CLOCK_GRACE_MS, RETENTION_RUN_LIFETIME_MS
from scalix.store.ledger.redis_ledger_repair import names_of_shards
from scalix.store.records.redis_key_reading import CLAIM_MS

TIMEOUT_MS = 2_000
_SETTLES_S = 1.0
_TOGETHER = 100
# By which number of `Retention` the books of each letter are kept: see keys.py.
_KEPT_BY = {
    **dict.fromkeys(("a", "rt", "rc", "t"), "hours_days"),
    **dict.fromkeys(("s", "A"), "days_days"),
    **dict.fromkeys(("e", "ei", "et"), "events_days"),
}

log = logging.getLogger("scalix.retention")


class RetentionStore(SessionStore):
    """Removes what is too old, once a day for all gateways. Every method may raise `StoreUnavailable`."""

    def __init__(self, session: StoreSession, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        super().__init__(session)
        self._sleep = sleep

    async def claim_today(self) -> bool:
        """Whether nobody has claimed the work of this day (UTC) before; it is the caller's now."""
        args = [await self._session.time_ms() // DAY_MS, RETENTION_RUN_LIFETIME_MS]
        return bool(await self._session.run("claim_day", [self._keys.retention_run()], args))

    async def give_back_today(self) -> None:
        """Let somebody else do the work of this day."""
        await self._session.delete(self._keys.retention_run())

    async def remove_credits(self, days: int) -> int:
        """Forget what was added to balances longer than `days` ago, not the balances; how many entries."""
        oldest_ms = await self._session.time_ms() - days * DAY_MS
        removed = 0
        # Goes through all names of keys, as credits are kept by user.
        async for name in self._session.names_like("{s[0-9a-f][0-9a-f]}:c:*"):
            entries = await self._session.hgetall(name)
            old = [field for field, text in entries.items() if int(text.split(" ")[1]) < oldest_ms]
            if old:
                removed += await self._session.hdel(name, *old)
        return removed

    async def remove_books(self, retention: Retention) -> int:
        """Remove books that are older than `retention` says, and windows that nobody needs any more; how many keys.

        Nothing while the store's clock and this machine's are a day apart: then nobody knows how old anything is.
        """
        now_ms = await self._session.time_ms()
        if self._session.clock is None and abs(now_ms - time.time_ns() // 1_000_000) > DAY_MS:
            log.error("the store's clock is more than a day away from this machine's: nothing of the books is removed")
            return 0
        removed = await self._forget_people(now_ms // DAY_MS - retention.days_days)
        batch: dict[int, list[str]] = {}
        async for shard, kind, rest in names_of_shards(self._session):
            name = f"{self._keys.prefix}{{s{shard:02x}}}:{kind}:{rest}"
            if kind == "w" and not rest.startswith("~"):  # those of who was erased end with the month
                names = batch.setdefault(shard, [])
                names.append(name)
                if len(names) >= _TOGETHER:
                    removed += await self._remove_windows(batch.pop(shard), now_ms)
            elif _is_over(kind, rest, now_ms // DAY_MS, retention) and not await self._came_late(name):
                removed += await self._session.unlink(name)
        for names in batch.values():
            removed += await self._remove_windows(names, now_ms)
        return removed

    async def _forget_people(self, first_day: int) -> int:
        """Days and people of before this day; how many entries."""
        removed = 0
        for name in self._keys.all_people():
            removed += int(await self._session.run("forget_people", [name], [first_day]))
        days = [day for day in await self._session.hkeys(self._keys.day_figures()) if int(day) < first_day]
        return removed + (await self._session.hdel(self._keys.day_figures(), *days) if days else 0)

    async def _came_late(self, name: str) -> bool:
        """Whether it is less than a day old, and of a book that was over then: it is known that long, lest it be told
        twice. What would be kept for longer is of before that time was set lower."""
        return CLOCK_GRACE_MS <= await self._session.pttl(name) <= CLOCK_GRACE_MS + DAY_MS

    async def _remove_windows(self, names: list[str], now_ms: int) -> int:
        return int(await self._session.run("remove_ended", names, [now_ms]))

    async def remove_dead_pointers(self) -> int:
        """Remove what leads to virtual keys that are not there: left behind by deletions that broke off."""
        candidates = [
            (name, place)
            for pattern in ("key:*", "alias:*")
            async for name in self._session.names_like(pattern)
            if (place := await self._session.get(name)) is not None and await self._is_dead(place)
        ]
        if candidates:
            # A key that is being made right now has what leads to it first.
            await self._sleep(_SETTLES_S)
        removed = 0
        for name, place in candidates:
            if await self._session.get(name) == place and await self._is_dead(place):
                removed += await self._session.delete(name)
                await self._session.zrem(self._keys.key_list(), place)
        return removed

    async def _is_dead(self, place: str) -> bool:
        key_id, _, user_id = place.partition(" ")
        if await self._session.exists(self._keys.key_record(user_subject(user_id), key_id)):
            return False
        made_ms = await self._session.zscore(self._keys.key_list(), place)
        return made_ms is None or float(made_ms) < await self._session.time_ms() - CLAIM_MS


def _is_over(kind: str, rest: str, today: int, retention: Retention) -> bool:
    """Whether a book is of a day, or of a month, that ended longer ago than it is kept."""
    index = rest.rpartition(":")[2]
    if kind not in _KEPT_BY or not index.isdigit():
        return False
    days: int = getattr(retention, _KEPT_BY[kind])
    if kind in ("s", "A"):
        return today >= window_end_ms(Window.MONTH, int(index)) // DAY_MS + days
    return today > int(index) + days
