"""The gateway's own address as a client knows it: what is shown to be called or opened begins with it."""

import re2

from scalix.edge.asgi import API_PORT, VIA_TRUSTED, Scope, header

_HOST = re2.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?")
_UNKNOWN = "127.0.0.1:4000"


def is_secure(scope: Scope) -> bool:
    """Whether the client speaks TLS: with us, or with a proxy that we trust."""
    return scope.get("scheme") == "https" or _said_by_proxy(scope, b"x-forwarded-proto").lower() == "https"


def base_url(scope: Scope, configured: str | None = None) -> str:
    """Where a client has called, such as `https://ai.example.com`, without a path; at a port that has pages alone, the
    API's beside it. What is `configured` counts first."""
    if configured:
        return configured.rstrip("/")
    found = _HOST.fullmatch(_said_by_proxy(scope, b"x-forwarded-host") or header(scope, b"host") or "")
    host = found[0] if found else _UNKNOWN
    if found and API_PORT in scope:
        host = f"{found[1]}:{scope[API_PORT]}"
    return f"{'https' if is_secure(scope) else 'http'}://{host}"


def _said_by_proxy(scope: Scope, name: bytes) -> str:
    """What the first of several proxies has said, where the last one is trusted."""
    return (header(scope, name) or "").split(",")[0].strip() if scope.get(VIA_TRUSTED) else ""
