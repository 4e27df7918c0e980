"""Pages of other origins in a browser: which of them may read answers, by `cors.origins`. Off unless that names one.

Credentials of the browser (cookies) are never allowed: a page sends the key that it has been given.
"""

from collections.abc import Collection

from scalix.edge.asgi import Header, Message, Scope, Send, header

_ANY = "*"
_METHODS = b"GET, POST, PUT, DELETE, OPTIONS"
_LONGEST_KEPT_S = b"600"
_EXPOSED = (
    b"x-request-id, retry-after, x-should-retry, x-scalix-tier, x-scalix-model-served, x-scalix-dropped, "
    b"x-scalix-max-tokens, x-scalix-next-cursor, x-scalix-queued-ms, x-scalix-routed, x-scalix-shadow, "
    b"x-scalix-warning, x-ratelimit-limit-requests, "
    b"x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, ratelimit, ratelimit-policy"
)


def cors_headers(scope: Scope, origins: Collection[str]) -> list[Header]:
    """What an answer to this request says of who may read it."""
    origin = header(scope, b"origin") if origins else None
    if origin is None:
        return []
    if _ANY in origins:
        return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
    varies = (b"vary", b"origin")
    if origin not in origins:
        return [varies]
    allowed = (b"access-control-allow-origin", origin.encode("latin-1"))
    return [allowed, (b"access-control-expose-headers", _EXPOSED), varies]


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks by an `OPTIONS` what a page of another origin may send. It shows no key."""
    asks = header(scope, b"access-control-request-method")
    return asks is not None and header(scope, b"origin") is not None


async def answer_preflight(scope: Scope, send: Send) -> None:
    """Says that any request may be sent; the headers of `with_headers` say from where."""
    wanted = header(scope, b"access-control-request-headers") or ""
    headers = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", wanted.encode("latin-1")),
        (b"access-control-max-age", _LONGEST_KEPT_S),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def with_headers(send: Send, headers: list[Header]) -> Send:
    """`send` that adds them to an answer's start."""

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *headers]}
        await send(message)

    return adding
