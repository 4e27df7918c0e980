"""Lines that no journal could replay: kept beside the journals until they are old, or their user is erased."""

import asyncio
import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from scalix.store.journal.journal_entries import decoded, subject_of
from scalix.store.journal.journal_file import SET_ASIDE_SUFFIX, UnusableFile, open_regular

_DAY_S = 86_400


class SetAside:
    """The set-aside files of a directory of journals."""

    def __init__(self, directory: Path, *, clock_s: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock_s = clock_s

    async def forget(self, subject: str) -> int:
        """Remove a subject's lines; how many there were. Raises `OSError`."""
        return await asyncio.to_thread(lambda: sum(_cut(path, subject) for path in self._files()))

    async def remove_older(self, days: int) -> int:
        """Remove the files that nothing was added to for so many days; how many. Raises `OSError`."""
        oldest_s = self._clock_s() - days * _DAY_S
        return await asyncio.to_thread(lambda: sum(_remove_old(path, oldest_s) for path in self._files()))

    def _files(self) -> Iterator[Path]:
        return self._directory.glob(f"*{SET_ASIDE_SUFFIX}")


def _remove_old(path: Path, oldest_s: float) -> bool:
    # Another process of this machine may be quicker.
    with contextlib.suppress(FileNotFoundError):
        if path.is_file() and path.lstat().st_mtime < oldest_s:
            path.unlink()
            return True
    return False


def _cut(path: Path, subject: str) -> int:
    if not stat.S_ISREG(path.lstat().st_mode):
        return 0  # nothing of ours
    try:
        fd = open_regular(path, os.O_RDWR)
    except UnusableFile as fault:
        raise OSError(f"{path.name} can't be opened: {fault}") from None
    with os.fdopen(fd, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.readlines()
        kept = [line for line in lines if not _is_about(line, subject)]
        if len(kept) < len(lines):
            file.seek(0)
            file.writelines(kept)
            file.truncate()
            os.fsync(file.fileno())
            if not kept:
                path.unlink(missing_ok=True)
        return len(lines) - len(kept)


def _is_about(line: bytes, subject: str) -> bool:
    entry = decoded(line)
    # A damaged line is about whom it names.
    return subject_of(entry) == subject if entry is not None else orjson.dumps(subject) in line
