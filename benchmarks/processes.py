"""Starts and stops the programs that a benchmark needs, each on its own core."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from scalix.launch.processes.child_process import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".bench"
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")

# One core for the peer under test, another for the load, the provider and every store.
_CORES = sorted(os.sched_getaffinity(0))
PEER_CORES = {_CORES[-1]}
OTHER_CORES = set(_CORES[:-1]) or PEER_CORES


class BenchmarkError(Exception):
    """A benchmark can't be run; `args[0]` says why in one line."""


def cache_folder(*names: str) -> Path:
    """A folder under `.bench/`, created if it is missing; git ignores it."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    folder = CACHE.joinpath(*names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str | Path],
    *,
    folder: Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    cores: set[int] = PEER_CORES,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in `folder` on `cores`, its output in `log`. It ends when this process ends."""
    end_with_us = die_with_parent(signal.SIGTERM)

    def before_exec() -> None:
        end_with_us()
        os.sched_setaffinity(0, cores)

    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**kept, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            preexec_fn=before_exec,
        )


def stop(process: subprocess.Popen[bytes], timeout_s: float = 15.0) -> None:
    """SIGTERM, and SIGKILL after `timeout_s` seconds."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, timeout_s: float = 120.0) -> None:
    """Return when `url` answers 200. Raises `BenchmarkError` with the end of `log`."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    tail = log.read_text(errors="replace").strip().splitlines()[-5:]
    raise BenchmarkError(f"{process.args!s:.200} is not ready; the end of {log}: {' | '.join(tail)[-800:]}")


def start_provider(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The demo provider, which answers at once; its process and URL (without /v1)."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "scalix_demo", "--ready-fd", str(writer), "--log-entries", "1"]
    try:
        process = start(command, folder=ROOT, log=folder / "provider.log", cores=OTHER_CORES, pass_fds=(writer,))
    finally:
        os.close(writer)
    with os.fdopen(reader) as ready:
        line = ready.readline()
    if not line:
        raise BenchmarkError(f"the demo provider did not start, see {folder / 'provider.log'}")
    return process, f"http://127.0.0.1:{line.split()[1]}"
