"""Makes backups, checks them, and removes old ones."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scalix
from scalix.domain.backup import BackupSettings, backup_name, outdated, time_of
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS
from scalix.service.backup.erasures import ErasureNotes
from scalix.service.backup.place import BackupPlace
from scalix.store.backup.backup_file import BackupReader, BackupWriter, BadBackup
from scalix.store.backup.local_files import LocalFiles
from scalix.store.backup.redis_backups import BackupStore, LastBackup


class BackupRefused(Exception):
    """It can't be done now; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole backup holds: when it was made, in ms, and how many lines of each kind."""

    name: str
    created_ms: int
    version: str
    is_encrypted: bool
    keys: int
    journal_entries: int
    archived_days: int


class BackupMaking:
    """Backups of one store and of this machine's files, at one place."""

    def __init__(self, store: BackupStore, files: LocalFiles, notes: ErasureNotes, place: BackupPlace) -> None:
        self._store = store
        self._files = files
        self._notes = notes
        self._place = place

    async def create(self, settings: BackupSettings) -> LastBackup:
        """Make a backup, and then remove those that need not be kept. Raises `BackupRefused`, `TargetFailed`,
        `OSError`, `StoreUnavailable`; then there is none of that name."""
        async with self._store.locked() as is_ours:
            if not is_ours:
                raise BackupRefused("another process is at the backups; try again when it is done")
            began_s, created_ms = time.monotonic(), await self._store.now_ms()
            name = backup_name(created_ms, secrets.token_hex(3))
            with self._place.draft() as path:
                size, keys = await self._write(path, created_ms)
                await asyncio.to_thread(self._place.target.keep, path, name)
            took_ms = round((time.monotonic() - began_s) * 1000)
            made = LastBackup(created_ms, name, size, took_ms, keys)
            await self._store.note(made)
            await self._notes.tell()
            await self.prune(settings)
            return made

    async def prune(self, settings: BackupSettings) -> list[str]:
        """Remove the backups that need not be kept, and the notes of erasures that no backup needs; the names of the
        former."""
        now_ms = await self._store.now_ms()
        backups = await asyncio.to_thread(self._place.backups)
        gone = outdated(backups, settings, now_ms)
        for name in gone:
            await asyncio.to_thread(self._place.target.remove, name)
        kept = [time_of(name) or 0 for name in backups if name not in gone]
        # Of backups at other places nobody knows; they are taken to be no older than these may be.
        await self._notes.forget_before(min([now_ms - settings.keep_days * DAY_MS, *kept]) - HOUR_MS)
        return gone

    async def _write(self, path: Path, created_ms: int) -> tuple[int, int]:
        counts: Counter[str] = Counter()
        writer = BackupWriter(path, {"created_ms": created_ms, "version": scalix.__version__}, self._place.keys)

        def add(lines: Iterable[list[Any]]) -> None:
            for line in lines:
                _count(counts, line)
                writer.add(line)

        try:
            # The journal before the store, the archive after it: what moves from one to the other is in both.
            await asyncio.to_thread(add, self._files.journal_lines())
            async for line in self._store.snapshot():
                add([line])
                self._store.check_lock()
            await asyncio.to_thread(add, self._files.archive_lines())
            writer.add(["end", dict(counts)])
            return writer.close(), counts["k"]
        finally:
            writer.abandon()


def verify(place: BackupPlace, name: str | None) -> Contents:
    """Read a backup, by default the newest, from its begin to its end. Blocking. Raises `BadBackup`, `TargetFailed`,
    `OSError`."""
    name = place.chosen(name)
    with place.fetched(name) as path:
        return verified(name, path, place)


def verified(name: str, path: Path, place: BackupPlace) -> Contents:
    """What a file holds, once every line of it was read. Raises `BadBackup`, `OSError`."""
    reader = BackupReader(path, place.keys)
    counts: Counter[str] = Counter()
    ended: Any = None
    for line in reader.lines():
        if line[0] == "end":
            ended = line[1]
        else:
            _count(counts, line)
    if ended != dict(counts):
        raise BadBackup("it is not whole: lines are missing")
    about = reader.about
    return Contents(
        name, about["created_ms"], about["version"], reader.is_encrypted, counts["k"], counts["j"], counts["f"]
    )


def _count(counts: Counter[str], line: list[Any]) -> None:
    # Of the archive its files are counted, each of which is several lines.
    counts[line[0]] += line[0] != "f" or line[2]
