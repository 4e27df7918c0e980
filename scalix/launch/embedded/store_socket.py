"""Finds a place for the embedded store's socket: beside its data, else in a short private directory."""

import contextlib
import os
import socket
import stat
import tempfile
from pathlib import Path

from scalix.launch.problems import LaunchError, Problem

_NAME = "store.sock"
_PREFIX = "scalix-store-"


def place_socket(store_dir: Path, record: Path) -> Path:
    """The path to listen on. If a short directory was made for it, the file `record` names it.

    A unix socket's path has at most 107 bytes on Linux, and some file systems (shared volumes) hold no sockets at all:
    both are found by trying. What an earlier, killed gateway left behind is removed. Raises LaunchError when no
    directory will do.
    """
    remove_socket(store_dir / _NAME, record)
    if _can_bind(store_dir / _NAME):
        return store_dir / _NAME
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/dev/shm")):  # noqa: S108
        try:
            directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError:
            continue
        # Recorded first, so that after a kill the next start finds it.
        record.write_bytes(os.fsencode(directory))
        if _can_bind(directory / _NAME):
            return directory / _NAME
        remove_socket(directory / _NAME, record)
    what = "holds no unix socket, and neither does any directory for temporary files"
    fix = "set TMPDIR or SCALIX_STATE_DIR to a short path on a local disk"
    raise LaunchError((Problem(where=str(store_dir), what=what, fix=fix),))


def socket_of(state_dir: Path) -> Path | None:
    """The socket of the embedded store of `state_dir`; `None` where there is none."""
    places = [state_dir / "store" / _NAME]
    with contextlib.suppress(OSError):
        places.append(Path(os.fsdecode((state_dir / "store.socket-dir").read_bytes())) / _NAME)
    return next((place for place in places if place.is_socket()), None)


def remove_socket(path: Path, record: Path) -> None:
    """Remove the socket and the short directory that `record` names. Nothing else in it is touched. Idempotent."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory = Path(os.fsdecode(record.read_bytes()))
        facts = directory.lstat()
        ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and directory.name.startswith(_PREFIX)
        if ours:
            (directory / _NAME).unlink(missing_ok=True)
            directory.rmdir()
    with contextlib.suppress(OSError):
        record.unlink(missing_ok=True)


def _can_bind(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(os.fsencode(path))
            path.unlink()
        except OSError:
            return False
    return True
