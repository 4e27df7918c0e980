"""What the store knows of its backups: the last one, and who makes one now."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from scalix.store.backup.redis_snapshot import Line, StoreSnapshot
from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.connection.session import SessionStore, StoreSession

LOCK_MS = 10 * 60_000
_RENEW_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class LastBackup:
    """A backup that was made: its time in ms, name, size in bytes, how long it took in ms, and its lines of keys."""

    at_ms: int
    name: str
    size_bytes: int
    took_ms: int
    keys: int


class BackupStore(SessionStore):
    """Processes with the same `token` share the lock. Every method may raise `StoreUnavailable`."""

    def __init__(self, session: StoreSession, token: str | None = None) -> None:
        super().__init__(session)
        self.token = token or secrets.token_hex(8)
        self._is_lost = False

    async def last(self) -> LastBackup | None:
        """The last backup that was made of this store; `None`: it knows of none."""
        found = await self._session.hgetall(self._keys.backups())
        if not found:
            return None
        numbers = {name: int(found[name]) for name in ("at_ms", "size_bytes", "took_ms", "keys")}
        return LastBackup(name=found["name"], **numbers)

    async def age_s(self) -> float | None:
        """The age of the last backup in seconds; `None`: the store knows of none."""
        last = await self.last()
        return None if last is None else max(0.0, (await self.now_ms() - last.at_ms) / 1000)

    async def note(self, made: LastBackup) -> None:
        """Keep that a backup was made."""
        await self._session.hset(self._keys.backups(), mapping={key: str(value) for key, value in asdict(made).items()})

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[bool]:
        """The backups for ourselves, however long it takes, if nobody else is at them: whether they are."""
        if not await self._lock(LOCK_MS):
            yield False
            return
        self._is_lost, done = False, asyncio.Event()
        renewing = in_background(self._renew_until(done))
        try:
            yield True
        finally:
            done.set()
            await renewing
            await self._lock(0)

    def check_lock(self) -> None:
        """To be called again and again while there is something to do. Raises `StoreUnavailable` if somebody else is at
        the backups, as when this process stood still."""
        if self._is_lost:
            raise StoreUnavailable("the lock of the backups was lost", counts=False)

    async def _renew_until(self, done: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_EVERY_S):
                    await done.wait()
                    return
            with suppress(StoreUnavailable):
                self._is_lost |= not await self._lock(LOCK_MS)

    async def snapshot(self) -> AsyncIterator[Line]:
        """Everything that the store holds, as lines of a backup."""
        kept = await self._session.get(self._keys.pseudonym_key())
        async for line in StoreSnapshot(self._session, bytes.fromhex(kept) if kept else None).lines():
            yield line

    async def _lock(self, wanted_ms: int) -> bool:
        return bool(await self._session.run("archive_lock", [self._keys.backup_lock()], [self.token, wanted_ms]))
