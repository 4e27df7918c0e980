"""The lock of a running gateway in its state directory, and the file there that describes it."""

import fcntl
import json
import os
import struct
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import scalix
from scalix.launch.processes.patience import DRAIN_S
from scalix.launch.processes.ports import base_url
from scalix.launch.processes.process import ProcessIdentity, myself

RUN_FILE = "gateway.json"
LOCK_FILE = "gateway.lock"
POLICY_FILE = "policy.json"
FOREIGN_PID = 0

Phase = Literal["starting", "ready", "draining", "stopping"]


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """One worker as last seen by the launcher."""

    name: str
    process: ProcessIdentity
    ready: bool


@dataclass(frozen=True, slots=True)
class ReloadEntry:
    """The last reload: its number in this run, and lines for the operator. With problems, nothing has changed. With
    `replaces` it is in force when all workers have been replaced."""

    number: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class RunFile:
    """One running gateway, by default one that this process starts now. `started_at` is in seconds since 1970, UTC;
    `port` is the real one, never 0. `store_socket` is the path of the embedded store's socket. `in_flight` are the
    requests that workers which end are waiting for; `drain_s` is how long they may run on when the gateway stops.
    `config` is the version of the config in force, `differing` are other gateways of the store with another one.
    `certificate` is the file of what is in force for TLS, without its key; `certificate_state` is one line about it.
    `models` are the names of those that can be asked for, `left_out` a line about each that can't; `down` is one about
    each worker that has ended and is started again and again; `pages` says where a browser finds them.
    `unapplied` is what a reload would bring, or the problems that it would find, where files have changed since they
    were read."""

    host: str
    port: int
    log_file: str
    launcher: ProcessIdentity = field(default_factory=myself)
    started_at: float = field(default_factory=time.time)
    version: str = scalix.__version__
    phase: Phase = "starting"
    store: str = "starting"
    demo: bool = False
    workers: tuple[WorkerEntry, ...] = ()
    helpers: tuple[ProcessIdentity, ...] = ()
    reload: ReloadEntry | None = None
    store_socket: str | None = None
    in_flight: int = 0
    drain_s: int = DRAIN_S
    config: str = ""
    differing: tuple[str, ...] = ()
    certificate: str | None = None
    certificate_state: str = ""
    models: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unapplied: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where a client on this machine finds the gateway."""
        return base_url(self.host, self.port, tls=self.certificate is not None)

    @property
    def trusted(self) -> Path | None:
        """The certificate by which a client on this machine trusts it; `None` without TLS."""
        return Path(self.certificate) if self.certificate else None

    @property
    def known_models(self) -> int:
        """How many models the config has, those that can't be asked for among them."""
        return len(self.models) + len(self.left_out)

    @property
    def reloads(self) -> int:
        """How often the config was read again."""
        return self.reload.number if self.reload else 0

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
        lists = ("models", "left_out", "differing", "unapplied", "down", "pages")
        raw.update({name: tuple(raw.get(name, ())) for name in lists})
        if raw.get("reload") is not None:
            raw["reload"] = ReloadEntry(**raw["reload"])
        return RunFile(**raw)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def running(state_dir: Path) -> RunFile | None:
    """The run file of the gateway that runs from `state_dir`; None where none does, or it can't be seen."""
    try:
        return read_run_file(state_dir) if lock_holder(state_dir) is not None else None
    except OSError:
        return None


def remove_run_file(state_dir: Path) -> None:
    (state_dir / RUN_FILE).unlink(missing_ok=True)


def hold_lock(state_dir: Path) -> bool:
    """Be the only launcher of `state_dir` for as long as this process lives, however it ends. False when another is.

    A POSIX record lock: the kernel tells anyone who asks which process holds it (F_GETLK), without that question
    disturbing a start that happens at the same moment, and it is not inherited by children. Its price: this process
    must open the file only once, as closing any other descriptor of it would drop the lock.
    """
    fd = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(fd)
        return False
    return True


_FLOCK = "hhqqi0q"  # struct flock of fcntl(2), on 64 bits: type, whence, start, len, pid


def lock_holder(state_dir: Path) -> int | None:
    """The pid of the process that has the lock of `state_dir`; None when none has.

    `FOREIGN_PID` when that process can't be seen from here, as from another container.
    """
    try:
        fd = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    if kind == fcntl.F_UNLCK:
        return None
    return int(pid) if pid > 0 else FOREIGN_PID
