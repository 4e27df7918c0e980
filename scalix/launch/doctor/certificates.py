"""Certificates: when they expire, whether a key is theirs, and whether the files are there that settings name."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.doctor.network import authorities_file

_DAY_S = 86_400
_SOON_DAYS = 14


def check_certificates(case: Case) -> Iterator[Finding]:
    """The files that the TLS settings name."""
    values = case.found.environment.values
    settings = case.found.config.litellm.get("litellm_settings", {}) if case.found.config else {}
    name, file = authorities_file(values, settings)
    if file is False:
        what = f"{name} is false: anybody between here and a provider can read keys and prompts"
        yield Finding("warning", name, what, "name the authority's file there in place of false")
    elif isinstance(file, str):
        yield _readable(name, file)
    else:
        yield Finding("ok", "certificates", "providers' are checked against the usual authorities")


def _readable(name: str, file: str) -> Finding:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        what, fix = f"{file} can't be used as a list of authorities ({reason})", "name a PEM file that can be read"
        return Finding("problem", name, what, fix)
    return Finding("ok", name, f"{file} has the authorities that are trusted")


def pair_findings(certificate: Path, key: Path, now_s: float) -> Iterator[Finding]:
    """Whether a server's certificate can be read, has its key beside it, and for how long it is good."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        mismatch = "MISMATCH" in (error.reason or "")
        what = "the key is not that of the certificate" if mismatch else "certificate or key is no PEM file"
        yield Finding("problem", str(certificate), what, "give the two files that belong together")
        return
    except OSError as error:
        yield Finding("problem", str(certificate), f"can't be read: {error.strerror}", "let the gateway's user read it")
        return
    decoded = first_of(certificate)
    yield expiry_finding(str(certificate), decoded, now_s) or Finding(
        "ok", str(certificate), "good, and the key is its"
    )


def first_of(path: Path) -> Mapping[str, Any]:
    """The first certificate of a PEM file, as `ssl` tells of a peer's."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return {"notAfter": certificate.not_valid_after_utc.strftime("%b %d %H:%M:%S %Y GMT")}


def expiry_finding(where: str, certificate: Mapping[str, Any], now_s: float) -> Finding | None:
    """What is to be said of how long a certificate is good; `None` where that is long enough."""
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now_s) / _DAY_S
    if days < 0:
        return Finding("problem", where, f"the certificate expired {-days:.0f} days ago", "renew it")
    if days < _SOON_DAYS:
        return Finding("warning", where, f"the certificate expires in {days:.0f} days", "renew it")
    return None
