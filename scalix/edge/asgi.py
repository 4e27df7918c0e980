"""The few ASGI words that this package uses, and answers made of one start and one body."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import lru_cache, partial
from typing import Any

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import GatewayError, MethodNotAllowed
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
# Where a scope says that a trusted proxy has passed it on, and, at a port that has pages alone, which is the API's.
VIA_TRUSTED, API_PORT = "scalix_via_trusted", "scalix_api_port"
# Where `ClientAddresses` notes in a scope whose address it is: an `Address`, or `None`.
CLIENT_ADDRESS = "scalix_client_address"
# Where a server may have put a function of status, headers and body that writes them at once, and says whether it has.
WHOLE_ANSWER = "scalix.whole_answer"
# Where a server may have put a function that writes a part of an answer which has begun, and says whether it has.
STREAM_PART = "scalix.stream_part"
_KEY_HEADERS = (b"x-api-key", b"api-key")


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a request header given once; `name` is lower case. The first one of several."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def method_of(scope: Scope) -> str:
    """By which method a request is answered: a `HEAD` as the `GET` of which the server leaves the body out."""
    return "GET" if scope["method"] == "HEAD" else str(scope["method"])


def not_taken(path: str, method: str, methods: Iterable[str]) -> MethodNotAllowed:
    """The refusal of a method that a path does not take."""
    refused = MethodNotAllowed(f"{path} takes {' or '.join(methods)}, not {method[:20]}.")
    refused.allow = tuple(one for named in methods for one in ((named, "HEAD") if named == "GET" else (named,)))
    return refused


def token_of(scope: Scope) -> str | None:
    """The credential: `Authorization: Bearer …`, else `x-api-key` as Anthropic's SDK sends it, else Azure's `api-key`.
    `None` if there is none; the empty text for another scheme than Bearer, which is a credential, but no right one."""
    authorization = header(scope, b"authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    return next((key for name in _KEY_HEADERS if (key := header(scope, name)) is not None), None)


def second_token_of(scope: Scope) -> str | None:
    """A credential beside that of `token_of`, which does not count; `None` if there is none, or the same again."""
    first = token_of(scope)
    keys = [header(scope, name) for name in _KEY_HEADERS]
    return next((key for key in keys if key is not None and key.strip() != (first or "").strip()), None)


class ClientSend:
    """The `send` of one request, which notes its `status`, 0 before there is one. A whole answer goes out in one write
    where the server can."""

    __slots__ = ("_at_once", "_send", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self.status = 0
        self._send = send
        self._at_once: Callable[[int, Sequence[Header], bytes], bool] | None = scope.get(WHOLE_ANSWER)

    async def __call__(self, message: Message) -> None:
        self.status = self.status or message.get("status", 0)
        await self._send(message)

    def has_sent(self, status: int, headers: Sequence[Header], body: bytes) -> bool:
        """Send a whole answer in one write. Whether it was sent: nothing was, where not."""
        if self._at_once is None or not self._at_once(status, headers, body):
            return False
        self.status = self.status or status
        return True


async def send_bytes(
    send: Send, status: int, body: bytes, headers: Iterable[Header] = (), content_type: bytes = JSON
) -> None:
    """One whole answer."""
    headers = [(b"content-type", content_type), *headers]
    if isinstance(send, ClientSend) and send.has_sent(status, headers, body):
        return
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


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
    version = scope.get("http_version", "1.1")
    return client is not None and is_sent_from_here(client[0], scope["headers"], version)


def address_of(scope: Scope) -> str:
    """The address of a request's sender as `ClientAddresses` noted it; empty where it is not known."""
    return _text(scope.get(CLIENT_ADDRESS))


@lru_cache(maxsize=8_192)
def _text(address: Address | None) -> str:
    return str(address or "")


def is_anthropics(scope: Scope) -> bool:
    """Whether a request is one of Anthropic's API: by its path, or of a path of both by the client's word."""
    path = scope["path"]
    if path.endswith(("/messages", "/messages/count_tokens")):
        return True
    return path.startswith(("/v1/models", "/models")) and header(scope, b"anthropic-version") is not None
