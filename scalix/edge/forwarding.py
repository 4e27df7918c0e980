"""The way in: checks and admits a request that a provider is to answer, and has it asked, answered and settled."""

import time
from collections.abc import Callable
from typing import Any

from scalix.domain.errors import GatewayError
from scalix.domain.limits.quota import Outcome
from scalix.domain.requests.betas import split_betas
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.model_fields import EVERYTHING, KnownFields, refusal_of_unknown
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.estimate import CHARGED_FRAME
from scalix.domain.tokens.media_tokens import Media
from scalix.edge.access_log import ASKED, Asked
from scalix.edge.accounts import Account, Measures
from scalix.edge.allowed_fields import allowed_fields
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.edge.answers import Answer
from scalix.edge.asgi import ASGIApp, Receive, Scope, Send, header
from scalix.edge.asking import Asking, serialised
from scalix.edge.bodies import check_head, json_object, read_json
from scalix.edge.body_checks import check_body
from scalix.edge.failover import Attempts, Fields, documents_refused
from scalix.edge.given_ids import GivenIds
from scalix.edge.guard import Guard
from scalix.edge.outbound_urls import check_embedded
from scalix.edge.spellings import MODEL_OF_PATH
from scalix.edge.user_header import take_user
from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.calls import Call
from scalix.service.exchange.candidates import Candidates, Fallbacks
from scalix.service.exchange.exchanges import Exchange
from scalix.service.exchange.hidden_work import Speeds
from scalix.service.exchange.object_ids import NOTHING, NamedObjects, ObjectIds, may_use_all
from scalix.service.exchange.settlement import Settlement
from scalix.service.exchange.token_counting import TokenCounting
from scalix.service.exchange.unknown_sizes import left_out
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity

_BETAS = b"anthropic-beta"


class Forwarding:
    """Admits, forwards and settles the routes that a provider answers."""

    def __init__(
        self,
        app: ASGIApp,
        identity: Identity,
        admission: AdmissionControl,
        settlement: Settlement,
        *,
        internal_token: str,
        counting: TokenCounting,
        now_ms: Callable[[], int],
        guard: Guard,
        fallbacks: Fallbacks,
        ids: ObjectIds,
        known: KnownFields = lambda model, route: EVERYTHING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asking = Asking(app, settlement, internal_token)
        self._identity = identity
        self._admission = admission
        self._settlement = settlement
        self._counting = counting
        self._now_ms = now_ms
        self._guard = guard
        self._fallbacks = fallbacks
        self._ids = ids
        self._known = known
        self._clock = clock
        self._speeds = Speeds()

    async def handle(
        self, route: Route, request_id: str, principal: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request of an authenticated caller. Raises `GatewayError`s until it is admitted."""
        body = await read_json(scope, receive)
        if MODEL_OF_PATH in scope:
            body["model"] = scope[MODEL_OF_PATH]
        dropped = self._check(route, body)
        if route is Route.MESSAGES and (betas := header(scope, _BETAS)):
            dropped.add(f"anthropic-beta.{name}" for name in split_betas(betas)[1])
        fields = Fields(self._known, body.keys() - allowed_fields(route), dropped)
        self._fallbacks.named(body)
        take_user(self._guard.user_header, scope, principal, body)
        caller = await self._identity.charged_caller(principal, body)
        self._guard.check_load(caller)
        asked = scope[ASKED] = Asked(caller)
        named = await self._named(route, caller, body)
        dropped.add(left_out(caller, body))
        candidates = self._fallbacks.candidates(caller, body.get("model"), answers=route.row.generates, alone=named.any)
        if route is Route.EMBEDDINGS:
            check_embedded(body["input"], candidates.models, may_use_all=may_use_all(caller))
        if candidates.models and (
            refused := refusal_of_unknown(model := body["model"], body, self._known(model, route))
        ):
            raise refused
        for asked_model in candidates.models[:1]:
            if asked_model.name == body["model"] and (error := documents_refused(route, asked_model, body)):
                raise error
        exchange = await self._admission.admit(caller, Call(request_id, route, body, named))
        asked.exchange = exchange
        try:
            await self._serve(route, exchange, caller, candidates, body, fields, scope, receive, send)
        finally:
            if exchange.ending is None:  # a fault of ours, before there was an answer that settles
                await self._settlement.settle(exchange, exchange.ended(Outcome.PROVIDER_FAILED))

    async def _serve(
        self,
        route: Route,
        exchange: Exchange,
        caller: Caller,
        candidates: Candidates,
        body: dict[str, Any],
        fields: Fields,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        serving = exchange.admission.offer.serving
        if serving is not None and not serving.issuperset(model.name for model in candidates.models):
            # The record, and maybe the tier, was another than the one cached, or there is no money for those that cost.
            candidates = self._fallbacks.narrowed(
                candidates, exchange.admission.caller, serving, answers=route.row.generates
            )
        attempts = Attempts(candidates, self._fallbacks.cooldowns, exchange, body, clock=self._clock, fields=fields)
        subject = str(exchange.admission.caller.subject)

        async def count(model: str, text: str) -> int:
            known = exchange.admission.offer.models.get(model)
            return await self._counting.count(subject, known.provider_model if known else model, text)

        async def count_prompt() -> int:
            media = Media((attempts.model.provider_model,))
            return (await self._counting.size(subject, route, body, media, frame=CHARGED_FRAME)).tokens

        ids = GivenIds(route, give) if (give := self._ids.giver(caller.subject)) else None
        with_usage = _ask_for_usage(route, body)

        def repairs(model: str) -> AnswerRepairs:
            return AnswerRepairs(exchange, model, body, lambda: self._now_ms() // 1000, with_usage=with_usage, ids=ids)

        measures = Measures(count, count_prompt, self._speeds, lambda: attempts.model.thinks)
        answer = Answer(
            exchange,
            send,
            account=lambda model: Account(exchange, model, self._settlement, measures),
            repairs=repairs,
            now_ms=self._now_ms,
            is_followed=attempts.is_followed,
        )
        answer.begin(attempts.model.name)
        raw = serialised(attempts.body())  # where this fails, no provider is asked, and nothing charged
        try:
            await self._asking.ask(raw, exchange, attempts, answer, scope, receive)
        finally:
            await answer.settle_anyway()

    def known_refusal(self, route: Route, principal: Caller, scope: Scope, raw: bytes) -> GatewayError | None:
        """The refusal of a request with the body `raw` whose caller is known to have no room left; else `None`.

        `handle` would raise the same, where it would not find the gateway or all models of the request too busy first.
        """
        if principal.may_name_users:
            if not self._admission.knows_refused:
                return None
        elif not self._admission.is_refused(principal):
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
        self._guard.check_load(caller)
        scope[ASKED] = Asked(caller)
        return error

    async def _named(self, route: Route, caller: Caller, body: dict[str, Any]) -> NamedObjects:
        if not route.row.is_chat:
            return NOTHING
        if route is Route.RESPONSES:
            await self._ids.ready()
        return await self._ids.taken(caller.subject, body)

    def _check(self, route: Route, body: dict[str, Any]) -> Dropped:
        return check_body(route, body, self._guard.extra_fields(route), strict=self._guard.settings.strict_bodies)


def _ask_for_usage(route: Route, body: dict[str, Any]) -> bool:
    """Have the provider state the usage of a streamed completion, which LiteLLM does for chat alone.

    Returns whether the client has asked for the usage of a stream.
    """
    if body.get("stream") is not True:
        return False
    given = body.get("stream_options")
    options = given if isinstance(given, dict) else {}
    if route is Route.COMPLETIONS:
        body["stream_options"] = {**options, "include_usage": True}
    return options.get("include_usage") is True
