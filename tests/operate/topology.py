"""A whole installation on loopback: HAProxy with TLS, three gateways of two workers, and what keeps their state."""

import contextlib
import csv
import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from cryptography import x509

from scalix.launch.processes.child_process import die_with_parent
from tests.authority import Authority
from tests.e2e.gateways import Gateway
from tests.operate.tools import ROOT, program
from tests.store.servers import free_ports, wait_for

WORKERS = ("--workers", "2")


class HAProxy:
    """HAProxy with the file in deploy/, in front of gateways at these ports."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        folder.mkdir()
        self._folder = folder
        self.authority = Authority(folder)
        self._certificate = folder / "certificates" / "gateway.pem"
        self._certificate.parent.mkdir()
        self.port, plain, metrics = free_ports(3)
        self.url = f"https://localhost:{self.port}"
        self._variables = {
            "HAPROXY_SOCKET": str(folder / "admin.sock"),
            "LISTEN": f"127.0.0.1:{self.port}",
            "LISTEN_PLAIN": f"127.0.0.1:{plain}",
            "LISTEN_METRICS": f"127.0.0.1:{metrics}",
            "CERTIFICATES": str(self._certificate.parent),
            **{f"GATEWAY_{number}": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "HAProxy":
        self.authority.issue_together(self._certificate)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                (program("haproxy"), "-W", "-f", str(ROOT / "deploy" / "haproxy.cfg")),
                env=os.environ | self._variables,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),
            )
        process = self._process

        def listens() -> bool:
            assert process.poll() is None, (self._folder / "log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        wait_for(listens, "HAProxy to listen")
        return self

    def renew_certificate(self) -> int:
        """Put a new certificate into place and into force. Returns its serial number."""
        renewed = self.authority.issue_together(self._certificate)
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)
        return x509.load_pem_x509_certificate(renewed.read_bytes()).serial_number

    def ask(self, command: str) -> str:
        """What it says to a command on its socket."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(self._variables["HAPROXY_SOCKET"])
            admin.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    def take_out(self, number: int) -> None:
        """Send nothing more to one gateway, and return when all that it had is answered."""
        name = f"gateway-{number + 1}"
        self.ask(f"set server gateways/{name} state drain")
        wait_for(lambda: self._open(name) == 0, "what it has to be answered", timeout_s=60)

    def put_in(self, number: int) -> None:
        """Send to it again, and return when it is taken for healthy."""
        name = f"gateway-{number + 1}"
        self.ask(f"set server gateways/{name} state ready")
        wait_for(lambda: self._stat(name)["status"] == "UP", "it to be up")

    def broken_off(self) -> Counter[str]:
        """How many requests each gateway broke off, or could not be given, by the log."""
        lines = [line.split() for line in (self._folder / "log").read_text().splitlines() if " gateways/" in line]
        return Counter(line[3].removeprefix("gateways/") for line in lines if len(line) > 9 and line[9].startswith("S"))

    def _open(self, name: str) -> int:
        return int(self._stat(name)["scur"])

    def _stat(self, name: str) -> dict[str, str]:
        rows = csv.DictReader(self.ask("show stat").removeprefix("# ").splitlines())
        return next(row for row in rows if (row["pxname"], row["svname"]) == ("gateways", name))

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
            self._process.kill()
            self._process.wait()


@dataclass
class Installation:
    """Three gateways with one store, each on a port of its own that it keeps when it is started again. `of` makes
    them."""

    folder: Path
    provider_url: str
    variables: dict[str, str]
    section: dict[str, Any] = field(default_factory=dict)
    of: Callable[..., Any] = Gateway
    gateways: list[Any] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.ports = free_ports(3)
        self.gateways = [
            self.of(
                self.folder / f"gateway-{number}",
                self.provider_url,
                options=("--port", str(port), *WORKERS),
                extra=self.variables,
                section=self.section,
            )
            for number, port in enumerate(self.ports, 1)
        ]
        self.proxy = HAProxy(self.folder / "haproxy", self.ports)

    @contextlib.contextmanager
    def running(self) -> Iterator["Installation"]:
        """Start all of it, and end it."""
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda gateway: gateway.start(), self.gateways))
            self.proxy.start()
            yield self
        finally:
            self.proxy.close()
            for gateway in self.gateways:
                gateway.stop()

    def add_users(self, tiers: Mapping[str, str]) -> None:
        """Users, each with a tier."""
        with self.gateways[0].client() as http:
            for user, tier in tiers.items():
                made = http.post("/user/new", json={"user_id": user, "tier": tier, "auto_create_key": False})
                assert made.status_code == 200, made.text

    def kill(self, number: int) -> None:
        """End one gateway as a machine that fails does: all its processes at once."""
        launcher = self.gateways[number].launcher()
        for process in (launcher, *launcher.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                process.kill()
