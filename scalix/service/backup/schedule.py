"""Makes a backup when it is time, in one process of all gateways of the store, and notes erasures for backups."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from scalix.domain.backup import BackupSettings
from scalix.domain.limits.calendar import HOUR_MS
from scalix.service.backup.erasures import ErasureNotes
from scalix.service.metrics.gauges import Gauge
from scalix.service.policy_source import PolicySource
from scalix.store.backup.redis_backups import BackupStore, LastBackup
from scalix.store.backup.targets import TargetFailed

LOOK_EVERY_S = 10.0
RETRY_S = 600.0
# So late it is a fault and no chance any more.
_LATE = 2

log = logging.getLogger("scalix.backup")


@dataclass(eq=False)
class BackupSchedule:
    """`run` is to be called every few seconds by every process. `make` makes a backup in a process of its own, as the
    holder of the lock with this token, and says what went wrong, if something did. `last` is as of the last look."""

    store: BackupStore
    policy: PolicySource
    notes_at: Callable[[BackupSettings], ErasureNotes]
    make: Callable[[str], Awaitable[str]]
    clock: Callable[[], float] = time.monotonic
    last: LastBackup | None = field(default=None, init=False)
    now_ms: int = field(default=0, init=False)
    _again_s: float = field(default=0.0, init=False)

    @property
    def settings(self) -> BackupSettings:
        """The settings that hold now."""
        return self.policy.current.backup

    @property
    def figures(self) -> dict[str, int]:
        """What readiness says of backups, if there are to be any: the age of the last good one in seconds, and
        `backup_late` of 1 while it is twice as old as it should be."""
        if self.settings.to is None or self.last is None:
            return {}
        age_ms, every = max(0, self.now_ms - self.last.at_ms), self.settings.every_hours
        late = {"backup_late": 1} if every and age_ms > _LATE * every * HOUR_MS else {}
        return {"backup_age_s": age_ms // 1000, **late}

    async def gauges(self) -> list[Gauge]:
        """What metrics say. Raises `StoreUnavailable`."""
        age_s = await self.store.age_s()
        return [] if age_s is None else [("store_backup_age_seconds", (), age_s)]

    async def note_erasure(self, subject: str) -> None:
        """Note that a subject is erased now. Raises `StoreUnavailable`."""
        await self.notes_at(self.settings).note(subject)

    async def run(self) -> None:
        """Make a backup, if it is time. Raises `StoreUnavailable`."""
        await self._look()
        if self.settings.to is None:
            return
        try:
            await self.notes_at(self.settings).tell()
        except TargetFailed as error:
            log.error("erasures can't be noted beside the backups: %s", error)
        if not self._is_due() or self.clock() < self._again_s:
            return
        async with self.store.locked() as is_ours:
            if not is_ours:
                return
            await self._look()  # another one may have made it just now
            if self._is_due():
                await self._make()
        await self._look()

    async def _make(self) -> None:
        if fault := await self.make(self.store.token):
            self._again_s = self.clock() + RETRY_S
            log.error("no backup could be made, it is tried again in %.0f minutes: %s", RETRY_S / 60, fault)

    async def _look(self) -> None:
        self.last, self.now_ms = await self.store.last(), await self.store.now_ms()

    def _is_due(self) -> bool:
        every_ms = self.settings.every_hours * HOUR_MS
        return every_ms > 0 and (self.last is None or self.now_ms - self.last.at_ms >= every_ms)
