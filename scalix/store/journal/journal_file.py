"""One journal file on disk: entries that are appended, read back in order, marked as done, and cut away.

    scalix-journal 1 <bytes done, 20 digits> <CRC-32, 8 hex digits>
    <CRC-32 of the rest of the line, 8 hex digits> {"op": "settle", …}
    …

Its writer holds an flock on it as long as it lives; a file that can be locked has no writer any more.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scalix.store.journal.journal_entries import Entry, decoded, encoded

SUFFIX = ".journal"
SET_ASIDE_SUFFIX = ".set-aside"
UNUSABLE_SUFFIX = ".unusable"
_HEADER = "scalix-journal 1 {done:020d} "
HEADER_BYTES = len(_HEADER.format(done=0)) + 9
_CHUNK_BYTES = 1 << 20


# What stays wrong with a path however often it is opened: a link, a directory, somebody else's file, a socket.
_LASTING = frozenset({errno.ELOOP, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV})


class UnusableFile(Exception):
    """Something of a journal's name that is no journal of ours, and will not become one by waiting."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line read back. `entry` is `None` if it can't be understood; `end` is the offset after it, in bytes."""

    raw: bytes
    entry: Entry | None
    end: int


class JournalFile:
    """A file of entries, which are appended, read back, marked as done, and cut away.

    Every call blocks, may raise `OSError`, and is to be made by one thread at a time.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self.size = os.fstat(fd).st_size
        self.done = done_of(os.pread(fd, HEADER_BYTES, 0), self.size)

    @classmethod
    def create(cls, directory: Path) -> Self:
        """A new, empty file of this process, locked."""
        while True:
            path = directory / f"{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            # Another process may have taken it for a dead one's, and removed it, before it was locked.
            if _locked(fd) and os.fstat(fd).st_nlink:
                file = cls(path, fd)
                file.truncate()
                sync_directory(directory)
                return file
            os.close(fd)

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """A file whose writer is dead, locked for us; `None` if somebody has it, or it has gone.

        Raises `UnusableFile` for what will never be one.
        """
        try:
            fd = open_regular(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        if _locked(fd) and os.fstat(fd).st_nlink:
            return cls(path, fd)
        os.close(fd)
        return None

    @property
    def has_entries(self) -> bool:
        """Whether it holds more than its header, done or not."""
        return self.size > HEADER_BYTES

    @property
    def pending_bytes(self) -> int:
        """How much has not been marked as done."""
        return max(0, self.size - self.done)

    def append(self, entries: list[Entry]) -> None:
        """Write entries and make them durable; after an error none of them is there."""
        data = b"".join(map(encoded, entries))
        try:
            self.write(data)
            self.sync()
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def write(self, data: bytes) -> None:
        """Write `data` after what is there. The first step of `append`."""
        _write_all(self._fd, data, self.size)

    def sync(self) -> None:
        """Wait until the disk has everything. The second step of `append`."""
        os.fdatasync(self._fd)

    def lines(self, offset: int) -> list[Line]:
        """The next lines from `offset` on, up to a megabyte of them; none at the end or before an unfinished line."""
        data = os.pread(self._fd, min(_CHUNK_BYTES, max(0, self.size - offset)), offset)
        found: list[Line] = []
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) == _CHUNK_BYTES:
            return [Line(data, None, offset + len(data))]
        for text in data[:whole].split(b"\n")[:-1]:
            raw = text + b"\n"
            offset += len(raw)
            found.append(Line(raw, decoded(raw), offset))
        return found

    def mark(self, offset: int) -> None:
        """Note that everything before `offset` is done."""
        _write_all(self._fd, _header(offset), 0)
        self.sync()
        self.done = offset

    def truncate(self) -> None:
        """Empty the file."""
        # A mark that is left from before lies beyond the end of a cut file, and counts as none. The header's place is
        # kept: a full disk may not have another.
        os.ftruncate(self._fd, HEADER_BYTES)
        _write_all(self._fd, _header(HEADER_BYTES), 0)
        self.sync()
        self.size = self.done = HEADER_BYTES

    def set_aside(self, line: Line) -> Path:
        """Keep a line that can't be replayed in a file of its own; where it is."""
        path = self.path.with_suffix(SET_ASIDE_SUFFIX)
        while True:
            try:
                fd = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            except UnusableFile:
                path = self.path.with_suffix(f".{secrets.token_hex(4)}{SET_ASIDE_SUFFIX}")
                continue
            try:
                # Whoever cuts lines out of it holds the lock meanwhile, and has removed it after the last one.
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.fstat(fd).st_nlink:
                    os.write(fd, line.raw)
                    os.fsync(fd)
                    return path
            finally:
                os.close(fd)

    def remove(self) -> None:
        """Delete the file and let go of it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file, for another process to take."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def done_of(header: bytes, size: int) -> int:
    """How much of a file of this size is done, as its first `HEADER_BYTES` say."""
    if not header.startswith(b"scalix-journal 1 ") or len(header) < HEADER_BYTES:
        # Nothing but entries: somebody put set-aside lines back.
        return 0 if not header.startswith(b"scalix-journal") else HEADER_BYTES
    text = header[len("scalix-journal 1 ") :][:20]
    done = int(text) if text.isdigit() else HEADER_BYTES
    return done if _header(done) == header and HEADER_BYTES <= done <= size else HEADER_BYTES


def waiting_files(directory: Path) -> list[Path]:
    """Every journal file of a directory, its living writers' too, oldest first."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        # Another process may be done with it, and remove it, between these two calls.
        with contextlib.suppress(FileNotFoundError):
            found.append((path.lstat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def open_regular(path: Path, flags: int) -> int:
    """As `os.open`, for a file alone. Raises `OSError`, and `UnusableFile` for what will never be one of ours."""
    try:
        # Without blocking: whoever opens a pipe would wait for the other end.
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in _LASTING:
            raise UnusableFile(error.strerror or error.__class__.__name__) from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise UnusableFile("not a regular file")


def set_file_aside(path: Path) -> Path | None:
    """Rename what can't be read, so that it is told of once; where it is. `None`: it can't be renamed either."""
    aside = path.with_suffix(UNUSABLE_SUFFIX)
    if os.path.lexists(aside):  # another one of this name, which it must not take the place of
        aside = path.with_suffix(f".{secrets.token_hex(4)}{UNUSABLE_SUFFIX}")
    try:
        path.rename(aside)
    except OSError:
        return None
    return aside


def _header(done: int) -> bytes:
    text = _HEADER.format(done=done)
    return f"{text}{zlib.crc32(text.encode()):08x}\n".encode()


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def sync_directory(directory: Path) -> None:
    """Make durable which files a directory has."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
