"""Providers: whether each that the config asks can be reached from here, and takes its key. Nothing here costs money: a
list of models is asked for, by the proxies and with the certificates that the gateway would use."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext, cert_time_to_seconds
from typing import Any
from urllib.parse import urlsplit

from scalix.launch.config.deployments import IMPLICIT_KEYS
from scalix.launch.config.references import LITELLM_PREFIX, address_of
from scalix.launch.doctor.certificates import expiry_finding
from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.doctor.network import proxy_for, trust_of
from scalix.launch.litellm.providers import addresses, provider_of

_TIMEOUT_S = 5.0
_ALL_WITHIN_S = 8.0
_AZURE = ("azure", "azure_text")
_ANTHROPIC_VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Target:
    """One address, the key that is sent there, and the variable that holds it."""

    provider: str
    base: str
    key: str = field(repr=False)
    variable: str

    @property
    def request(self) -> tuple[str, dict[str, str]]:
        """The URL and the headers that ask for the list of models."""
        base = self.base.rstrip("/")
        if self.provider in _AZURE:
            return f"{base}/openai/models?api-version=2024-10-21", {"api-key": self.key}
        if self.provider == "gemini":
            return f"{base}/models", {"x-goog-api-key": self.key}
        if self.provider == "anthropic":
            return f"{base}/models", {"x-api-key": self.key, "anthropic-version": _ANTHROPIC_VERSION}
        return f"{base}/models", {"authorization": f"Bearer {self.key}"} if self.key else {}


def check_providers(case: Case) -> Iterator[Finding]:
    """Each address that a model in service asks: name, connection, certificate and key. All at once, and bounded."""
    config, found = case.found.config, list[Finding]()
    if config is None or case.found.demo or case.offline:
        why = "--offline" if case.offline else "--demo" if config else "what is wrong with the config"
        yield Finding("note", "providers", f"not tried, because of {why}")
        return
    try:
        trust = trust_of(case.found.environment.values, config.litellm.get("litellm_settings", {}))
    except OSError:
        yield Finding("note", "providers", "not tried, because of the file that names trusted authorities")
        return
    targets, unknown = _targets(case)
    if unknown:
        what = f"not tried: {', '.join(sorted(unknown))}, whose addresses are LiteLLM's business"
        yield Finding("note", "providers", what)
    # Threads, and none that is waited for longer: a resolver that does not answer can be bounded by no timeout.
    threads = {
        target: threading.Thread(target=lambda one=target: found.append(_tried(one, case, trust)), daemon=True)
        for target in targets
    }
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + _ALL_WITHIN_S
    for target, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            what = f"{target.provider}: no answer within {_ALL_WITHIN_S:g} s"
            yield Finding("problem", _shown(target.base), what, "see to the resolver and the network here")
    yield from list(found)


def _targets(case: Case) -> tuple[set[Target], set[str]]:
    """What is to be tried, and the providers whose address is not known here."""
    values, targets, unknown = case.found.environment.values, set[Target](), set[str]()
    known = addresses()
    for entry in case.found.config.litellm["model_list"] if case.found.config else ():
        params: Mapping[str, Any] = entry["litellm_params"]
        provider = provider_of(params, {})
        base = address_of(params, values) or known.get(provider, "")
        given = str(params.get("api_key", ""))
        names = [given.removeprefix(LITELLM_PREFIX)] if given else IMPLICIT_KEYS.get(provider, ())
        variable = next((name for name in names if values.get(name, "").strip()), "")
        if urlsplit(base).scheme in ("http", "https"):
            targets.add(Target(provider, base, values.get(variable, ""), variable))
        else:
            unknown.add(provider or str(params["model"]))
    return targets, unknown


def _tried(target: Target, case: Case, trust: SSLContext | bool) -> Finding:
    """One request, and what it says of the provider and its key."""
    import httpx

    where = _shown(target.base)
    values = case.found.environment.values
    url, headers = target.request
    try:
        with (
            httpx.Client(
                verify=trust, proxy=proxy_for(url, values), trust_env=False, timeout=_TIMEOUT_S, follow_redirects=False
            ) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
            finding = _judged(target, where, answer.status_code, answer.read()[:2000] if answer.is_error else b"")
            certificate = tls.getpeercert() if tls is not None else None
    except httpx.ProxyError as error:
        return Finding(
            "problem", where, f"{target.provider}: the proxy refuses ({_words(error)})", "see to HTTPS_PROXY"
        )
    except httpx.TimeoutException:
        what = f"{target.provider}: no answer within {_TIMEOUT_S:g} s"
        return Finding("problem", where, what, "see whether this machine may go there, and by which HTTPS_PROXY")
    except (httpx.InvalidURL, ValueError) as error:  # of the address, the proxy's, or a key that no header carries
        what = f"{target.provider}: can't be asked ({type(error).__name__})"
        return Finding("problem", where, what, "see to the address, the key and HTTPS_PROXY")
    except (httpx.HTTPError, OSError) as error:
        what, fix = _why(_words(error))
        return Finding("problem", where, f"{target.provider}: {what}", fix)
    if certificate and finding.level == "ok":
        return expiry_finding(where, cert_time_to_seconds(certificate["notAfter"]), case.now_s) or finding
    return finding


def _judged(target: Target, where: str, status: int, body: bytes) -> Finding:
    """What a status says. Servers that have no list of models say 404."""
    name = target.variable or "the key"
    if status == 401 or (status == 400 and b"API_KEY_INVALID" in body):
        return Finding("problem", where, f"{target.provider} refuses {name} ({status})", "write the right key")
    if status == 403:
        what = f"{target.provider} takes {name}, and forbids it what was asked, or this address (403)"
        return Finding("warning", where, what, "look at the key's rights in the provider's console")
    if status == 402:
        return Finding("warning", where, f"{target.provider} has no balance for {name} (402)", "top it up")
    if 300 <= status < 400:
        what = f"{target.provider} answers with a redirect ({status}), which is not followed with a key"
        return Finding("warning", where, what, "write the address that it leads to")
    if status >= 500:
        return Finding("warning", where, f"{target.provider} answers {status}", "see its status page")
    return Finding("ok", where, f"{target.provider} answers ({status})")


def _why(said: str) -> tuple[str, str]:
    """An error of the connection in words, and what to do about it."""
    for mark, what, fix in (
        ("certificate has expired", "its certificate has expired", "see the clock here, and tell the provider"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted", "name its authority in SSL_CERT_FILE"),
        ("WRONG_VERSION", "it does not speak TLS", "write http:// if that is meant"),
        ("SSL", "the TLS handshake failed", "see whether a proxy stands between"),
        ("not known", "the host name is not known", "correct the address, or see to DNS here"),
        ("resolution", "the host name can't be resolved", "see to DNS here"),
        ("No address", "the host name has no address", "correct the address, or see to DNS here"),
        ("refused", "connection refused", "start the server, or correct the address"),
        ("nreachable", "the network can't be reached", "see to the routes and the firewall here"),
    ):
        if mark in said:
            return what, fix
    return "the connection failed", "see whether this machine may go there, and by which HTTPS_PROXY"


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _shown(base: str) -> str:
    """The host of an address, which may hold a password."""
    parts = urlsplit(base)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
