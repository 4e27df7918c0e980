"""The place that backups are kept at, with the keys that they are encrypted with. Blocking."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalix.domain.backup import backups_of
from scalix.store.backup.backup_file import BackupWriter
from scalix.store.backup.targets import Target, TargetFailed


@dataclass(frozen=True)
class BackupPlace:
    """Everything may raise `TargetFailed`."""

    target: Target
    keys: Sequence[bytes] = field(repr=False)

    def names(self) -> set[str]:
        """What is there, backups and notes of erasures."""
        return set(self.target.sizes())

    def backups(self) -> list[str]:
        """The backups, the newest first."""
        return backups_of(self.names())

    def chosen(self, name: str | None) -> str:
        """The backup of that name, by default the newest."""
        backups = self.backups()
        if name is None and backups:
            return backups[0]
        if name not in backups or name is None:
            there = f"there are {', '.join(backups[:3])}" if backups else "there is none"
            raise TargetFailed(f"there is no backup {name or ''}".rstrip() + f"; {there}")
        return name

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A file of this machine with the content, for as long as the block runs."""
        path = self.target.fetch(name)
        try:
            yield path
        finally:
            self.target.done(path)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Where to write a file before it is kept; what is not kept in the block is removed."""
        path = self.target.draft()
        try:
            yield path
        finally:
            self.target.done(path)

    def write(self, name: str, created_ms: int, lines: Iterable[Sequence[Any]]) -> None:
        """Keep a small file of these lines."""
        with self.draft() as path:
            writer = BackupWriter(path, {"created_ms": created_ms}, self.keys)
            try:
                for line in lines:
                    writer.add(line)
                writer.close()
            finally:
                writer.abandon()
            self.target.keep(path, name)
