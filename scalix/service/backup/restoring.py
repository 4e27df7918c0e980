"""Writes a backup into an empty store, and erases again who was erased since."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalix.domain.identity.subjects import user_subject
from scalix.service.backup.erasures import Erased, ErasureNotes
from scalix.service.backup.making import BackupRefused, Contents, verified
from scalix.service.backup.place import BackupPlace
from scalix.store.backup.backup_file import BackupReader
from scalix.store.backup.local_files import LocalFiles
from scalix.store.backup.redis_backups import BackupStore
from scalix.store.backup.redis_restore import RestoreStore
from scalix.store.backup.redis_snapshot import KeyName
from scalix.store.journal.journal_entries import decoded, subject_of
from scalix.store.journal.set_aside import SetAside
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.privacy.redis_files import StoreFiles
from scalix.store.records.pseudonyms import PseudonymStore

_USER = "user:"


@dataclass(frozen=True)
class RestoreStores:
    """The parts of the store that a restore works on."""

    backups: BackupStore
    restore: RestoreStore
    erasure: ErasureStore
    names: PseudonymStore
    files: StoreFiles


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and how many users were erased again."""

    contents: Contents
    erased_again: int
    store_files: dict[str, str]


@dataclass
class _Found:
    """What is noted of a backup while it is written."""

    erased: Erased
    subjects: dict[str, int] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)

    def look(self, line: list[Any]) -> None:
        kind, text = line[0], line[1]
        if kind == "j":
            self.journal.append(text)
        elif kind == "s":
            self.set_aside.append(text)
        if not self.erased.times:
            return
        if kind in ("j", "s") and (entry := decoded(f"{text}\n".encode())) is not None:
            self.judge([subject_of(entry)])
        elif kind == "k" and text == "key-list":
            self.judge(user_subject(place.partition(" ")[2]) for place in line[5][1::2])
        elif kind == "k" and (known := KeyName.of(text)) is not None and known.subject:
            self.judge([known.subject])

    def judge(self, subjects: Iterable[str]) -> None:
        """Note those who were erased."""
        for subject in subjects:
            if subject.startswith(_USER) and (at_ms := self.erased.when(subject)) is not None:
                self.subjects[subject] = at_ms


@dataclass(frozen=True)
class Restoring:
    """Restores into one store, and into the state directory of this machine."""

    stores: RestoreStores
    files: LocalFiles
    set_aside: SetAside
    notes: ErasureNotes
    place: BackupPlace

    async def restore(self, name: str | None, *, replace: bool = False) -> Restored:
        """Restore a backup, by default the newest. `replace`: what the store holds is removed first.

        Nothing is written before all of the backup has been read. What breaks off later leaves a store that no gateway
        takes for one, until it is restored again. Raises `BackupRefused`, `BadBackup`, `TargetFailed`, `OSError`,
        `StoreUnavailable`.
        """
        name = await asyncio.to_thread(self.place.chosen, name)
        with self.place.fetched(name) as path:
            contents = await asyncio.to_thread(verified, name, path, self.place)
            async with self.stores.backups.locked() as is_ours:
                if not is_ours:
                    raise BackupRefused("another process is at the backups; try again when it is done")
                await self._check(replace)
                erased = await self.notes.since(contents.created_ms)
                return await self._write(path, contents, _Found(erased))

    async def _check(self, replace: bool) -> None:
        if await self.stores.restore.is_used():
            raise BackupRefused("a gateway runs on this store: stop every gateway of it first")
        if not replace and not await self.stores.restore.is_empty():
            raise BackupRefused(
                "the store is not empty, and nothing was written: give an empty one, or --replace to remove all that "
                "it holds first"
            )

    async def _write(self, path: Path, contents: Contents, found: _Found) -> Restored:
        stores = self.stores
        await stores.restore.begin()
        now_ms = await stores.backups.now_ms()
        await stores.restore.write(self._keys(path, found), now_ms, stores.backups.check_lock)
        await asyncio.to_thread(self._write_files, path, found)
        for subject in found.subjects:
            await stores.erasure.erase(subject.removeprefix(_USER))
            await stores.names.forget(subject)
            await self.set_aside.forget(subject)
            await asyncio.to_thread(self.files.forget_archived, subject)
        await self.notes.add(found.subjects)
        await stores.restore.finish()
        rewritten = await stores.files.rewrite() if found.subjects else {}
        return Restored(contents, len(found.subjects), rewritten)

    def _keys(self, path: Path, found: _Found) -> Iterator[list[Any]]:
        for line in BackupReader(path, self.place.keys).lines():
            found.look(line)
            if line[0] == "k":
                yield line

    def _write_files(self, path: Path, found: _Found) -> None:
        self.files.write_set_aside(found.set_aside)
        self.files.write_journal(found.journal, found.subjects.keys())
        self.files.write_archive(line for line in BackupReader(path, self.place.keys).lines() if line[0] == "f")
        if found.erased.times:
            found.judge(self.files.archived_subjects())
