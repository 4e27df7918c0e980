"""Requests that were let through without the store and have not ended, on disk in case their process dies."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scalix.store.journal.journal_entries import Release, SettlementEntry, encoded
from scalix.store.journal.journal_file import JournalFile

log = logging.getLogger("scalix.journal")


class OpenAdmissions:
    """Notes requests that were let through without the store, in case this process dies before they end.

    They are in a journal file of their own, made with the first of them. Only a process that takes over from a dead one
    reads it, and charges each request what `begin` was given, unless there is a settlement of it. The file is written
    on the thread of `disk`, without waiting for the platter: it is for the end of a process, not of a machine.
    """

    def __init__(self, directory: Path, disk: ThreadPoolExecutor) -> None:
        self._directory = directory
        self._disk = disk
        self._open: set[str] = set()
        self._file: JournalFile | None = None
        self._failed = False

    def begin(self, before: Release, entry: SettlementEntry) -> None:
        """A request begins; `entry` is what it is charged if this process dies before it ends, after `before`."""
        self._open.add(entry.receipt.request_id)
        self._disk.submit(self._write, encoded(before) + encoded(entry))

    def end(self, request_id: str) -> None:
        """It has been settled, or its settlement is in the journal."""
        self._open.discard(request_id)

    def empty(self) -> None:
        """Called now and then while the store is there: what has ended must not be told when its day is forgotten."""
        if not self._open:
            self._disk.submit(self._empty)

    def close(self) -> None:
        """Let go of the file, on the thread of the disk; what is still open is left for the successor."""
        if self._file is None:
            return
        if self._open:
            self._file.close()
        else:
            self._file.remove()

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = JournalFile.create(self._directory)
            self._file.write(data)
            self._file.size += len(data)
            self._failed = False
        except OSError as error:
            if not self._failed:  # once, however many requests follow
                log.error("open requests can't be noted in %s: %s", self._directory, error.strerror or error)
            self._failed = True

    def _empty(self) -> None:
        if self._file is not None and self._file.has_entries and not self._open:
            try:
                self._file.truncate()
            except OSError as error:
                log.error("%s could not be emptied: %s", self._file.path, error.strerror or error)
