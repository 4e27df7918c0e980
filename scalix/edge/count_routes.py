"""How many tokens a prompt has, for clients that ask before they send it: answered here, and charged to nobody."""

from contextlib import suppress
from typing import Annotated, NotRequired

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.unknown_size import path_of, unknown_size_field
from scalix.edge.asgi import credential_of
from scalix.edge.bodies import read_json
from scalix.edge.body_checks import check_body
from scalix.edge.guard import Guard
from scalix.edge.per_second import PerSecond
from scalix.edge.rows import Access, Request, Row
from scalix.edge.user_header import take_user
from scalix.service.described import Fields, Json
from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.candidates import Fallbacks
from scalix.service.exchange.token_counting import TokenCounting
from scalix.service.identity.identity import Identity
from scalix.store.base import StoreUnavailable

Counted = Annotated[Json, Fields({int: "input_tokens", NotRequired[str]: "object"})]


class CountRoutes:
    """Counts by the tokenizer of the model that is named."""

    def __init__(
        self,
        identity: Identity,
        admission: AdmissionControl,
        counting: TokenCounting,
        guard: Guard,
        fallbacks: Fallbacks,
    ) -> None:
        self._identity = identity
        self._admission = admission
        self._counting = counting
        self._guard = guard
        self._fallbacks = fallbacks
        self._pace = PerSecond("counts-second", "Tokens are counted")

    async def answer(self, route: Route, asked: Request) -> Counted:
        """The size of a prompt for `route`, whose errors are raised too: `GatewayError`s."""
        scope = asked.scope
        principal = await self._identity.authenticate(credential_of(scope))
        with self._guard.metered(scope, asked.receive, principal) as paced:
            body = await read_json(scope, paced)
            take_user(self._guard.user_header, scope, principal, body)
            caller = await self._identity.charged_caller(principal, body)
            with suppress(StoreUnavailable):  # no admission follows that would see what was revoked
                caller = caller if caller.reread is None else await caller.reread()
            self._guard.check_load(caller)
            subject = str(caller.subject)
            self._pace.note(subject)
            self._fallbacks.named(body)
            check_body(route, body, self._guard.extra_fields(route))
            await self._fallbacks.routing.route(caller, route, body)
            _, model = await self._admission.allowed_model(caller, body)
            media = Media((model.provider_model,))
            field = unknown_size_field(route, body)
            if field is None:
                size = await self._counting.size(subject, route, body, media)
                field = path_of(body, media.unmeasured[0]) if media.unmeasured else None
            if field is not None:
                message = f"'{field}' brings in what can't be counted here. Send the content itself instead."
                raise BadRequest(message, param=field)
        named = {"object": "response.input_tokens"} if route is Route.RESPONSES else {}
        return {**named, "input_tokens": size.tokens}


def _row(path: str, route: Route) -> Row[CountRoutes]:
    return Row(
        "POST",
        f"/v1{path}",
        lambda counts, asked: counts.answer(route, asked),
        Access.CALLERS,
        also=(path,),
        body_of=route,
        gives=Counted,
    )


COUNT_ROWS = (_row("/messages/count_tokens", Route.MESSAGES), _row("/responses/input_tokens", Route.RESPONSES))
