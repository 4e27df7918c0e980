"""The routes that the edge answers itself: models, health, and by `operator_routes` what operators do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import re2

from scalix.domain.errors import InvalidApiKey, ModelNotFound
from scalix.domain.policy import Model
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.domain.requests.model_names import did_you_mean
from scalix.edge.asgi import Receive, Scope, Send, credential_of, header, is_anthropics, send_bytes, send_json, token_of
from scalix.edge.count_routes import CountRoutes
from scalix.edge.model_views import anthropics, listed, litellms, litellms_group, openais
from scalix.edge.operator_routes import OperatorRoutes, operator_of
from scalix.edge.queries import query_of
from scalix.edge.routes import Own, model_in
from scalix.edge.tables import Page
from scalix.edge.user_header import take_user
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable

_HOST = re2.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")

Check = Callable[[], Awaitable[Any]]
Pages = Mapping[Own, Callable[[Own, Scope], Awaitable[Page]]]


class OwnRoutes:
    """`ready` says whether the store answers and LiteLLM is up; `check_models` is LiteLLM's own model check.

    `facts` completes a configured model with what else is known of it. `pages` answer the routes that have more than
    JSON to give.
    """

    def __init__(
        self,
        identity: Identity,
        operators: OperatorRoutes,
        policy: PolicySource,
        counts: CountRoutes,
        *,
        ready: Callable[[], Awaitable[Mapping[str, str | int]]],
        check_models: Check,
        version: str,
        facts: Callable[[Model], Model] = lambda model: model,
        pages: Pages | None = None,
    ) -> None:
        self._identity = identity
        self._operators = operators
        self._policy = policy
        self._counts = counts
        self._ready = ready
        self._check_models = check_models
        self._version = version
        self._facts = facts
        self._pages = pages or {}

    async def handle(self, target: Own, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises `GatewayError`s."""
        headers = [(b"x-request-id", request_id.encode())]
        status = 200
        page_of = self._pages.get(target)
        if page_of is not None:
            page = await page_of(target, scope)
            await send_bytes(send, status, page.body, [*headers, *page.headers], page.content_type)
            return
        match target:
            case Own.LIVELINESS:
                answer: Any = {"status": "alive"}
            case Own.READINESS:
                parts = await self._ready()
                status = 200 if all(value == "ok" for value in parts.values() if isinstance(value, str)) else 503
                answer = {"status": "ready" if status == 200 else "not ready", **parts}
            case Own.HEALTH:
                answer = await self._health(scope)
            case Own.MODELS:
                answer = listed(list(await self._models_of(scope)), anthropic=is_anthropics(scope))
            case Own.COUNT_MESSAGE | Own.COUNT_RESPONSE:
                answer = await self._counts.answer(target, scope, receive)
            case Own.MODEL_INFO | Own.MODEL_GROUP_INFO:
                view = litellms if target is Own.MODEL_INFO else litellms_group
                answer = {"data": [view(self._facts(model)) for model in (await self._models_of(scope)).values()]}
            case Own.MODEL:
                answer = await self._one_model(scope)
            case _:
                answer = await self._operators.answer(target, request_id, scope, receive)
        await send_json(send, answer, status, headers)

    async def _health(self, scope: Scope) -> Any:
        token = token_of(scope)
        if token is None:
            return {"status": "ok", "version": self._version}
        await self._operator(scope)
        return await self._check_models()

    async def _models_of(self, scope: Scope, asked: str = "") -> dict[str, Model]:
        """By their names, and second names, the models in service that the caller may use; a wildcard's is among them
        where it is `asked` for."""
        caller = await self._charged(scope)
        policy = self._policy.current
        models = {name: model for name, model in policy.models_with(asked).items() if caller.allows(name)}
        others = {alias: replace(models[name], name=alias) for alias, name in policy.aliases.items() if name in models}
        return {**models, **others}

    async def _one_model(self, scope: Scope) -> dict[str, Any]:
        name = model_in(scope["path"])
        models = await self._models_of(scope, name)
        if name not in models:
            meant = did_you_mean(name, models)
            message = (
                f"The model '{shown_text(name)}' does not exist here, or your tier does not have it. {meant}".strip()
            )
            raise ModelNotFound(message, param="model")
        return anthropics(name) if is_anthropics(scope) else openais(name)

    async def _charged(self, scope: Scope) -> Caller:
        try:
            principal = await self._identity.authenticate(credential_of(scope))
        except InvalidApiKey as error:
            raise _with_example(error, scope) from None
        named: dict[str, Any] = dict(query_of(scope))
        take_user(self._policy.current.guard.user_header, scope, principal, named)
        caller = await self._identity.charged_caller(principal, named)
        try:
            # No admission follows that would compare versions, so what was revoked must show here.
            return caller if caller.reread is None else await caller.reread()
        except StoreUnavailable:
            return caller

    async def _operator(self, scope: Scope) -> Caller:
        return await operator_of(self._identity, scope)


def _with_example(error: InvalidApiKey, scope: Scope) -> InvalidApiKey:
    """The error of who asks for the models, often in a browser or before anything else: with a request to paste."""
    host = header(scope, b"host") or ""
    base = f"{scope.get('scheme', 'http')}://{host if _HOST.fullmatch(host) else '127.0.0.1:4000'}"
    fresh = error.anew()
    fresh.answers = None
    fresh.message += f' For example: curl {base}/v1/models -H "Authorization: Bearer <key>"'
    return fresh
