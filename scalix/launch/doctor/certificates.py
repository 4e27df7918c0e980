"""Certificates: the gateway's own, and those of authorities that providers are checked by."""

import ssl
from collections.abc import Iterator

from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.doctor.network import authorities_file
from scalix.launch.settings.tls import TlsSettings, UnfitKeyPair, read_key_pair

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
    if case.found.settings.tls is not None:
        yield from _own(case.found.settings.tls, case.now_s)


def _readable(name: str, file: str) -> Finding:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        what, fix = f"{file} can't be used as a list of authorities ({reason})", "name a PEM file that can be read"
        return Finding("problem", name, what, fix)
    return Finding("ok", name, f"{file} has the authorities that are trusted")


def _own(tls: TlsSettings, now_s: float) -> Iterator[Finding]:
    """The gateway's own certificate, whose key the settings have been checked for."""
    try:
        pair = read_key_pair(tls)
    except UnfitKeyPair:  # a problem of the settings
        return
    where = str(tls.certificate)
    yield expiry_finding(where, pair.expires_at.timestamp(), now_s) or Finding("ok", where, pair.description)
    if pair.chain.count(b"-----BEGIN") == 1:
        what = "it holds the certificate alone: only clients that know who has signed it will trust it"
        yield Finding("note", where, what, "of a public authority, name the file with the chain, such as fullchain.pem")


def expiry_finding(where: str, expires_s: float, now_s: float) -> Finding | None:
    """What is to be said of how long a certificate is good; `None` where that is long enough."""
    days = (expires_s - now_s) / _DAY_S
    if days < 0:
        return Finding("problem", where, f"the certificate expired {-days:.0f} days ago", "renew it")
    if days < _SOON_DAYS:
        return Finding("warning", where, f"the certificate expires in {days:.0f} days", "renew it")
    return None
