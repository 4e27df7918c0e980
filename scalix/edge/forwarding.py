"""The way in: checks and admits a request that a provider is to answer, and has it asked, answered and settled."""

from typing import Any

from scalix.domain.errors import GatewayError
from scalix.domain.requests.betas import split_betas
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.model_fields import refusal_of_unknown
from scalix.domain.requests.routes import Route
from scalix.edge.access_log import ASKED, Asked
from scalix.edge.allowed_fields import allowed_fields
from scalix.edge.answering import Answering
from scalix.edge.asgi import Receive, Scope, Send, header
from scalix.edge.bodies import check_head, json_object, read_json
from scalix.edge.body_checks import check_body
from scalix.edge.cors import with_headers
from scalix.edge.failover import Fields, documents_refused
from scalix.edge.guard import Guard, queued_headers
from scalix.edge.outbound_urls import check_embedded
from scalix.edge.spellings import MODEL_OF_PATH
from scalix.edge.traces import join
from scalix.edge.user_header import take_user
from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.calls import Call
from scalix.service.exchange.candidates import Fallbacks
from scalix.service.exchange.object_ids import NOTHING, NamedObjects, ObjectIds, may_use_all
from scalix.service.exchange.unknown_sizes import left_out
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.tracing.request_traces import TRACE, RequestTrace

_BETAS = b"anthropic-beta"


class Forwarding:
    """Admits, forwards and settles the routes that a provider answers."""

    def __init__(
        self,
        identity: Identity,
        admission: AdmissionControl,
        guard: Guard,
        fallbacks: Fallbacks,
        ids: ObjectIds,
        answering: Answering,
    ) -> None:
        self._identity = identity
        self._admission = admission
        self._guard = guard
        self._fallbacks = fallbacks
        self._ids = ids
        self._answering = answering

    async def handle(
        self, route: Route, request_id: str, principal: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request of an authenticated caller. Raises `GatewayError`s until it is admitted."""
        trace: RequestTrace | None = scope.get(TRACE)
        if trace is not None:
            join(trace, principal)
        body = await read_json(scope, receive)
        if MODEL_OF_PATH in scope:
            body["model"] = scope[MODEL_OF_PATH]
        dropped = self._check(route, body)
        if route is Route.MESSAGES and (betas := header(scope, _BETAS)):
            dropped.add(f"anthropic-beta.{name}" for name in split_betas(betas)[1])
        fields = Fields(self._fallbacks.known, body.keys() - allowed_fields(route), dropped)
        self._fallbacks.named(body)
        take_user(self._guard.user_header, scope, principal, body)
        caller = await self._identity.charged_caller(principal, body)
        asked = scope[ASKED] = Asked(caller)
        asked.routed = await self._fallbacks.routing.route(caller, route, body)
        named = await self._named(route, caller, body)
        dropped.add(left_out(caller, body))
        candidates = self._fallbacks.candidates(caller, body.get("model"), answers=route.row.generates, alone=named.any)
        if route is Route.EMBEDDINGS:
            check_embedded(body["input"], candidates.models, may_use_all=may_use_all(caller))
        if candidates.models and (
            refused := refusal_of_unknown(model := body["model"], body, self._fallbacks.known(model, route))
        ):
            raise refused
        for asked_model in candidates.models[:1]:
            if asked_model.name == body["model"] and (error := documents_refused(route, asked_model, body)):
                raise error
        if not self._guard.lets_in(caller):
            await self._wait(caller, body, scope, receive)
            send = with_headers(send, queued_headers(scope))
        exchange = await self._admission.admit(caller, Call(request_id, route, body, named))
        asked.exchange = exchange
        exchange.routed, exchange.trace = asked.routed, trace
        await self._answering.answer(exchange, candidates, fields, scope, receive, send)

    def known_refusal(self, route: Route, principal: Caller, scope: Scope, raw: bytes) -> GatewayError | None:
        """The refusal of a request with the body `raw` whose caller is known to have no room left; else `None`.

        `handle` would raise the same, where it would not find all models of the request too busy first.
        """
        if not self._admission.may_be_refused(principal):
            return None
        check_head(scope)
        body = json_object(raw)
        self._fallbacks.named(body)
        take_user(self._guard.user_header, scope, principal, body)
        caller = self._identity.known_charged_caller(principal, body)
        error = self._admission.known_refusal(caller, body) if caller is not None else None
        if caller is None or error is None:
            return None
        self._check(route, body)
        scope[ASKED] = Asked(caller)
        if TRACE in scope:
            join(scope[TRACE], principal)
        return error

    async def _wait(self, caller: Caller, body: dict[str, Any], scope: Scope, receive: Receive) -> None:
        """Wait for a place. Raises `GatewayError`s: what is refused in any case does not wait."""
        await self._admission.allowed_model(caller, body)
        if error := self._admission.known_refusal(caller, body):
            raise error
        await self._guard.wait_for_place(caller, scope, receive)

    async def _named(self, route: Route, caller: Caller, body: dict[str, Any]) -> NamedObjects:
        if not route.row.is_chat:
            return NOTHING
        if route is Route.RESPONSES:
            await self._ids.ready()
        return await self._ids.taken(caller.subject, body)

    def _check(self, route: Route, body: dict[str, Any]) -> Dropped:
        return check_body(route, body, self._guard.extra_fields(route), strict=self._guard.settings.strict_bodies)
