"""The few ASGI words that this package uses, and answers made of one start and one body."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache, partial
from typing import Any

import orjson

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import GatewayError
from scalix.domain.identity.addresses import Address, is_sent_from_here
from scalix.edge.errors import error_body, error_headers
from scalix.service.identity.identity import Credential

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"
# Where `ClientAddresses` notes in a scope whose address it is: an `Address`, or `None`.
CLIENT_ADDRESS = "scalix_client_address"
# Where a server may have put a function of status, headers and body that writes them at once, and says whether it has.
_WHOLE_ANSWER = "scalix.whole_answer"
_JSON_TYPE = (b"content-type", JSON)


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a request header given once; `name` is lower case. The first one of several."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def token_of(scope: Scope) -> str | None:
    """The credential: `Authorization: Bearer …`, or `x-api-key` as Anthropic's SDK sends it. `None` if there is none;
    the empty text for another scheme than Bearer, which is a credential, but no right one."""
    authorization = header(scope, b"authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    return header(scope, b"x-api-key")


async def send_bytes(
    send: Send, status: int, body: bytes, headers: Iterable[Header] = (), content_type: bytes = JSON
) -> None:
    """One whole answer."""
    fixed = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def answer_whole(scope: Scope, send: Send, status: int, body: bytes, headers: Iterable[Header] = ()) -> None:
    """One whole answer of JSON, in one write where the server can."""
    at_once = scope.get(_WHOLE_ANSWER)
    if at_once is None or not at_once(status, (_JSON_TYPE, *headers), body):
        await send_bytes(send, status, body, headers)


async def send_json(send: Send, value: Any, status: int = 200, headers: Iterable[Header] = ()) -> None:
    """One whole answer, as JSON."""
    await send_bytes(send, status, orjson.dumps(value), headers)


async def send_error(
    send: Send, error: GatewayError, headers: Iterable[Header] = (), *, anthropic: bool = False
) -> None:
    """One error, in the shape of the route's API."""
    body = error_body(error, anthropic=anthropic)
    await send_bytes(send, status_of(error), body, [*error_headers(error), *headers])


def credential_of(scope: Scope) -> Credential:
    """The token and the address of a request's sender, the latter as `ClientAddresses` noted it."""
    return Credential(token_of(scope), address_of(scope), partial(_is_from_here, scope))


def _is_from_here(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and is_sent_from_here(client[0], scope["headers"])


def address_of(scope: Scope) -> str:
    """The address of a request's sender as `ClientAddresses` noted it; empty where it is not known."""
    return _text(scope.get(CLIENT_ADDRESS))


@lru_cache(maxsize=8_192)
def _text(address: Address | None) -> str:
    return str(address or "")
