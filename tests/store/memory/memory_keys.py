"""Virtual keys in one process's memory, beside the counters of a `MemoryStore`."""

from collections.abc import Callable
from dataclasses import replace

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyWindow, budget_start_ms
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import UNKNOWN_VERSION, KeyTallies, Tally
from scalix.store.base import RecordChanged
from scalix.store.records.redis_keys import AliasTaken
from tests.store.memory.memory import MemoryStore


class MemoryKeyStore:
    """A `KeyStore`. `clock` returns Unix time in ms."""

    def __init__(self, store: MemoryStore, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._versions = 0

    async def find(self, digest: str) -> KeyRecord | None:
        return self._first(lambda record: digest == record.digest or digest in record.former)

    async def find_alias(self, alias: str) -> KeyRecord | None:
        return self._first(lambda record: record.alias == alias)

    async def get(self, key_id: str, user_id: str) -> KeyRecord | None:
        record = self._store.keys.get(key_id)
        return record if record is not None and record.user_id == user_id else None

    async def versions(self, key_id: str, user_id: str) -> tuple[str, str]:
        key = await self.get(key_id, user_id)
        return UNKNOWN_VERSION if key is None else key.version, (await self._store.get(user_id)).version

    async def create(self, record: KeyRecord) -> KeyRecord:
        self._check_alias(record)
        return self._write(replace(record, created_ms=self._clock()))

    async def update(self, before: KeyRecord, record: KeyRecord) -> KeyRecord:
        self._check_alias(record)
        now = self._store.keys.get(record.key_id)
        if now is None or now.version != before.version:
            raise RecordChanged(record.key_id)
        return self._write(record)

    async def delete(self, record: KeyRecord) -> bool:
        self._store.key_windows.pop(record.key_id, None)
        return self._store.keys.pop(record.key_id, None) is not None

    async def page(self, first: int, most: int, user_id: str | None = None) -> tuple[int, list[KeyRecord]]:
        found = [record for record in self._store.keys.values() if user_id in (None, record.user_id)]
        found.sort(key=lambda record: (-record.created_ms, record.key_id))
        return len(found), found[first : first + most]

    async def tallies(self, record: KeyRecord) -> tuple[int, KeyTallies]:
        now_ms = self._clock()
        windows = self._store.key_windows.get(record.key_id, {})
        wanted = [
            (KeyWindow.MINUTE, window_index(Window.MINUTE, now_ms)),
            (KeyWindow.BUDGET, budget_start_ms(record.budget_anchor_ms, record.budget_period_ms, now_ms)),
            (KeyWindow.TOTAL, 0),
        ]
        return now_ms, {key[0]: windows[key] for key in wanted if key in windows}

    async def set_spend(self, record: KeyRecord, nano_usd: int) -> bool:
        if record.key_id not in self._store.keys:
            return False
        start_ms = budget_start_ms(record.budget_anchor_ms, record.budget_period_ms, self._clock())
        windows = self._store.key_windows.setdefault(record.key_id, {})
        for key in [(KeyWindow.TOTAL, 0), *([(KeyWindow.BUDGET, start_ms)] if start_ms else [])]:
            windows[key] = replace(windows.get(key, Tally()), nano_usd_used=nano_usd)
        return True

    def _first(self, matches: Callable[[KeyRecord], bool]) -> KeyRecord | None:
        return next(filter(matches, self._store.keys.values()), None)

    def _check_alias(self, record: KeyRecord) -> None:
        taken = record.alias is not None and self._first(lambda other: other.alias == record.alias)
        if taken and taken.key_id != record.key_id:
            raise AliasTaken(record.alias)

    def _write(self, record: KeyRecord) -> KeyRecord:
        self._versions += 1
        written = replace(record, version=str(self._versions), updated_ms=self._clock())
        self._store.keys[record.key_id] = written
        return written
