"""What a machine keeps beside the store, for a backup: its journals, what was set aside, and its archive. Blocking."""

import base64
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from scalix.store.journal.journal_entries import Entry, decoded, subject_of
from scalix.store.journal.journal_file import (
    HEADER_BYTES,
    SET_ASIDE_SUFFIX,
    JournalFile,
    UnusableFile,
    done_of,
    open_regular,
    sync_directory,
    waiting_files,
)
from scalix.store.ledger.archive_files import ArchiveFiles

_CHUNK_BYTES = 1 << 19
_AT_ONCE = 500
_RESTORED = f"restored{SET_ASIDE_SUFFIX}"


class LocalFiles:
    """The files of a state directory. Everything may raise `OSError`."""

    def __init__(self, state_dir: Path) -> None:
        self._journals = state_dir / "journal"
        self._archive = ArchiveFiles(state_dir / "archive")

    def journal_lines(self) -> Iterator[list[Any]]:
        """`["j", line]` of what the store has still to be told, `["s", line]` of what it would not take.

        To be read before the store: what it is told meanwhile is then in both, and counts once.
        """
        for path in waiting_files(self._journals):
            content = _content(path)
            for line in _complete_lines(content[done_of(content[:HEADER_BYTES], len(content)) :]):
                yield ["j", line]
        for path in sorted(self._journals.glob(f"*{SET_ASIDE_SUFFIX}")):
            for line in _complete_lines(_content(path)):
                yield ["s", line]

    def archive_lines(self) -> Iterator[list[Any]]:
        """`["f", day, 1 if it begins anew, base64]` of the archive's files. To be read after the store: what is
        archived meanwhile is then in both."""
        for day in self._archive.days():
            anew = 1
            with self._archive.path(day).open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield ["f", day, anew, base64.b64encode(chunk).decode()]
                    anew = 0

    def write_journal(self, lines: Collection[str], erased: Collection[str]) -> int:
        """Let the next gateway tell the store these lines, but for those about subjects that were erased; how many."""
        entries: list[Entry] = []
        unread = []
        for line in lines:
            entry = decoded(line.encode() + b"\n")
            if entry is None:
                unread.append(line)
            elif subject_of(entry) not in erased:
                entries.append(entry)
        self.write_set_aside(unread)
        if entries:
            self._journals.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = JournalFile.create(self._journals)
            try:
                for first in range(0, len(entries), _AT_ONCE):
                    file.append(entries[first : first + _AT_ONCE])
            finally:
                file.close()
        return len(entries)

    def write_set_aside(self, lines: Collection[str]) -> None:
        """Keep lines beside the journals, once."""
        if not lines:
            return
        self._journals.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._journals / _RESTORED
        known = set(_content(path).decode(errors="replace").splitlines()) if path.exists() else set()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines if line not in known)
            file.flush()
            os.fsync(fd)

    def write_archive(self, lines: Iterator[list[Any]]) -> int:
        """Write the archive's files that are not here; how many. One that is here knows as much, or more."""
        written = 0
        directory = self._archive.directory
        path: Path | None = None
        draft = directory / "restored.draft"
        draft.unlink(missing_ok=True)
        for _, day, anew, chunk in lines:
            if anew:
                _put(draft, path)
                path = None if self._archive.path(day).exists() else self._archive.path(day)
                written += path is not None
            if path is not None:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
                    file.write(base64.b64decode(chunk))
        _put(draft, path)
        return written

    def archived_subjects(self) -> Iterator[str]:
        """Whom the archive's files name, some more than once."""
        for day in self._archive.days():
            yield from (subject for subject, _ in self._archive.groups(day))

    def forget_archived(self, subject: str) -> int:
        """Remove a subject from the archive's files; how many events that were."""
        return self._archive.forget(subject)


def _put(draft: Path, path: Path | None) -> None:
    if path is not None:
        fd = os.open(draft, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        draft.replace(path)
        sync_directory(path.parent)


def _content(path: Path) -> bytes:
    try:
        fd = open_regular(path, os.O_RDONLY)
    except (FileNotFoundError, UnusableFile):
        return b""  # its process has ended meanwhile, and nothing was left; or it is nothing of ours
    with os.fdopen(fd, "rb") as file:
        return file.read()


def _complete_lines(content: bytes) -> Iterator[str]:
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        yield line.decode("utf-8", "replace")
