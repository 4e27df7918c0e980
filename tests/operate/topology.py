"""A whole installation on loopback: HAProxy with TLS, three gateways of two workers, and what keeps their state."""

import contextlib
import datetime
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scalix.launch.processes.child_process import die_with_parent
from tests.e2e.gateways import Gateway
from tests.operate.tools import ROOT, program
from tests.store.servers import free_ports, wait_for

WORKERS = ("--workers", "2")


class Authority:
    """A certificate authority of the test's own, whose certificate is in `path`."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
        self._serial = 1000
        self.path = folder / "authority.pem"
        self.path.write_bytes(self._signed(self._name, self._key.public_key(), is_authority=True))

    def issue(self, path: Path) -> int:
        """Write a new certificate for `localhost`, with its key, to `path`. Returns its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
        text = self._signed(name, key.public_key()) + key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, none
        )
        # As a renewal writes it: whole, or not at all.
        path.with_suffix(".new").write_bytes(text)
        path.with_suffix(".new").rename(path)
        return self._serial

    def _signed(self, name: x509.Name, public: ec.EllipticCurvePublicKey, *, is_authority: bool = False) -> bytes:
        self._serial += 1
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(self._serial)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)


class HAProxy:
    """HAProxy with the file in deploy/, in front of gateways at these ports."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        folder.mkdir()
        self._folder = folder
        self.authority = Authority(folder)
        self._certificates = folder / "certificates"
        self._certificates.mkdir()
        self.port, plain, metrics = free_ports(3)
        self.url = f"https://localhost:{self.port}"
        self._variables = {
            "HAPROXY_SOCKET": str(folder / "admin.sock"),
            "LISTEN": f"127.0.0.1:{self.port}",
            "LISTEN_PLAIN": f"127.0.0.1:{plain}",
            "LISTEN_METRICS": f"127.0.0.1:{metrics}",
            "CERTIFICATES": str(self._certificates),
            **{f"GATEWAY_{number}": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "HAProxy":
        self.authority.issue(self._certificates / "gateway.pem")
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
        serial = self.authority.issue(self._certificates / "gateway.pem")
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)
        return serial

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
            self._process.kill()
            self._process.wait()


@dataclass
class Installation:
    """Three gateways with one store, each on a port of its own that it keeps when it is started again."""

    folder: Path
    provider_url: str
    variables: dict[str, str]
    section: dict[str, Any] = field(default_factory=dict)
    gateways: list[Gateway] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ports = free_ports(3)
        self.gateways = [
            Gateway(
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
            for gateway in self.gateways:
                gateway.start()
            self.proxy.start()
            yield self
        finally:
            self.proxy.close()
            for gateway in self.gateways:
                gateway.stop()

    def kill(self, number: int) -> None:
        """End one gateway as a machine that fails does: all its processes at once."""
        launcher = self.gateways[number].launcher()
        for process in (launcher, *launcher.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                process.kill()
