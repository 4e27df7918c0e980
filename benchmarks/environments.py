"""Installs the peers under `.bench/`, once, with pinned versions."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import ROOT, BenchmarkError, cache_folder

# Node's peers; Python's are pinned by the gateway's own lock, so that both sides run the same packages.
PORTKEY = "@portkey-ai/gateway@1.15.2"
_PINNED = re.compile(r"^[A-Za-z0-9_.-]+(?:\[[^\]]*\])?==[^\\]+")


def constraints(lock: str) -> list[str]:
    """The `name==version` lines of a lock file, with their markers, without hashes."""
    return [found[0].strip() for line in lock.splitlines() if (found := _PINNED.match(line))]


def python_environment(name: str, packages: Sequence[str]) -> Path:
    """The `bin` folder of a virtual environment with `packages` in it. Raises `BenchmarkError`."""
    pins = cache_folder() / "constraints.txt"
    pins.write_text("\n".join(constraints((ROOT / "requirements.lock").read_text())) + "\n")
    return _environment(name, " ".join(packages), ["--constraint", str(pins), *packages])


def locked_environment(name: str, lock: Path) -> Path:
    """The `bin` folder of a virtual environment with what stands in `lock`, with hashes. Raises `BenchmarkError`."""
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    return _environment(name, wanted, ["--require-hashes", "--no-deps", "--requirement", str(lock)])


def _environment(name: str, wanted: str, options: Sequence[str]) -> Path:
    folder = cache_folder(name)
    stamp, binaries = folder / ".installed", folder / "bin"
    if stamp.exists() and stamp.read_text() == wanted:
        return binaries
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}") or shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)])
        installer = [uv, "pip", "install", "--quiet", "--python", str(binaries / "python")]
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        installer = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*installer, *options])
    stamp.write_text(wanted)
    return binaries


def node_package(name: str, package: str) -> Path:
    """The `node_modules` folder with `package` in it. Raises `BenchmarkError`, also if Node is missing."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise BenchmarkError("Node.js is not here")
    folder = cache_folder(name)
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != package:
        _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", package])
        stamp.write_text(package)
    return folder / "node_modules"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise BenchmarkError(f"{' '.join(command)[:200]} failed: {' '.join(reason)[:400]}")
