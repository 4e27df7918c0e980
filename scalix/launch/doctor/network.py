"""By which proxy and with which certificates the gateway calls providers: as LiteLLM reads the same variables."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

_OFF = frozenset({"false", "0", "no"})


def proxy_for(url: str, values: Mapping[str, str]) -> str | None:
    """The proxy for `url`; `None` for none."""
    parts = urlsplit(url)
    if values.get("DISABLE_AIOHTTP_TRUST_ENV", "").lower() == "true":
        return None
    named = {name: values.get(name.lower()) or values.get(name, "") for name in ("NO_PROXY", "ALL_PROXY")}
    if proxy_bypass_environment(parts.hostname or "", {"no": named["NO_PROXY"]}):
        return None
    own = f"{parts.scheme.upper()}_PROXY"
    proxy = values.get(own.lower()) or values.get(own, "") or named["ALL_PROXY"]
    return f"{'' if '://' in proxy else 'http://'}{proxy}" if proxy else None


def authorities_file(values: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, bool | str]:
    """Which setting says what certificates are trusted, and the file or whether any is asked for at all; an empty name
    for the usual ones."""
    for name, said in (("SSL_VERIFY", values.get("SSL_VERIFY")), ("ssl_verify", settings.get("ssl_verify"))):
        if said is not None and said != "":
            if isinstance(said, str) and Path(said).exists():
                return name, said
            if str(said).lower() in _OFF:
                return name, False
            break
    return ("SSL_CERT_FILE", values["SSL_CERT_FILE"]) if values.get("SSL_CERT_FILE") else ("", True)


def trust_of(values: Mapping[str, str], settings: Mapping[str, Any]) -> ssl.SSLContext | bool:
    """Which certificates are taken. Raises `OSError` for a file that can't be used."""
    import certifi

    _, said = authorities_file(values, settings)
    if said is False:
        return False
    return ssl.create_default_context(cafile=said if isinstance(said, str) else certifi.where())
