"""A Valkey or Redis server on a TCP port, for a peer that needs one."""

import socket
import subprocess
import time
from pathlib import Path

from benchmarks.processes import OTHER_CORES, BenchmarkError, free_port, start, stop
from scalix.launch.embedded.store_binary import find_server_binary


def start_redis(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The server, which keeps everything in memory, and its port. Raises `BenchmarkError`, `LaunchError`."""
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder))
    process = start([find_server_binary(), *options], folder=folder, log=folder / "redis.log", cores=OTHER_CORES)
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.02)
    stop(process)
    raise BenchmarkError(f"the Redis server does not answer, see {folder / 'redis.log'}")
