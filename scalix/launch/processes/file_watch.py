"""Files that others write: when they have changed, and stand still again."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

# Several files are written one after the other.
LOOK_EVERY_S = 2.0


class FileWatch:
    """Compares `files` with what they were when `has_changed` last said that they have. `clock` gives seconds,
    monotonic."""

    def __init__(self, files: Iterable[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_s = clock()
        self._stamps = self._seen = _stamps(files)

    def has_changed(self, files: Iterable[Path], *, now: bool = False) -> bool:
        """Whether they have, told once when they have stood still for a look, or `now`."""
        now_s = self._clock()
        if not now and now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        before, self._seen = self._seen, _stamps(files)
        if self._seen == self._stamps or (self._seen != before and not now):
            return False
        self._stamps = self._seen
        return True


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int, int] | None]:
    """What changes when a file is written anew, also by way of a link."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
