"""What a running gateway leaves in its state directory: a lock that only it can hold, and a file that describes it."""

import fcntl
import json
import os
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from scalix.launch.processes.process import ProcessIdentity

RUN_FILE = "gateway.json"
LOCK_FILE = "gateway.lock"
POLICY_FILE = "policy.json"
FOREIGN_PID = 0

Phase = Literal["starting", "ready", "stopping"]


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """One worker as last seen by the launcher."""

    name: str
    process: ProcessIdentity
    ready: bool


@dataclass(frozen=True, slots=True)
class ReloadEntry:
    """The last reload: the how-manieth of this run, and lines for the operator. With problems, nothing has changed."""

    number: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFile:
    """One running gateway. `started_at` is in seconds since 1970, UTC; `port` is the real one, never 0. `store_socket`
    is the path of the embedded store's socket."""

    launcher: ProcessIdentity
    host: str
    port: int
    phase: Phase
    started_at: float
    version: str
    store: str
    log_file: str
    demo: bool = False
    workers: tuple[WorkerEntry, ...] = ()
    helpers: tuple[ProcessIdentity, ...] = ()
    reload: ReloadEntry | None = None
    store_socket: str | None = None

    def write(self, state_dir: Path) -> None:
        """Replace the run file in `state_dir` in one step: a reader sees the old one or the new one."""
        draft = state_dir / f".{RUN_FILE}.{os.getpid()}"
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        draft.replace(state_dir / RUN_FILE)


def read_run_file(state_dir: Path) -> RunFile | None:
    """The run file of `state_dir`; None when there is none or it is not one of ours."""
    try:
        raw: dict[str, Any] = json.loads((state_dir / RUN_FILE).read_text(encoding="utf-8"))
        raw["launcher"] = ProcessIdentity(**raw["launcher"])
        raw["workers"] = tuple(
            WorkerEntry(**{**entry, "process": ProcessIdentity(**entry["process"])}) for entry in raw["workers"]
        )
        raw["helpers"] = tuple(ProcessIdentity(**entry) for entry in raw["helpers"])
        if raw.get("reload") is not None:
            raw["reload"] = ReloadEntry(**raw["reload"])
        return RunFile(**raw)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_run_file(state_dir: Path) -> None:
    (state_dir / RUN_FILE).unlink(missing_ok=True)


class InstanceLock:
    """At most one launcher per state directory, for as long as its process lives, however it ends.

    A POSIX record lock: the kernel tells anyone who asks which process holds it (F_GETLK), without that question
    disturbing a start that happens at the same moment, and it is not inherited by children. Its price: this process
    must open the file only once, as closing any other descriptor of it would drop the lock.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / LOCK_FILE
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock and hold it until the process ends or `release`. False when another process has it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


# struct flock: Linux (64-bit) has type, whence, start, len, pid; the BSDs and macOS start, len, pid, type, whence.
_LINUX = sys.platform == "linux"
_FLOCK = "hhqqi0q" if _LINUX else "qqihh"


def lock_holder(state_dir: Path) -> int | None:
    """The pid that holds the lock of `state_dir`; None when nobody does.

    `FOREIGN_PID` when the holder can't be seen from here, as from another container.
    """
    try:
        fd = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fields = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if _LINUX else (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_FLOCK, *fields)))
    finally:
        os.close(fd)
    kind, pid = (answer[0], answer[4]) if _LINUX else (answer[3], answer[2])
    if kind == fcntl.F_UNLCK:
        return None
    return int(pid) if pid > 0 else FOREIGN_PID
