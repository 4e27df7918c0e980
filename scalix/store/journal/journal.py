"""What could not be written to the store, kept on disk until it can be: a file per process, replayed in order."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from scalix.store.base import CallRejected
from scalix.store.connection.background import in_background
from scalix.store.journal.journal_entries import Entry
from scalix.store.journal.journal_file import JournalFile, UnusableFile, set_file_aside, waiting_files
from scalix.store.journal.journal_replay import Apply, FileReplay
from scalix.store.journal.open_admissions import OpenAdmissions

MAX_BYTES = 64 * 1024 * 1024
WRITE_WAIT_S = 0.25
RETRY_S = 1.0
_STUCK_AFTER_S = 2.0
_ALARM_AT = 0.8

_T = TypeVar("_T")

log = logging.getLogger("scalix.journal")


class Journal:
    """Keeps what the store could not be told, in a file of this process in `directory`, and replays it later.

    The directory is made with mode 0700. From `max_bytes` on, `has_room` is false; what is given to `write` is kept all
    the same. Raises `OSError` where no file can be made.
    """

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._max_bytes = max_bytes
        self._file = JournalFile.create(directory)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._replaying = asyncio.Lock()
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._writing_since_s: float | None = None
        self._failed = False
        self._closed = False
        self._alarmed_bytes = 0
        self._replay = FileReplay(self._on_disk)
        self._named: set[Path] = set()  # what is no journal, and can't be renamed either
        self.admissions = OpenAdmissions(directory, self._disk)

    @property
    def has_room(self) -> bool:
        """Whether new requests may count on being written here: there is room, and the disk does its work."""
        return not self.is_unwritable and self._file.size < self._max_bytes

    @property
    def is_unwritable(self) -> bool:
        """Whether the disk does not take what has to be written, as when it is full, or hangs."""
        stuck = self._writing_since_s is not None and time.monotonic() - self._writing_since_s > _STUCK_AFTER_S
        return self._failed or stuck

    @property
    def alarm_percent(self) -> int:
        """How full it is, from 80 % on; 0 below."""
        percent = self._file.size * 100 // self._max_bytes
        return percent if percent >= 100 * _ALARM_AT else 0

    @property
    def pending_bytes(self) -> int:
        """How much of this process's own file has not been replayed."""
        return self._file.pending_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this process waits to be written or replayed."""
        return not (self._waiting or self._writing_since_s is not None or self._file.pending_bytes)

    async def write(self, entry: Entry, *, wait_s: float = WRITE_WAIT_S) -> bool:
        """Keep an entry. Waits until it is on disk, at most `wait_s` seconds; whether it is. It is written anyway."""
        return await self.written(self.add(entry), wait_s=wait_s)

    async def written(self, done: asyncio.Future[None], *, wait_s: float = WRITE_WAIT_S) -> bool:
        """The same, for an entry that was given to `add`."""
        await asyncio.wait([done], timeout=wait_s)
        if not done.done():
            log.warning("the disk of the journal is slow: an answer did not wait for it")
        return done.done()

    def add(self, entry: Entry) -> asyncio.Future[None]:
        """Keep an entry without waiting for the disk; the future is done when it is there."""
        done = asyncio.get_running_loop().create_future()
        if self._closed:
            self._write_after_close(entry, done)
            return done
        self._waiting.append((entry, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = in_background(self._flush())
        return done

    def _write_after_close(self, entry: Entry, done: asyncio.Future[None]) -> None:
        # The event loop may not run for long any more, and another process may have our file already.
        try:
            file = JournalFile.create(self._directory)
            try:
                file.append([entry])
            finally:
                file.close()
        except Exception as error:
            log.critical("an entry of usage could not be written to %s: %s", self._directory, _why(error))
        else:
            done.set_result(None)

    async def _flush(self) -> None:
        # What comes while the disk is busy goes along with the next write: one fsync for all of it.
        while self._waiting:
            batch, self._waiting = self._waiting, []
            if not await self._append(batch):
                await asyncio.sleep(RETRY_S)

    async def _append(self, batch: list[tuple[Entry, asyncio.Future[None]]]) -> bool:
        self._writing_since_s = time.monotonic()
        try:
            await self._on_disk(self._file.append, [entry for entry, _ in batch])
        except BaseException as error:
            self._waiting = batch + self._waiting  # what has been written all the same is told twice, and counts once
            if not isinstance(error, Exception):
                raise
            if not self._failed:
                log.critical(
                    "the journal %s can't be written (%s): usage is held in memory only, and nobody is let through "
                    "without the store until it can",
                    *(self._file.path, _why(error)),
                )
            self._failed = True
            return False
        finally:
            self._writing_since_s = None
        if self._failed:
            log.warning("the journal %s is written again", self._file.path)
        self._failed = False
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        self._watch_size()
        return True

    def _watch_size(self) -> None:
        size = self._file.size
        if size >= self._max_bytes > self._alarmed_bytes:
            self._alarmed_bytes = size
            log.critical(
                "the journal %s is full (%d of %d bytes): nobody is let through without the store any more; bring the "
                "store back, or raise SCALIX_JOURNAL_MAX_BYTES",
                *(self._file.path, size, self._max_bytes),
            )
        elif size >= _ALARM_AT * self._max_bytes > self._alarmed_bytes:
            self._alarmed_bytes = size
            log.error(
                "the journal %s is %d %% full (%d of %d bytes); bring the store back",
                *(self._file.path, size * 100 // self._max_bytes, size, self._max_bytes),
            )

    async def replay(self, apply: Apply) -> int:
        """Hand every entry to `apply`, in order for each subject: those of this process, and those of dead ones.

        `apply` must do nothing for an entry that it has had before: after a crash it gets some again. Returns how many
        were replayed. Raises `StoreUnavailable` as `apply` does, and goes on from there the next time.
        """
        # One at a time: a second one would mark as done what was written after the first had emptied the file.
        async with self._replaying:
            replayed = 0
            if self._flusher is not None and not self._flusher.done():
                await asyncio.wait([self._flusher], timeout=WRITE_WAIT_S)
            rejected: CallRejected | None = None
            others = [path for path in await self._on_disk(waiting_files, self._directory) if path != self._file.path]
            for path in (self._file.path, *others):
                try:
                    if path != self._file.path:
                        replayed += await self._replay_abandoned(path, apply)
                    elif self._file.pending_bytes:
                        replayed += await self._replay_own(apply)
                except CallRejected as fault:  # of one entry, which is no reason for other files to wait
                    rejected = fault
            if self.is_empty:
                self.admissions.empty()
            if rejected is not None:
                raise rejected
            return replayed

    async def _replay_abandoned(self, path: Path, apply: Apply) -> int:
        """One that can't be used, or not now, is no reason to leave the others lying."""
        try:
            file = await self._on_disk(JournalFile.take, path)
        except UnusableFile as fault:
            aside = None if path in self._named else await self._on_disk(set_file_aside, path)
            if path not in self._named:
                log.critical("%s is no journal that can be read (%s); it is kept as %s", path, fault, aside or path)
            if aside is None:
                self._named.add(path)
            return 0
        except OSError as error:
            log.error("%s can't be read now (%s); it is tried again", path, _why(error))
            return 0
        if file is None:
            return 0
        try:
            replayed = await self._replay.of(file, apply)
            if file.size > file.done:
                log.warning("%s ends in %d bytes of an unfinished entry, ignored", file.path, file.size - file.done)
            if replayed:
                log.warning("took over %d entries of a process that has gone, from %s", replayed, path)
            await self._on_disk(file.remove)
            self._replay.forget(path)
            return replayed
        except OSError as error:
            log.error("%s can't be read to its end now (%s); it is tried again", path, _why(error))
            return 0
        finally:
            # Where it was used: a file must not be closed under the thread that still writes to it.
            await self._on_disk(file.close)

    async def _replay_own(self, apply: Apply) -> int:
        replayed = await self._replay.of(self._file, apply)
        await self._on_disk(self._truncate_if_done)
        return replayed

    def _truncate_if_done(self) -> None:
        if not self._file.pending_bytes:
            self._file.truncate()
            self._alarmed_bytes = 0
            self._replay.forget(self._file.path)  # other entries will end where those did

    async def close(self) -> None:
        """Write what waits, and let go of the file: without entries it is deleted, else the next process finds it."""
        if self._flusher is not None:
            await asyncio.wait([self._flusher], timeout=_STUCK_AFTER_S)
            self._flusher.cancel()
        self._closed = True
        batch, self._waiting = self._waiting, []
        if batch and not await self._append(batch):
            log.critical("%d entries of usage could not be written to %s", len(self._waiting), self._file.path)
        await self._on_disk(self._let_go)
        self._disk.shutdown(wait=False)

    def _let_go(self) -> None:
        # Asked on the thread of the disk, where a write that was slow has come to its end.
        self.admissions.close()
        if self._file.pending_bytes:
            self._file.close()
        else:
            self._file.remove()

    async def _on_disk(self, act: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, lambda: act(*args))


def _why(error: Exception) -> str:
    """Of an error of the system what it says, of another one its kind alone: its text may hold what it was about."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
