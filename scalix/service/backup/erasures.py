"""Notes of erasures beside the backups, so that a backup of before brings nobody back."""

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass

from scalix.domain.backup import note_name, notes_of, time_of
from scalix.service.backup.place import BackupPlace
from scalix.store.backup.backup_file import BackupReader
from scalix.store.backup.redis_erasures import ErasedStore
from scalix.store.backup.targets import TargetFailed
from scalix.store.records.pseudonyms import pseudonym

_PATIENCE_S = 5.0

log = logging.getLogger("scalix.backup")


@dataclass(frozen=True)
class Erased:
    """Who was erased, by pseudonyms of which each key makes its own: the time in ms of each."""

    times: dict[bytes, dict[str, int]]

    def when(self, subject: str) -> int | None:
        """When the subject was erased last, in ms; `None`: it was not."""
        found = [at for key, times in self.times.items() if (at := times.get(pseudonym(key, subject))) is not None]
        return max(found, default=None)


class ErasureNotes:
    """Keeps the notes. They are in the store too, and so in each backup."""

    def __init__(self, erased: ErasedStore, place: BackupPlace | None) -> None:
        self._erased = erased
        self._place = place
        self._told: set[str] = set()  # what is known to be there

    async def note(self, subject: str) -> None:
        """Note that a subject is erased now: in the store, and beside the backups as far as those can be reached within
        some seconds; else that is made good later. Raises `StoreUnavailable`."""
        await self._erased.note(subject)
        if self._place is None:
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self.tell()
        except (TargetFailed, OSError, TimeoutError) as error:
            log.warning("an erasure is not noted beside the backups yet, it is tried again: %s", error)

    async def tell(self) -> None:
        """Write the notes beside the backups that are not there. Raises `TargetFailed`, `StoreUnavailable`."""
        if self._place is None:
            return
        erased, key = await self._erased.all(), await self._erased.key()
        untold = {note_name(at_ms, digest): (digest, at_ms) for digest, at_ms in erased.items()}
        if untold.keys() <= self._told:
            return
        self._told = await asyncio.to_thread(self._place.names)
        for name, (digest, at_ms) in untold.items():
            if name not in self._told:
                line = ["erased", key.hex(), digest, at_ms]
                await asyncio.to_thread(self._place.write, name, at_ms, [line])
                self._told.add(name)

    async def since(self, at_ms: int) -> Erased:
        """Who was erased since then, by what is noted beside the backups and in the store as it is. Raises
        `BadBackup`, `TargetFailed`, `StoreUnavailable`."""
        times: defaultdict[bytes, dict[str, int]] = defaultdict(dict)
        own = await self._erased.all()
        if own:
            times[await self._erased.key()] |= own
        if self._place is not None:
            for key, digest, erased_ms in await asyncio.to_thread(self._read, self._place, at_ms):
                times[key][digest] = max(erased_ms, times[key].get(digest, 0))
        newer = {key: {one: at for one, at in some.items() if at >= at_ms} for key, some in times.items()}
        return Erased({key: some for key, some in newer.items() if some})

    async def add(self, subjects: dict[str, int]) -> None:
        """Keep in a restored store who was erased again, for backups that are older still."""
        key = await self._erased.key()
        await self._erased.add({pseudonym(key, subject): at_ms for subject, at_ms in subjects.items()})

    async def forget_before(self, at_ms: int) -> None:
        """Forget the erasures of before the oldest backup. Raises `TargetFailed`, `StoreUnavailable`."""
        await self._erased.forget_before(at_ms)
        if self._place is not None:
            for name in notes_of(await asyncio.to_thread(self._place.names)):
                if (time_of(name) or 0) < at_ms:
                    await asyncio.to_thread(self._place.target.remove, name)

    @staticmethod
    def _read(place: BackupPlace, at_ms: int) -> list[tuple[bytes, str, int]]:
        found = []
        for name in notes_of(place.names()):
            if (time_of(name) or 0) >= at_ms:
                with place.fetched(name) as path:
                    lines = BackupReader(path, place.keys).lines()
                    found += [(bytes.fromhex(key), digest, int(erased_ms)) for _, key, digest, erased_ms in lines]
        return found
