"""Writes the events of old days to files and takes them out of the store: by age, or early when memory gets tight."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import islice

from scalix.domain.ledger.books import Texts
from scalix.domain.ledger.ledger import Event
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.ledger.archive_files import ArchiveFiles, Group, day_text
from scalix.store.ledger.redis_archive import RedisArchive

ARCHIVE_EVERY_S = 3_600.0
# Today and yesterday stay in the store in any case: their windows are still compared with them, and journals replayed.
LEAST_AGE_DAYS = 2
_AT_ONCE = 200
_LOCK_TRIES, _LOCK_PAUSE_S = 100, 0.1
_EARLY_PAUSE_MS = 15 * 60_000

log = logging.getLogger("scalix.ledger")


class ArchiveFailed(OSError):
    """A file of the archive can't be read or written. Nothing was taken out of the store that is not in a file."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One day's file: how many events it has, and how many were taken out of the store."""

    day: int
    events: int
    removed: int
    path: str


class Archive:
    """One process at a time, by a lock in the store. `host` is the name of the machine that the files are on.

    A crash at any step leaves every event in the store, in the file, or in both; the next run goes on from there.
    """

    def __init__(
        self, store: RedisArchive, files: ArchiveFiles, policy: PolicySource, *, now_ms: Callable[[], int], host: str
    ) -> None:
        self._store = store
        self.files = files
        self._policy = policy
        self._now_ms = now_ms
        self._place = f"{host}:{files.directory.absolute()}"
        self._busy = asyncio.Lock()
        self._done_day = 0
        self._early_again_ms = 0

    async def run(self) -> None:
        """The daily job, to be called every hour or so. Raises `StoreUnavailable`."""
        today = self._now_ms() // DAY_MS
        if self._done_day == today:
            return
        try:
            if self._retention.archive_after_days is not None and await self.archive() is None:
                return
            removed = await self.remove_old()
        except ArchiveFailed as error:
            log.error("%s", error)
            return
        if removed is not None:
            self._done_day = today

    async def remove_old(self) -> int | None:
        """Remove this machine's files that are older than retention says, and what a crash has left; how many files.

        `None`: another process is at the files. Raises `StoreUnavailable`, `ArchiveFailed`.
        """
        oldest = self._now_ms() // DAY_MS - self._retention.archive_days
        async with self._locked() as is_ours:
            # Under the lock only: what nobody is writing has been left by a crash.
            if not is_ours:
                return None
            gone = await asyncio.to_thread(self.files.remove_before, oldest)
        if gone:
            log.info("archive: removed by age: %s", ", ".join(gone))
        return len(gone)

    async def run_early(self) -> None:
        """All days but the last two, whatever their age: the store is nearly full. Raises `StoreUnavailable`.

        May be called again and again: where there was nothing to archive, it looks again after a while.
        """
        if self._now_ms() < self._early_again_ms:
            return
        try:
            if not await self.archive(LEAST_AGE_DAYS):
                self._early_again_ms = self._now_ms() + _EARLY_PAUSE_MS
        except ArchiveFailed as error:
            log.error("%s", error)

    async def archive(self, least_age_days: int | None = None) -> list[Archived] | None:
        """The days of at least this age, by default those that retention names. `None`: another process is at it.

        Raises `StoreUnavailable`, `ArchiveFailed`.
        """
        age = least_age_days if least_age_days is not None else (self._retention.archive_after_days or 0) + 1
        before = self._now_ms() // DAY_MS - max(age, LEAST_AGE_DAYS) + 1
        async with self._locked() as is_ours:
            if not is_ours:
                return None
            days = await self._store.days(before)
            return [await self._archive_day(day, subjects) for day, subjects in days.items()]

    async def forget(self, subject: str) -> int:
        """Remove a subject from this machine's files; how many events that were.

        Raises `StoreUnavailable`, also when another process keeps writing them, `ArchiveFailed`.
        """
        async with self._locked(_LOCK_TRIES) as is_ours:
            if not is_ours:
                raise StoreUnavailable("the archive is being written; try again", maybe_acted=False, counts=False)
            events = await asyncio.to_thread(self.files.forget, subject)
            for day, host in (await self.elsewhere()).items():
                log.warning("archive: erase there too: the events of %s are in a file on %s", day_text(day), host)
            return events

    async def elsewhere(self) -> dict[int, str]:
        """The days that are in files of other machines: day -> machines. Raises `StoreUnavailable`."""
        oldest = self._now_ms() // DAY_MS - self._retention.archive_days
        places: dict[int, list[str]] = {}
        for day, place in sorted(await self._store.notes()):
            if place != self._place and day >= oldest:
                places.setdefault(day, []).append(place)
        return {day: ", ".join(some) for day, some in places.items()}

    async def read(self, day: int) -> dict[str, Texts] | None:
        """The events of a day in this machine's file; `None` where there is none."""
        if not self.files.path(day).exists():
            return None
        with _told():
            return await asyncio.to_thread(self.files.read, day)

    async def events_of(self, subject: str) -> list[Event]:
        """A subject's events in this machine's files. Raises `ArchiveFailed`."""
        with _told():
            return await asyncio.to_thread(self.files.events_of, subject)

    @asynccontextmanager
    async def _locked(self, tries: int = 1) -> AsyncIterator[bool]:
        """The files for ourselves, as far as the lock can be had: whether it can."""
        async with self._busy:
            for attempt in range(tries):
                if attempt:
                    await asyncio.sleep(_LOCK_PAUSE_S)
                if await self._store.lock():
                    break
            else:
                yield False
                return
            try:
                with _told():
                    yield True
            finally:
                await self._store.unlock()

    @property
    def _retention(self) -> Retention:
        return self._policy.current.retention

    async def _archive_day(self, day: int, subjects: Sequence[str]) -> Archived:
        with await asyncio.to_thread(self.files.draft, day, subjects) as draft:
            for start in range(0, len(subjects), _AT_ONCE):
                groups = await self._store.events(day, subjects[start : start + _AT_ONCE])
                await asyncio.to_thread(draft.add, groups)
                await self._keep_lock()
            events = await asyncio.to_thread(draft.commit)
        # In the file first, on disk; only then out of the store.
        lifetime_ms = (self._retention.archive_days + 1) * DAY_MS
        await self._store.note(day, self._place, f"{events} {self._now_ms()}", lifetime_ms)
        removed = await self._trim(day, set(subjects))
        path = str(self.files.path(day))
        log.info("archive: %s: %d events, %d taken out of the store: %s", day_text(day), events, removed, path)
        return Archived(day, events, removed, path)

    async def _trim(self, day: int, subjects: set[str]) -> int:
        removed = 0
        groups = self.files.groups(day)
        while some := await asyncio.to_thread(_next, groups):
            for subject, texts in some:
                if subject in subjects:
                    removed += await self._store.trim(day, subject, texts)
            await self._keep_lock()
        return removed

    async def _keep_lock(self) -> None:
        if not await self._store.lock():
            raise StoreUnavailable("the archive's lock was lost", maybe_acted=True, counts=False)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveFailed(f"the archive can't be used: {(error.strerror or type(error).__name__).lower()}") from error
    except ValueError as error:
        raise ArchiveFailed(f"the archive can't be used: {error}") from error


def _next(groups: Iterator[Group]) -> list[Group]:
    return list(islice(groups, _AT_ONCE))
