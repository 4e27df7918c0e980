"""Days of the ledger in files: `events-2026-11-01.jsonl.gz`, one JSON object a line, the lines of a subject together.

A file is written beside its name and renamed when it is on disk, so that a crash leaves the old one or the new one.
"""

import contextlib
import gzip
import itertools
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from scalix.domain.ledger.books import Texts
from scalix.domain.ledger.ledger import Event, event_of
from scalix.domain.ledger.ledger_lines import event_line, read_line
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.journal.journal_file import sync_directory

_NAME = re.compile(r"events-(\d{4}-\d{2}-\d{2})\.jsonl\.gz")
_DRAFT = ".draft"
Group = tuple[str, dict[str, str]]  # a subject, and its events: id -> text


class ArchiveFiles:
    """Blocking. Everything may raise `OSError`, and `ValueError` for a file that is damaged."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def days(self) -> list[int]:
        """The days that there are files of, oldest first."""
        if not self.directory.is_dir():
            return []
        found = (_NAME.fullmatch(entry.name) for entry in self.directory.iterdir())
        return sorted(day_index(match[1]) for match in found if match)

    def path(self, day: int) -> Path:
        """The file of a day, there or not."""
        return self.directory / f"events-{day_text(day)}.jsonl.gz"

    def groups(self, day: int) -> Iterator[Group]:
        """The subjects of a day with their events. Nothing where there is no file."""
        path = self.path(day)
        if not path.exists():
            return
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for subject, lines in itertools.groupby(map(read_line, file), key=lambda line: line[0]):
                    yield subject, {request_id: text for _, request_id, text in lines}
        except (EOFError, gzip.BadGzipFile, ValueError) as error:
            raise ValueError(f"{path.name} is damaged ({type(error).__name__}); move it away to go on") from None

    def read(self, day: int) -> dict[str, Texts]:
        """All events of a day, by subject."""
        return dict(self.groups(day))

    def draft(self, day: int, subjects: Collection[str], *, without: str = "") -> "Draft":
        """The day's file anew, with all that it has, but the subject `without`; `subjects` are going to be added."""
        return Draft(self, day, subjects, without)

    def events_of(self, subject: str) -> list[Event]:
        """A subject's events of all days."""
        return [
            event_of(request_id, subject, text)
            for day in self.days()
            for name, texts in self.groups(day)
            if name == subject
            for request_id, text in texts.items()
        ]

    def forget(self, subject: str) -> int:
        """Remove the subject from all files; how many events that were."""
        removed = 0
        for day in self.days():
            gone = sum(len(texts) for name, texts in self.groups(day) if name == subject)
            if gone:
                removed += gone
                with self.draft(day, (), without=subject) as draft:
                    draft.commit()
        return removed

    def remove_before(self, day: int) -> list[str]:
        """Remove the files of earlier days, and drafts that a crash has left; the names of the former."""
        gone = [self.path(one) for one in self.days() if one < day]
        drafts = self.directory.glob(f"*{_DRAFT}") if self.directory.is_dir() else ()
        for path in [*gone, *drafts]:
            path.unlink(missing_ok=True)
        return [path.name for path in gone]


class Draft:
    """A day's file that is being written. Use it as a context: what is not committed is removed."""

    def __init__(self, files: ArchiveFiles, day: int, subjects: Collection[str], without: str) -> None:
        files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = files.path(day)
        self._old = files.groups(day)
        self._awaited = set(subjects)
        self._left_out = without
        self._kept: dict[str, dict[str, str]] = {}
        self._draft = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}{_DRAFT}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._raw = os.fdopen(os.open(self._draft, flags, 0o600), "wb")
        # No name and no time in it: the same events make the same file.
        self._packed = gzip.GzipFile(filename="", fileobj=self._raw, mode="wb", mtime=0)
        self._begun = False
        self.count = 0

    def add(self, groups: Iterable[Group]) -> None:
        """Write these events, in place of those of the same subject and id that the file has."""
        self._begin()
        for subject, texts in groups:
            self._write(subject, self._kept.pop(subject, {}) | texts)

    def commit(self) -> int:
        """Put it in place of the old file, on disk; how many events it has. Without any, there is no file."""
        self._begin()
        for subject, texts in self._kept.items():
            self._write(subject, texts)
        self._packed.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        if self.count:
            self._draft.replace(self._path)
        else:
            self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)
        return self.count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._raw.close()
        with contextlib.suppress(OSError):
            self._draft.unlink()

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        for subject, texts in self._old:
            if subject in self._awaited:
                self._kept[subject] = texts
            elif subject != self._left_out:
                self._write(subject, texts)

    def _write(self, subject: str, texts: Texts) -> None:
        for request_id, text in texts.items():
            self._packed.write(event_line(subject, request_id, text).encode() + b"\n")
            self.count += 1


def day_text(day: int) -> str:
    """`2026-11-01`, for days since 1970-01-01."""
    return datetime.fromtimestamp(day * DAY_MS // 1000, UTC).strftime("%Y-%m-%d")


def day_index(text: str) -> int:
    """The opposite. Raises `ValueError`."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days
