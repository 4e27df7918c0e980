"""Users' records in one process's memory."""

from collections.abc import Callable
from dataclasses import replace

from scalix.domain.limits.quota import UNKNOWN_VERSION
from scalix.store.base import RecordChanged, UserExists, UserRecord


class MemoryUsers:
    """A `UserStore`. `clock` returns Unix time in ms."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._users: dict[str, UserRecord] = {}
        self._versions = 0

    async def get(self, user_id: str) -> UserRecord:
        return self._users.get(user_id, UserRecord(user_id))

    async def create(self, record: UserRecord) -> UserRecord:
        if record.user_id in self._users:
            raise UserExists(record.user_id)
        return await self.update(replace(record, version=UNKNOWN_VERSION))

    async def update(self, record: UserRecord) -> UserRecord:
        before = self._users.get(record.user_id)
        if record.version != (before.version if before else UNKNOWN_VERSION):
            raise RecordChanged(record.user_id)
        self._versions += 1
        now_ms = self._clock()
        created_ms = before.created_ms if before else now_ms
        written = replace(record, version=str(self._versions), created_ms=created_ms, updated_ms=now_ms)
        self._users[record.user_id] = written
        return written

    async def delete(self, user_id: str) -> bool:
        return self._users.pop(user_id, None) is not None

    async def page(self, first: int, most: int) -> tuple[int, list[UserRecord]]:
        return len(self._users), [self._users[name] for name in sorted(self._users)[first : first + most]]
