"""A master, a replica and three Sentinels that watch them, for tests."""

import subprocess
from pathlib import Path

import redis

from scalix.launch.embedded.store_binary import find_server_binary, server_environment
from scalix.launch.processes.child_process import die_with_parent
from tests.store.servers import Server, free_ports, wait_for

SERVICE, PASSWORD, OF_SENTINELS = "the-store", "of-the-servers", "of-the-sentinels"
DOWN_AFTER_MS = 400


class Watched:
    """The servers, the first of which is the master, and those that watch them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ports = free_ports(5)
        options = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
        self.servers = [Server(directory / str(port), port, *options) for port in ports[:2]]
        self.ports = ports[2:]
        self.sentinels: list[subprocess.Popen[bytes]] = []
        for server in self.servers:
            server.admin = redis.Redis(port=server.port, password=PASSWORD, decode_responses=True, socket_timeout=5)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{SERVICE}/0?sentinel_password={OF_SENTINELS}"

    def client(self) -> "redis.Redis":
        """A client of the master, past the gateway."""
        return self.master().admin

    def lose_a_master(self) -> None:
        """Have the master die."""
        self.master().kill()

    def start(self) -> "Watched":
        master, replica = self.servers
        master.start()
        replica.start()
        replica.admin.execute_command("REPLICAOF", "127.0.0.1", master.port)
        wait_for(lambda: replica.admin.info("replication")["master_link_status"] == "up", "the replica to follow")
        self.sentinels = [self._sentinel(port) for port in self.ports]
        wait_for(self._all_know_all, "the Sentinels to know each other")
        return self

    def master(self) -> Server:
        """The one that most Sentinels name."""
        named = [
            self.admin(port).execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)[1] for port in self.ports
        ]
        port = max(named, key=named.count)
        return next(server for server in self.servers if server.port == int(port))

    def admin(self, port: int) -> "redis.Redis":
        return redis.Redis(port=port, password=OF_SENTINELS, decode_responses=True, socket_timeout=5)

    def wait_for_another(self, before: Server) -> Server:
        wait_for(lambda: self.master() is not before, "the Sentinels to choose another server")
        return self.master()

    def other(self, server: Server) -> Server:
        return next(one for one in self.servers if one is not server)

    def wait_until_replicated(self) -> None:
        """Return when the replica has all that the master has."""
        master = self.master()

        def in_step() -> bool:
            offsets = [server.admin.info("replication") for server in (master, self.other(master))]
            return bool(offsets[0]["master_repl_offset"] == offsets[1]["slave_repl_offset"])

        wait_for(in_step, "the replica to be in step")

    def close(self) -> None:
        for process in self.sentinels:
            process.kill()
            process.wait()
        for server in self.servers:
            server.close()

    def _sentinel(self, port: int) -> "subprocess.Popen[bytes]":
        folder = self.directory / str(port)
        folder.mkdir()
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"requirepass {OF_SENTINELS}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.servers[0].port} 2",
            f"sentinel auth-pass {SERVICE} {PASSWORD}",
            f"sentinel sentinel-pass {OF_SENTINELS}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 3000",
        ]
        file = folder / "sentinel.conf"
        file.write_text("\n".join([*lines, ""]))
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [find_server_binary(), str(file), "--sentinel"],
                stdout=log,
                stderr=log,
                env=server_environment(),
                preexec_fn=die_with_parent(),
            )

    def _all_know_all(self) -> bool:
        for port in self.ports:
            facts = _fields(self.admin(port).execute_command("SENTINEL MASTER", SERVICE))
            if (facts["num-other-sentinels"], facts["num-slaves"]) != ("2", "1"):
                return False
        return True


def _fields(answer: object) -> dict[str, str]:
    if isinstance(answer, dict):
        return {str(name): str(value) for name, value in answer.items()}
    assert isinstance(answer, list)
    return dict(zip(map(str, answer[::2]), map(str, answer[1::2]), strict=True))
