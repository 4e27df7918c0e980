"""Watches how full the store is: says so in time, and lets old events go to files early when it gets tight."""

import logging
from collections.abc import Awaitable, Callable

from scalix.store.ledger.redis_memory import RedisMemory, ServerMemory

LOOK_EVERY_S = 60.0
ALARM_PERCENT, ARCHIVE_PERCENT = 80, 90
# Below this the alarm is over; what swings around the mark is told once.
CALM_PERCENT = 75
_MIB = 1 << 20

log = logging.getLogger("scalix.store")


class StoreMemory:
    """`latest` is what the last look saw. `archive_early` is called at every look at 90 % or more."""

    def __init__(self, memory: RedisMemory, *, archive_early: Callable[[], Awaitable[object]]) -> None:
        self._memory = memory
        self._archive_early = archive_early
        self._told = 0
        self.latest: ServerMemory | None = None

    @property
    def alarm_percent(self) -> int:
        """How full the store is while that is an alarm; else 0."""
        return self.latest.percent if self._told and self.latest is not None else 0

    async def look(self) -> None:
        """Look once, and archive where that is due; to be called every minute or so. Raises `StoreUnavailable`."""
        latest = await self.read()
        if latest.percent >= ARCHIVE_PERCENT:
            await self._archive_early()

    async def read(self) -> ServerMemory:
        """Look once, for whoever must not wait until an archive is written. Raises `StoreUnavailable`."""
        self.latest = latest = await self._memory.fullest()
        mark = max((mark for mark in (ALARM_PERCENT, ARCHIVE_PERCENT) if latest.percent >= mark), default=0)
        if mark > self._told:
            self._told = mark
            log.error(
                "the store is %d %% full (%d of %d MiB of %s): %s",
                latest.percent,
                latest.used_bytes // _MIB,
                latest.limit_bytes // _MIB,
                "its maxmemory" if latest.is_configured else "the machine's memory, as it has no maxmemory",
                "events of past days go to files now; give it more memory"
                if mark == ARCHIVE_PERCENT
                else "give it more memory, or keep less: see scalix.retention",
            )
        elif self._told and latest.percent < CALM_PERCENT:
            self._told = 0
            log.warning("the store is %d %% full: there is room again", latest.percent)
        return latest
