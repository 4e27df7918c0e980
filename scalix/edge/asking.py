"""Asks the models that may serve an admitted request, one after the other, through LiteLLM's app."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

import orjson

from scalix.domain.errors import BadRequest
from scalix.domain.requests.betas import split_betas
from scalix.domain.requests.routes import Route
from scalix.edge.answers import Answer, noop
from scalix.edge.asgi import ASGIApp, Receive, Scope, header
from scalix.edge.clients import Client
from scalix.edge.failover import Attempts
from scalix.service.exchange.attempts import Lifted, ProviderError
from scalix.service.exchange.exchanges import CURRENT, Exchange
from scalix.service.exchange.settlement import Settlement

# Request headers that mean something to a provider. All others stay outside.
_FORWARDED_HEADERS = frozenset({b"anthropic-version"})
_BETAS = b"anthropic-beta"

TOO_LATE = ProviderError(504, "", kind="TimeoutException")  # what an attempt fails of that is given up

log = logging.getLogger("scalix.edge")


class Asking:
    """Hands a request to LiteLLM's app as if it had come from a client that may do no more, model after model until one
    has answered."""

    def __init__(self, app: ASGIApp, settlement: Settlement, internal_token: str) -> None:
        self._app = app
        self._settlement = settlement
        self._authorization = (b"authorization", b"Bearer " + internal_token.encode())

    async def ask(
        self,
        raw: bytes,
        exchange: Exchange,
        attempts: Attempts,
        answer: Answer,
        scope: Scope,
        receive: Receive,
    ) -> None:
        """Ask until a model has answered, or none is left. `raw` is the body that the first model is to have."""
        client = Client(receive, exchange, partial(self._settlement.free_slot, exchange))
        CURRENT.set(exchange)
        exchange.attempt.lifted = Lifted()
        try:
            async with client.watched():
                while await self._attempt(raw, attempts, exchange, answer, scope, client):
                    exchange.begin_next()
                    answer.begin(attempts.model.name)
                    raw = serialised(attempts.body())
        except asyncio.CancelledError:
            exchange.client_left = True
            raise
        except Exception as error:
            if not exchange.client_left:
                log.error(
                    "request %s: the inner app failed with %s", exchange.admission.request_id, type(error).__name__
                )
        finally:
            CURRENT.set(None)
            await answer.conclude()
            exchange.attempt.written = b""
            if exchange.client_left:
                await _hang_up(exchange)

    async def _attempt(
        self, raw: bytes, attempts: Attempts, exchange: Exchange, answer: Answer, scope: Scope, client: Client
    ) -> bool:
        """Ask one model. Whether it has failed and another one may take over."""
        attempts.goes_on = False
        inner = self._inner_scope(exchange, scope, raw)
        exchange.attempt.written = raw
        try:
            async with asyncio.timeout(attempts.patience_s()) as patience:
                answer.on_first_byte = lambda: _wait_for_ever(patience)
                exchange.attempt.on_open = lambda: _wait_longer(patience, attempts.patience_s(has_begun=True))
                await self._app(inner, client.replaying(raw), answer.send)
        except TimeoutError:
            attempts.gave_up_waiting = patience.expired()
            if attempts.gave_up_waiting and exchange.attempt.asked:
                exchange.attempt.seen.error = TOO_LATE
        except Exception as error:
            if not exchange.client_left:
                log.error(
                    "request %s: the inner app failed with %s", exchange.admission.request_id, type(error).__name__
                )
        finally:
            answer.on_first_byte, exchange.attempt.on_open = noop, lambda: None
        await answer.conclude()
        if answer.failure is None:
            if not exchange.client_left:
                attempts.answered()
            return False
        if not attempts.goes_on:
            if answer.has_started:
                attempts.note_failure(answer.failure)
            return False
        await _hang_up(exchange)
        return True

    def _inner_scope(self, exchange: Exchange, scope: Scope, raw: bytes) -> Scope:
        route = exchange.admission.route
        path = f"/v1{route.row.path}"
        headers = [
            (b"host", b"scalix"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
            self._authorization,
            *(item for item in scope["headers"] if item[0] in _FORWARDED_HEADERS),
        ]
        if route is Route.MESSAGES and (passed := split_betas(header(scope, _BETAS) or "")[0]):
            headers.append((_BETAS, ",".join(passed).encode()))
        inner = dict(scope)
        inner.update(path=path, raw_path=path.encode(), query_string=b"", root_path="", headers=headers)
        inner["scalix"] = exchange
        inner["state"] = dict(scope.get("state", ()))
        return inner


async def _wait_for_ever(patience: asyncio.Timeout) -> None:
    if patience.expired():
        await asyncio.sleep(0)  # where the cancellation that is on its way comes, before anything is sent
    patience.reschedule(None)


def _wait_longer(patience: asyncio.Timeout, seconds: float | None) -> None:
    if seconds is not None and patience.when() is not None and not patience.expired():
        patience.reschedule(asyncio.get_running_loop().time() + seconds)


async def _hang_up(exchange: Exchange) -> None:
    """On some routes LiteLLM reads a stream to its end, at our cost, after nobody wants it any more."""
    if exchange.attempt.hang_up is not None:
        with suppress(Exception):
            await exchange.attempt.hang_up()


def serialised(body: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        raise BadRequest("The request's body holds a number that is too large.") from None
