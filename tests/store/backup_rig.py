"""Backups of a store that is under a prefix of the test's own, restored under another one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from scalix.domain.backup import BackupSettings
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.wiring.backup import BackupParts, build_backups, place_of
from tests.store.stores import Clock

LOOK_EVERY_S, ANSWERS_WITHIN_S = 0.05, 0.3


async def contents(session: StoreSession) -> dict[str, Any]:
    """Everything under the session's prefix: type, value, and when it ends, in ms; -1 for never."""
    found: dict[str, Any] = {}
    async for full in session.names_like("*"):
        kind = await session.client.execute_command("TYPE", full)
        read = {
            "string": ("GET", full),
            "hash": ("HGETALL", full),
            "set": ("SMEMBERS", full),
            "zset": ("ZRANGE", full, 0, -1, "WITHSCORES"),
            "stream": ("XRANGE", full, "-", "+"),
        }[kind]
        value = await session.client.execute_command(*read)
        ends_ms = await session.client.execute_command("PEXPIRETIME", full)
        found[full.removeprefix(session.names.prefix)] = (kind, value, ends_ms)
    return found


@asynccontextmanager
async def session_at(url: str, prefix: str, clock: Clock | None = None) -> AsyncIterator[StoreSession]:
    client = connect(url, timeout_ms=10_000, connections=2)
    try:
        yield StoreSession(client, Keys(prefix), clock=clock, timeout_ms=10_000)
    finally:
        await client.aclose()


def parts_of(session: StoreSession, folder: Path, state: str = "state", key: str | None = None) -> BackupParts:
    """What makes and restores backups in `folder`, for a machine whose state directory is named."""
    environ = {"SCALIX_BACKUP_KEY": key} if key else {}
    (folder / state).mkdir(exist_ok=True)
    place = place_of(BackupSettings(to=str(folder / "backups")), folder / state, environ)
    parts = build_backups(session, folder / state, place)
    # A gateway of a test looks many times as often as others do, so that nobody need be waited for so long.
    parts.restoring.stores.restore._sleep = lambda _: asyncio.sleep(ANSWERS_WITHIN_S)
    return parts


class Answering:
    """A gateway that looks at the store's epoch, as every gateway does."""

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self.task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self) -> None:
        from scalix.store.records.redis_epoch import EpochStore

        while True:
            await EpochStore(self._session).epoch("own", write=False)
            await asyncio.sleep(LOOK_EVERY_S)
