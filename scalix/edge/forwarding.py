"""The way in: hands an admitted request to LiteLLM's app as if it had come from a client that may do no more."""

import asyncio
import logging
from collections.abc import Callable

import orjson

from scalix.domain.errors import BadRequest
from scalix.domain.routes import Route
from scalix.edge.allowed_fields import NOT_FORWARDED, check_fields
from scalix.edge.answers import Answer
from scalix.edge.asgi import ASGIApp, Message, Receive, Scope, Send
from scalix.edge.bodies import read_json
from scalix.edge.delivered import CountTokens
from scalix.service.admission import Admission, Call
from scalix.service.callers import Caller
from scalix.service.exchanges import Exchange
from scalix.service.identity import Identity
from scalix.service.settlement import Settlement

PATHS = {
    Route.CHAT: "/v1/chat/completions",
    Route.COMPLETIONS: "/v1/completions",
    Route.EMBEDDINGS: "/v1/embeddings",
    Route.RESPONSES: "/v1/responses",
    Route.MESSAGES: "/v1/messages",
}
# Request headers that mean something to a provider. All others stay outside.
_FORWARDED_HEADERS = frozenset({b"anthropic-version"})

log = logging.getLogger("scalix.edge")


class Forwarding:
    """Admits, forwards and settles the routes that a provider answers."""

    def __init__(
        self,
        app: ASGIApp,
        identity: Identity,
        admission: Admission,
        settlement: Settlement,
        *,
        internal_token: str,
        count_tokens: CountTokens,
        now_ms: Callable[[], int],
    ) -> None:
        self._app = app
        self._identity = identity
        self._admission = admission
        self._settlement = settlement
        self._authorization = (b"authorization", b"Bearer " + internal_token.encode())
        self._count_tokens = count_tokens
        self._now_ms = now_ms

    async def handle(
        self, route: Route, request_id: str, holder: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request of an authenticated caller. Raises `GatewayError`s until it is admitted."""
        body = await read_json(scope, receive)
        check_fields(route, body)
        caller = await self._identity.charged_caller(holder, body)
        exchange = await self._admission.admit(caller, Call(request_id, route, body))
        answer = Answer(exchange, self._settlement, send, count_tokens=self._count_tokens, now_ms=self._now_ms)
        raw = _serialised(body)
        inner = self._inner_scope(route, exchange, scope, raw)
        try:
            await self._app(inner, _replayed(raw, exchange, receive), answer.send)
        except asyncio.CancelledError:
            exchange.client_left = True
            raise
        except Exception as error:
            log.error("request %s: the inner app failed with %s", request_id, type(error).__name__)
        finally:
            await answer.conclude()

    def _inner_scope(self, route: Route, exchange: Exchange, scope: Scope, raw: bytes) -> Scope:
        path = PATHS[route]
        headers = [
            (b"host", b"scalix"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
            self._authorization,
            *(item for item in scope["headers"] if item[0] in _FORWARDED_HEADERS),
        ]
        inner = dict(scope)
        inner.update(path=path, raw_path=path.encode(), query_string=b"", root_path="", headers=headers)
        inner["scalix"] = exchange
        inner["state"] = dict(scope.get("state", ()))
        return inner


def _serialised(body: dict[str, object]) -> bytes:
    for name in NOT_FORWARDED:
        body.pop(name, None)
    try:
        return orjson.dumps(body)
    except TypeError:
        raise BadRequest("The request's body holds a number that is too large.") from None


def _replayed(raw: bytes, exchange: Exchange, receive: Receive) -> Receive:
    """A `receive` that gives the body once, and then says when the client leaves."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": raw, "more_body": False}
        message = await receive()
        if message["type"] == "http.disconnect":
            exchange.client_left = True
        return message

    return replay
