"""Directories and files that only the gateway's user can read."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from scalix.launch.problems import LaunchError, Problem, shown_path

# Files by which a directory is known as a state directory, whose mode may be set.
_MARKS = frozenset({"store.lock", "master.key", "gateway.json", "litellm.rendered.yaml", "store"})


def make_private(path: Path) -> Path:
    """Create `path` with mode 0700, or make an existing one so; returns it absolute, symbolic links resolved.

    A directory that holds somebody else's files keeps its mode (a state directory of `/var/lib` must not lock
    everybody out of it), and is refused if others may write to it: they could put their own store in place of ours.
    Raises LaunchError where it can't be created, is no directory, or is another user's.
    """
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path.resolve(strict=True)
        facts = path.stat()
        if facts.st_uid != os.geteuid():
            # root may use what a container's volume belongs to, and leaves its mode to the owner.
            if os.geteuid() != 0:
                raise _refusal(path, f"belongs to user id {facts.st_uid}, not to {os.geteuid()} who runs the gateway")
        elif stat.S_IMODE(facts.st_mode) != 0o700:
            held = {entry.name for entry in path.iterdir()}
            if not held or held & _MARKS:
                path.chmod(0o700)
            elif facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise _refusal(path, "holds other files and can be written to by other users")
    except OSError as error:
        raise _refusal(path, f"can't be used: {error.strerror or error}") from None
    return path


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` with mode 0600, whole or not at all. Raises `LaunchError` when that fails."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with draft_of(path, content) as draft:
            draft.replace(path)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        fix = "set SCALIX_STATE_DIR to a directory that this user may write"
        raise LaunchError([Problem(shown_path(path), f"can't be written ({reason})", fix)]) from error


@contextlib.contextmanager
def draft_of(path: Path, content: bytes) -> Iterator[Path]:
    """A file (0600) beside `path` that holds `content` whole, to be moved or linked into its place; removed then."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _refusal(path: Path, what: str) -> LaunchError:
    fix = "set SCALIX_STATE_DIR to a directory of the gateway's own"
    return LaunchError((Problem(where=str(path), what=what, fix=fix),))
