"""The log file, which is rotated when it grows too large."""

import errno
import os
from pathlib import Path

from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.directory_lock import locked

MAX_BYTES = 10 * 1024 * 1024
FILES = 5
_MOST_GATEWAYS = 100


class RotatingLog:
    """Appends to `path`. At `max_bytes` the file is renamed to `path.1` and so on, up to `files` files in all.

    The file is locked (flock) while open. When another gateway writes to `path`, as with two gateways from one
    folder, this one takes `<stem>-2<suffix>` and so on, and `path` says which. Not safe for several threads.

    Raises LaunchError when the file can't be opened for writing.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, files: int = FILES) -> None:
        self._max_bytes = max_bytes
        self._files = files
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path, self._fd = _open_first_free(path)
        except OSError as error:
            what, fix = f"can't write {path}: {error.strerror}", "name a file in a directory you may write to"
            raise LaunchError((Problem("LITELLM_LOG_FILE", what, fix),)) from None
        self._size = os.fstat(self._fd).st_size
        self._is_torn = False

    def write(self, lines: bytes) -> None:
        """Append whole lines. Raises OSError, as on a full disk."""
        if self._size and self._size + len(lines) > self._max_bytes:
            self._rotate()
        if self._is_torn:
            lines = b"\n" + lines
        written = os.write(self._fd, lines)
        self._size += written
        self._is_torn = written < len(lines)
        if self._is_torn:  # where there was room for a part alone
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        os.close(self._fd)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        fd = _open(self.path)
        locked(fd)
        os.close(self._fd)
        self._fd, self._size = fd, 0


def _open(path: Path) -> int:
    # 0640: logs of a gateway are not for everybody on the machine.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


def _open_first_free(path: Path) -> tuple[Path, int]:
    for number in range(1, _MOST_GATEWAYS):
        candidate = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        fd = _open(candidate)
        if locked(fd):
            return candidate, fd
        os.close(fd)
    raise BlockingIOError(0, "written to by other gateways")
