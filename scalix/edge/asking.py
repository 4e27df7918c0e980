"""Asks the models that may serve an admitted request, one after the other, each through an inner app."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import orjson

from scalix.domain.engines import Engine
from scalix.domain.errors import BadRequest
from scalix.domain.requests.betas import split_betas
from scalix.domain.requests.routes import Route
from scalix.edge.answers import Answer
from scalix.edge.asgi import STREAM_PART, ASGIApp, Receive, Scope, header
from scalix.edge.clients import Client
from scalix.edge.failover import Attempts
from scalix.edge.failure_lines import NoteFailure, note_failed
from scalix.edge.patience import Patience
from scalix.edge.provider_errors import Failed
from scalix.edge.replies import Reply
from scalix.service.exchange.attempts import TOO_SLOW, Lifted, ProviderError
from scalix.service.exchange.exchanges import CURRENT, Exchange
from scalix.service.exchange.settlement import Settlement

# Request headers that mean something to a provider. All others stay outside.
_FORWARDED_HEADERS = frozenset({b"anthropic-version"})
_BETAS = b"anthropic-beta"

TOO_LATE = ProviderError(504, "", kind=TOO_SLOW)  # what an attempt fails of that is given up

AppOf = Callable[[Engine, Route], ASGIApp]

log = logging.getLogger("scalix.edge")


def noop(*_: object) -> None:
    """What is called where nobody has anything to do."""


class Asking:
    """Hands a request to an inner app as if it had come from a client that may do no more, model after model until one
    has answered.

    app_of: the inner app that is an engine on a route. It finds the exchange in its scope.
    internal_token: what LiteLLM's app knows the gateway by.
    note: writes a line for each provider's failure.
    """

    def __init__(self, app_of: AppOf, settlement: Settlement, internal_token: str, note: NoteFailure = noop) -> None:
        self._app_of = app_of
        self._settlement = settlement
        self._note = note
        self._authorization = (b"authorization", b"Bearer " + internal_token.encode())

    async def ask(
        self, exchange: Exchange, attempts: Attempts, reply_of: Callable[[str], Reply], scope: Scope, receive: Receive
    ) -> None:
        """Ask until a model has answered, or none is left, and settle. `reply_of` gives the way back from a model.
        Raises `BadRequest` for a body that can't be written."""
        raw = serialised(body := attempts.body())  # where this fails, no provider is asked, and nothing charged
        client = Client(receive, exchange, partial(self._settlement.free_slot, exchange))
        exchange.attempt.lifted = Lifted()
        exchange.write_at_once = scope.get(STREAM_PART, exchange.write_at_once)
        failures: list[Failed] = []
        answer = _answer(exchange, attempts, reply_of)
        CURRENT.set(exchange)
        try:
            async with client.watched():
                while True:
                    exchange.attempt.body, exchange.attempt.written = body, raw
                    if exchange.trace is not None:
                        exchange.trace.begin(exchange.attempt)
                    await self._attempt(exchange, attempts, answer, self._inner_scope(exchange, scope), client)
                    failure = await answer.conclude()
                    if exchange.trace is not None:
                        exchange.trace.end(failure.error_class if failure is not None else "")
                    # A stream that broke off and was settled had failed before its client went.
                    had_client = exchange.ending is not None or not exchange.client_left
                    if failure is not None and not failure.asks_anew and had_client:
                        exchange.note_failure(failure.error_class)
                        note_failed(self._note, exchange, attempts, failure)
                    if not attempts.go_on(failure):
                        break
                    await _hang_up(exchange)
                    raw = serialised(body := attempts.body())
                    if failure is not None and not failure.asks_anew:
                        failures.append(failure)
                    exchange.begin_next()
                    answer = _answer(exchange, attempts, reply_of)
        except asyncio.CancelledError:
            exchange.client_left = True
            raise
        except Exception as error:
            _note_fault(exchange, error)
        finally:
            CURRENT.set(None)
            await self._finish(exchange, answer, failures)

    async def _attempt(
        self, exchange: Exchange, attempts: Attempts, answer: Answer, inner: Scope, client: Client
    ) -> None:
        """Have one model asked."""
        attempt, patience = exchange.attempt, answer.patience
        attempt.on_open = lambda: patience.extend(attempts.patience_s(has_begun=True))
        try:
            async with patience.timer:
                app = self._app_of((attempts.deployment or attempts.model).engine, exchange.admission.route)
                with attempts.under_way():
                    await app(inner, client.replaying(attempt.written), answer.send)
        except TimeoutError:
            attempts.gave_up_waiting = patience.is_over
            if patience.is_over and attempt.asked:
                attempt.seen.error = TOO_LATE
        except Exception as error:
            _note_fault(exchange, error)
        finally:
            attempt.on_open = noop

    async def _finish(self, exchange: Exchange, answer: Answer, failures: list[Failed]) -> None:
        """Settle what is not, and say so to a client that has no answer yet."""
        try:
            failure = await answer.conclude()
            if failure is not None and exchange.ending is None:
                await answer.reply.refuse([*failures, failure])
            exchange.attempt.body, exchange.attempt.written = {}, b""
            if exchange.client_left:
                await _hang_up(exchange)
        finally:
            if exchange.ending is None:
                await answer.reply.account.settle_anyway()

    def _inner_scope(self, exchange: Exchange, scope: Scope) -> Scope:
        route = exchange.admission.route
        path = f"/v1{route.row.path}"
        headers = [
            (b"host", b"scalix"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(exchange.attempt.written)).encode()),
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


def _answer(exchange: Exchange, attempts: Attempts, reply_of: Callable[[str], Reply]) -> Answer:
    exchange.attempt.model = attempts.model.name
    exchange.attempt.deployment_id = attempts.deployment.id if attempts.deployment is not None else ""
    return Answer(reply_of(attempts.model.name), Patience(attempts.patience_s()))


def _note_fault(exchange: Exchange, error: Exception) -> None:
    if not exchange.client_left:
        log.error("request %s: the inner app failed with %s", exchange.admission.request_id, type(error).__name__)


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
