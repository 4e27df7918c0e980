"""A store for `benchmarks.store`: a server of its own, filled with users, and its own figures."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Ask, Charge, Outcome, Prices
from scalix.launch.embedded.store_binary import find_server_binary, server_environment
from scalix.launch.processes.child_process import die_with_parent
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_users import UserStore

PREFIX = "scalix:"
CALLS = 4_000
PAUSE_S = 0.05
EIGHT_LIMITS = Limits(
    (
        *(Limit(Metric.REQUESTS, window, 10**6) for window in Window),
        *(Limit(Metric.TOKENS, window, 10**12) for window in (Window.HOUR, Window.DAY)),
        *(Limit(Metric.SPEND, window, 10**15) for window in (Window.DAY, Window.MONTH)),
    )
)


@dataclass(frozen=True)
class Timing:
    """Times of one script inside the server, in µs. `cpu` is the server's CPU time for a call with its answer."""

    p50: float
    p99: float
    cpu: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} µs, p99 {self.p99:.0f} µs, CPU of the server {self.cpu:.1f} µs a call"


def quietest(timings: Sequence[Timing]) -> Timing:
    return Timing(*(min(getattr(timing, name) for timing in timings) for name in ("p50", "p99", "cpu")))


class Bench:
    """A server of its own, with a store and the server's own figures."""

    def __init__(self, path: str, pid: int) -> None:
        self._schedstat = Path(f"/proc/{pid}/schedstat")
        self.path = path
        self.admin = redis.Redis(unix_socket_path=path, decode_responses=True)
        self.keys = Keys(PREFIX)
        self.client = connect(f"unix://{path}", timeout_ms=30_000)
        self.store = QuotaStore(StoreSession(self.client, self.keys, timeout_ms=30_000))
        self.users = UserStore(StoreSession(self.client, self.keys, timeout_ms=30_000))
        self._made = 0

    def ask(self, user: int, limits: Limits = EIGHT_LIMITS) -> Ask:
        self._made += 1
        return Ask(
            request_id=f"{self._made:032x}",
            subject=name_of(user),
            limits=limits,
            prompt_tokens=120,
            output_cap_tokens=2_048,
            min_output_tokens=16,
            prices=Prices(150_000, 600_000),
            user_version="0",
        )

    async def admit(self, ask: Ask) -> Admitted:
        decision = await self.store.admit(ask)
        assert isinstance(decision, Admitted), decision
        return decision

    async def serve(self, user: int, limits: Limits = EIGHT_LIMITS) -> None:
        """One request, from its admission to its settlement."""
        admitted = await self.admit(self.ask(user, limits))
        await self.store.settle(admitted.receipt, Charge(Outcome.SUCCESS, 1, 431, 186_600))

    async def timed(self, work: Coroutine[Any, Any, Any]) -> Timing:
        """Of `work`, which makes `CALLS` calls of one script."""
        self.admin.config_resetstat()
        started = self.cpu_us()
        await work
        cpu = (self.cpu_us() - started) / CALLS
        percentiles: Any = self.admin.info("latencystats")["latency_percentiles_usec_evalsha"]
        return Timing(float(percentiles["p50"]), float(percentiles["p99"]), cpu)

    def cpu_us(self) -> float:
        """CPU time of the server's main thread."""
        return int(self._schedstat.read_text().split()[0]) / 1_000


def name_of(user: int) -> str:
    return f"user:{user:08d}"


def load(bench: Bench, numbers: range) -> None:
    """Users of this hour, written without the scripts."""
    now_ms = time.time_ns() // 1_000_000
    fields = [f"{letter}{window_index(window, now_ms)}" for letter, window in zip("mhdM", Window, strict=True)]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(bench.path)
        for first in range(0, len(numbers), 1_000):
            parts = []
            some = numbers[first : first + 1_000]
            for user in some:
                key = bench.keys.windows(name_of(user))
                words = ["HSET", key, *(word for field in fields for word in (field, "3 1293 559800 0 0 0"))]
                parts += [_resp(words), _resp(["PEXPIRE", key, str(40 * 86_400_000)])]
            connection.sendall(b"".join(parts))
            left = 2 * len(some)
            while left:
                left -= connection.recv(1 << 16).count(b"\n")


def _resp(words: list[str]) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


@contextmanager
def own_server() -> Iterator[tuple[str, int]]:
    """A server in a folder that goes with it: its socket and its process."""
    with tempfile.TemporaryDirectory() as directory:
        process, path = start_server(Path(directory) / "server")
        try:
            yield path, process.pid
        finally:
            process.terminate()
            process.wait()


def start_server(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    directory.mkdir()
    path = str(directory / "s.sock")
    options = {"port": 0, "unixsocket": path, "save": "", "appendonly": "no", "dir": directory}
    process = subprocess.Popen(
        [find_server_binary(), *(word for name, value in options.items() for word in (f"--{name}", str(value)))],
        stdout=subprocess.DEVNULL,
        env=server_environment(),
        preexec_fn=die_with_parent(),
    )
    while not Path(path).exists():
        time.sleep(PAUSE_S)
    return process, path
