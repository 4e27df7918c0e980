"""Reads what the gateway speaks TLS by: the variables, and the certificate and key that they name."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scalix.launch.problems import fix_for, shown_path

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from scalix.launch.settings.redis_url import Report

CERTIFICATE, PRIVATE_KEY = "SCALIX_TLS_CERTIFICATE", "SCALIX_TLS_PRIVATE_KEY"
PASSWORD, MIN_VERSION = "SCALIX_TLS_PRIVATE_KEY_PASSWORD", "SCALIX_TLS_MIN_VERSION"
VERSIONS = ("1.2", "1.3")
DEFAULT_MIN_VERSION = "1.3"
MOST_BYTES = 1_000_000
_HOW_TO_RENEW = "renew it, and name the new one"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files that the operator has named; `private_key` may be the same as `certificate`."""

    certificate: Path
    private_key: Path
    password: str | None = field(default=None, repr=False)
    min_version: str = DEFAULT_MIN_VERSION


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, as the files had them. `chain` is public, in PEM form; `secret` is `chain` with the
    key behind it, without a password. `names` are the host names and addresses that the certificate is for."""

    chain: bytes
    secret: bytes = field(repr=False)
    expires_at: datetime
    names: tuple[str, ...]

    @property
    def description(self) -> str:
        """One line for the operator."""
        until = f"{self.expires_at:%Y-%m-%d %H:%M} UTC"
        if self.is_over():
            return f"the certificate has expired on {until}, and clients refuse it: {_HOW_TO_RENEW}"
        return f"certificate for {', '.join(self.names) or 'no name'}, until {until}"

    def is_over(self, now: datetime | None = None) -> bool:
        """Whether clients refuse it, as it has expired."""
        return self.expires_at <= (now or datetime.now(UTC))


class UnfitKeyPair(Exception):
    """The files can't be used. `name` is the variable of the one that is wrong; no text holds a part of a key."""

    def __init__(self, name: str, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.name, self.what, self.fix = name, what, fix


def tls_settings(values: Mapping[str, str], root: Path, report: "Report", *, production: bool) -> TlsSettings | None:
    """The settings for TLS; `None` without a certificate, or where something is wrong, which is reported.

    Relative paths begin at `root`.
    """
    named = {name: values.get(name, "").strip() for name in (CERTIFICATE, PRIVATE_KEY, MIN_VERSION)}
    version = named[MIN_VERSION] or DEFAULT_MIN_VERSION
    if version not in VERSIONS:
        report(MIN_VERSION, f"{MIN_VERSION} is no version of TLS that is spoken", fix_for(version, VERSIONS))
        return None
    if not named[CERTIFICATE]:
        if named[PRIVATE_KEY]:
            report(PRIVATE_KEY, f"{PRIVATE_KEY} is set, but no certificate is", f"set {CERTIFICATE} too, or remove it")
        return None
    files = [root / Path(named[name] or named[CERTIFICATE]).expanduser() for name in (CERTIFICATE, PRIVATE_KEY)]
    settings = TlsSettings(files[0], files[1], values.get(PASSWORD) or None, version)
    try:
        pair = read_key_pair(settings)
    except UnfitKeyPair as error:
        report(error.name, error.what, error.fix)
        return None
    if production and pair.is_over():
        what = f"the certificate in {shown_path(settings.certificate)} has expired on {pair.expires_at:%Y-%m-%d}"
        report(CERTIFICATE, what, _HOW_TO_RENEW)
    if production and settings.private_key.stat().st_mode & 0o004:
        where = shown_path(settings.private_key)
        key = PRIVATE_KEY if named[PRIVATE_KEY] else CERTIFICATE
        report(key, f"every user of this machine can read the private key in {where}", f"run chmod 600 {where}")
    return settings


def read_key_pair(tls: TlsSettings) -> KeyPair:
    """The certificate and the key as the files have them now. Raises `UnfitKeyPair`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key_name = PRIVATE_KEY if tls.private_key != tls.certificate else CERTIFICATE
    text, where = _read(CERTIFICATE, tls.certificate), shown_path(tls.certificate)
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        fix = "write it in PEM form, -----BEGIN CERTIFICATE----- first, the server's own before those of authorities"
        raise UnfitKeyPair(CERTIFICATE, f"{where} holds no certificate that can be read", fix) from None
    key = _private_key(key_name, tls)
    spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*spki) != chain[0].public_key().public_bytes(*spki):
        what = f"the key in {shown_path(tls.private_key)} does not belong to the certificate in {where}"
        raise UnfitKeyPair(
            key_name, what, "name the key that the certificate was made for, which comes first in its file"
        )
    public = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(public, public + secret, chain[0].not_valid_after_utc, _names(chain[0]))


def _read(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UnfitKeyPair(
            name, f"{shown_path(path)} can't be read ({reason})", "name a file that this user may read"
        ) from None


def _private_key(name: str, tls: TlsSettings) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text, where = _read(name, tls.private_key), shown_path(tls.private_key)
    password = tls.password.encode() if tls.password else None
    try:
        return load_pem_private_key(text, password)
    except TypeError:
        if password is None:
            raise UnfitKeyPair(name, f"the key in {where} has a password", f"set {PASSWORD}") from None
        return load_pem_private_key(text, None)
    except (ValueError, UnsupportedAlgorithm):
        if password is not None and b"ENCRYPTED" in text:
            raise UnfitKeyPair(name, f"{PASSWORD} does not open the key in {where}", "correct it") from None
        fix = f"write it in PEM form, with -----BEGIN PRIVATE KEY----- before it, or name its file in {PRIVATE_KEY}"
        raise UnfitKeyPair(name, f"{where} holds no private key that can be read", fix) from None


def _names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client on this machine needs to trust a gateway by the certificate that it is known to have.

    Only by that one, and whatever name it is for: the gateway is asked at its own address here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
