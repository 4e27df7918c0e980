"""Figures of one worker in a file that is mapped into memory, so that whichever worker is asked can add up all of them.

Each worker holds a file by a lock, which the kernel gives back when the worker ends, however that comes. The next one
takes the file over and counts on: what was counted never goes back, and there are no more files than workers.
"""

import fcntl
import math
import mmap
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

FOLDER = "metrics"
CELLS = 8_192
_NUMBERS = 8 * CELLS
_SIZE = _NUMBERS + 1024 * 1024  # behind the numbers, the names in the same order, a line each
_STEP = 16 * 1024  # so much more of it is taken of the disk at a time
_MOST_FILES = 4_096
ABSENT = math.nan


class MetricCells:
    """Numbers by the name of their series. `values[cell(name)]` is read and written as it is: no call, no copy.

    Where no file can be had, as on a full disk, the numbers are in this process's memory alone.
    """

    def __init__(self, directory: Path) -> None:
        self._fd, self.is_shared = _taken(directory), True
        if self._fd is None:
            self.is_shared = False
        self._allocated = _NUMBERS + _STEP
        self._map = mmap.mmap(-1 if self._fd is None else self._fd, _SIZE)
        self.values = memoryview(self._map)[:_NUMBERS].cast("d")
        # Number 0 says how many bytes of names there are; what finds no room counts in number 1, which has no name.
        self._index = {name: number for number, name in enumerate(_names(self._map), start=2)}

    def cell(self, name: str) -> int:
        """Where the number of a series is; it begins with 0."""
        index = self._index.get(name)
        if index is not None:
            return index
        index, used, line = len(self._index) + 2, int(self.values[0]), name.encode() + b"\n"
        if index >= CELLS or _NUMBERS + used + len(line) > _SIZE:
            return 1
        start = _NUMBERS + used
        if not self._on_disk(start + len(line)):
            return 1
        self._map[start : start + len(line)] = line
        self.values[0] = used + len(line)  # last: a worker that is killed in between has written nothing
        self._index[name] = index
        return index

    def _on_disk(self, end: int) -> bool:
        """Whether the file is on disk up to there: a write to a hole in it would end the process on a full disk."""
        if self._fd is None or end <= self._allocated:
            return True
        more = end - self._allocated + _STEP
        try:
            os.posix_fallocate(self._fd, self._allocated, more)
        except OSError:
            return False
        self._allocated += more
        return True

    def named(self) -> Mapping[str, int]:
        """Where the numbers of all series are that have one."""
        return self._index

    def close(self) -> None:
        """Give the file to the next worker. What is still counted then is not lost: the numbers stay mapped."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = None

    def read(self) -> dict[str, float]:
        """The figures of this worker."""
        return {name: self.values[index] for name, index in self._index.items()}


class MetricFiles:
    """The figures of all workers. What is known of a file's names is kept between two readings."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names: dict[tuple[int, int], tuple[bytes, list[str]]] = {}  # by the file's number and its disk's

    def read(self) -> Iterator[tuple[bool, dict[str, float]]]:
        """Of each file: whether its worker is alive, and its figures."""
        for path in sorted(self._directory.glob("*.cells")):
            with suppress(OSError):  # it has just been taken away
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    yield _is_held(fd), self._figures(fd)
                finally:
                    os.close(fd)

    def _figures(self, fd: int) -> dict[str, float]:
        facts = os.fstat(fd)
        if facts.st_size < _SIZE:
            return {}
        with mmap.mmap(fd, _SIZE, prot=mmap.PROT_READ) as mapped:
            whole = memoryview(mapped)
            numbers = whole[:_NUMBERS].cast("d")
            known, names = self._names.get(file := (facts.st_ino, facts.st_dev), (b"", []))
            used = int(numbers[0])
            text = bytes(whole[_NUMBERS : _NUMBERS + used])
            if text != known:
                names = text.decode().splitlines()
                self._names[file] = text, names
            found: dict[str, float] = dict(zip(names, numbers[2 : 2 + len(names)].tolist(), strict=True))
            numbers.release()
            whole.release()
            return found


def forget_metrics(state_dir: Path) -> None:
    """Begin anew: a gateway that is started does not show what the one before has counted, of models long gone."""
    shutil.rmtree(state_dir / FOLDER, ignore_errors=True)


def _taken(directory: Path) -> int | None:
    """A file that no other worker holds, now held by this one, with the numbers on disk. `None`: there is none."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(_MOST_FILES):
            fd = os.open(directory / f"{number}.cells", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.posix_fallocate(fd, 0, _NUMBERS + _STEP)
                os.truncate(fd, _SIZE)
            except BlockingIOError:
                os.close(fd)
            except OSError:
                os.close(fd)
                return None
            else:
                return fd
    except OSError:
        pass
    return None


def _is_held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _names(mapped: mmap.mmap) -> list[str]:
    numbers = memoryview(mapped)[:8].cast("d")
    used = int(numbers[0])
    numbers.release()
    return bytes(mapped[_NUMBERS : _NUMBERS + used]).decode().splitlines()
