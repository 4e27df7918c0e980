"""Real servers that a test starts for itself: one alone, or a cluster on loopback ports."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
import redis.cluster

from scalix.launch.embedded.store_binary import find_server_binary, server_environment
from scalix.launch.processes.child_process import die_with_parent
from scalix.store.connection.deadline import CalmClock

SLOTS = 16_384


class Server:
    """One server on 127.0.0.1, without persistence."""

    binary: Path | None = None  # the bundled one

    def __init__(self, directory: Path, port: int, *options: str) -> None:
        self.directory = directory
        self.port = port
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.admin = redis.Redis(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=5)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "Server":
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(
                        self.binary or find_server_binary(),
                        "--port",
                        str(self.port),
                        "--bind",
                        "127.0.0.1",
                        "--save",
                        "",
                    ),
                    *("--dir", str(self.directory), "--maxmemory-policy", "noeviction", *self.options),
                ],
                stdout=log,
                stderr=log,
                env=server_environment(),
                preexec_fn=die_with_parent(),
            )
        wait_for(lambda: self.admin.ping(), "the server to answer")
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        self.admin.close()


class Cluster:
    """Three masters, each with `replicas` replicas; slots are given out by the cluster's own commands."""

    def __init__(self, directory: Path, *, replicas: int = 0) -> None:
        options = (
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
            *("--cluster-replica-validity-factor", "0"),
        )
        ports = free_ports(3 * (1 + replicas))
        self.nodes = [Server(directory / str(port), port, *options) for port in ports]
        self.masters, self.replicas = self.nodes[:3], self.nodes[3:]

    @property
    def url(self) -> str:
        """It names all masters."""
        return f"redis://{','.join(f'127.0.0.1:{node.port}' for node in self.masters)}/0"

    def client(self) -> Any:
        """A client of redis-py's, past the gateway."""
        alive = next(node for node in self.nodes if node.process)
        client: Any = redis.cluster.RedisCluster.from_url(alive.url, decode_responses=True)
        return client

    def lose_a_master(self) -> None:
        """Have the first one die, which each address names."""
        self.masters[0].kill()

    def start(self) -> "Cluster":
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.masters):
            first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
            node.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].admin.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        wait_for(lambda: all(len(_lines(node)) == len(self.nodes) for node in self.nodes), "the nodes to meet")
        for number, node in enumerate(self.replicas):
            master = self.masters[number % 3].admin.execute_command("CLUSTER", "MYID")
            wait_for(lambda node=node, master=master: _replicate(node, master), "a replica to follow")
        wait_for(lambda: all(_info(node)["cluster_state"] == "ok" for node in self.nodes), "the cluster to be well")
        if self.replicas:
            wait_for(lambda: all(_is_linked(node) for node in self.replicas), "the replicas to be in step")
            wait_for(lambda: all(_replicas_seen(node) == len(self.replicas) for node in self.nodes), "all to know them")
        return self

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@contextlib.contextmanager
def running(part: Any) -> Iterator[Any]:
    """Start a `Server` or a `Cluster`, and end it."""
    try:
        yield part.start()
    finally:
        part.close()


def free_ports(number: int) -> list[int]:
    """Ports that are free, as are those 10,000 above them, where the nodes of a cluster talk to each other."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < number:
            port_socket = held.enter_context(socket.socket())
            port_socket.bind(("127.0.0.1", 0))
            port = port_socket.getsockname()[1]
            if port <= 55_535 and port not in ports:
                bus = held.enter_context(socket.socket())
                with contextlib.suppress(OSError):
                    bus.bind(("127.0.0.1", port + 10_000))
                    ports.append(port)
    return ports


def wait_for(condition: Any, what: str, *, timeout_s: float = 20.0) -> None:
    """Return when the condition holds; errors of a server that is not ready yet count as not."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


def _lines(node: Server) -> list[str]:
    lines = str(node.admin.execute_command("CLUSTER", "NODES")).splitlines()
    return [line for line in lines if "handshake" not in line]


def _info(node: Server) -> dict[str, str]:
    text = str(node.admin.execute_command("CLUSTER", "INFO"))
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def _replicate(node: Server, master: str) -> bool:
    node.admin.execute_command("CLUSTER", "REPLICATE", master)
    return True


def _is_linked(node: Server) -> bool:
    return bool(node.admin.info("replication").get("master_link_status") == "up")


def _replicas_seen(node: Server) -> int:
    # First slot, last slot, primary, replicas …
    return sum(len(entry) - 3 for entry in node.admin.execute_command("CLUSTER SLOTS"))


def calm_s() -> float:
    """Seconds by the clock of the store's time limits, which stands still while this process or its machine is busy."""
    return CalmClock.of_this_loop().now_s()
