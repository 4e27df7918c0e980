"""The routes that the edge answers itself: models, users, health."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from scalix.domain.errors import BadRequest, ModelNotFound, NotPermitted
from scalix.edge.asgi import Receive, Scope, Send, credential_of, send_json, token_of
from scalix.edge.bodies import read_json
from scalix.edge.routes import Own, model_in
from scalix.service.administration import UserAdministration
from scalix.service.callers import Caller
from scalix.service.identity import Identity
from scalix.service.policy_source import PolicySource

Check = Callable[[], Awaitable[Any]]


class OwnRoutes:
    """`ready` says whether the store answers and LiteLLM is up; `check_models` is LiteLLM's own model check."""

    def __init__(
        self,
        identity: Identity,
        administration: UserAdministration,
        policy: PolicySource,
        *,
        ready: Callable[[], Awaitable[Mapping[str, str]]],
        check_models: Check,
        version: str,
    ) -> None:
        self._identity = identity
        self._administration = administration
        self._policy = policy
        self._ready = ready
        self._check_models = check_models
        self._version = version

    async def handle(self, target: Own, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises `GatewayError`s."""
        headers = [(b"x-request-id", request_id.encode())]
        status = 200
        match target:
            case Own.LIVELINESS:
                answer: Any = {"status": "alive"}
            case Own.READINESS:
                parts = await self._ready()
                status = 200 if set(parts.values()) == {"ok"} else 503
                answer = {"status": "ready" if status == 200 else "not ready", **parts}
            case Own.HEALTH:
                answer = await self._health(scope)
            case Own.MODELS:
                answer = {"object": "list", "data": [_model(name) for name in await self._models_of(scope)]}
            case Own.MODEL:
                answer = await self._one_model(scope)
            case _:
                answer = await self._users(target, scope, receive)
        await send_json(send, answer, status, headers)

    async def _health(self, scope: Scope) -> Any:
        token = token_of(scope)
        if token is None:
            return {"status": "ok", "version": self._version}
        await self._operator(scope)
        return await self._check_models()

    async def _models_of(self, scope: Scope) -> list[str]:
        caller = await self._charged(scope)
        return [name for name in self._policy.current.models if caller.allows(name)]

    async def _one_model(self, scope: Scope) -> dict[str, Any]:
        name = model_in(scope["path"])
        if name not in await self._models_of(scope):
            message = f"The model '{name[:100]}' does not exist here, or your tier does not have it."
            raise ModelNotFound(message, param="model")
        return _model(name)

    async def _charged(self, scope: Scope) -> Caller:
        holder = await self._identity.authenticate(credential_of(scope))
        return await self._identity.charged_caller(holder, _query(scope))

    async def _users(self, target: Own, scope: Scope, receive: Receive) -> Any:
        await self._operator(scope)
        if target is Own.USER_INFO:
            user_id = _query(scope).get("user_id")
            if user_id is None:
                raise BadRequest("Name the user: GET /user/info?user_id=…", param="user_id")
            return await self._administration.info(user_id)
        body = await read_json(scope, receive)
        if target is Own.USER_NEW:
            return await self._administration.new(body)
        if target is Own.USER_UPDATE:
            return await self._administration.update(body)
        return await self._administration.delete(body.get("user_ids"))

    async def _operator(self, scope: Scope) -> Caller:
        caller = await self._identity.authenticate(credential_of(scope))
        if not caller.may_name_users:
            raise NotPermitted("Only the operator's key may do this.")
        return caller


def _query(scope: Scope) -> dict[str, str]:
    parsed = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    return {name: values[0] for name, values in parsed.items()}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scalix"}
