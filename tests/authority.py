"""An authority of the tests' own, which issues certificates to servers and clients."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
LOCAL = ("localhost", "127.0.0.1")


class Authority:
    """`file` is what those need who trust it."""

    def __init__(self, folder: Path, name: str = "Authority of the tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._signed(self._name, self._key, (), days=30, ca=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(own.public_bytes(PEM))

    def issue(
        self, folder: Path, names: tuple[str, ...] = LOCAL, *, days: float = 10, password: str = ""
    ) -> tuple[Path, Path]:
        """The files of a certificate for `names` and of its key, in `folder`, in place of those that are there."""
        certificate, key = self._issued(names, days, password)
        folder.mkdir(exist_ok=True)
        return _put(folder / "certificate.pem", certificate), _put(folder / "key.pem", key)

    def issue_together(self, file: Path, names: tuple[str, ...] = LOCAL, *, days: float = 10) -> Path:
        """A certificate for `names` and its key in one file, in place of the one that is there."""
        return _put(file, b"".join(self._issued(names, days, "")))

    def _issued(self, names: tuple[str, ...], days: float, password: str) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._signed(subject, key, names, days=days, ca=False)
        locked = serialization.BestAvailableEncryption(password.encode()) if password else None
        text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, locked or serialization.NoEncryption())
        return certificate.public_bytes(PEM), text

    def trusted(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], *, days: float, ca: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        ends = now + datetime.timedelta(days=days)
        usage = x509.KeyUsage(*([True] + [False] * 4 + [ca] + [False] * 3))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, ends) - datetime.timedelta(hours=1))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _put(file: Path, content: bytes) -> Path:
    """As a renewal writes it: whole, or not at all."""
    draft = file.with_suffix(".draft")
    draft.write_bytes(content)
    draft.chmod(0o600)
    return draft.replace(file)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
