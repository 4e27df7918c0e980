"""LiteLLM's `/key/*` routes."""

from typing import Any

from scalix.domain.errors import BadRequest, RouteNotFound
from scalix.edge.asgi import Receive, Scope
from scalix.edge.bodies import read_json
from scalix.edge.queries import query_of
from scalix.edge.routes import Own, key_in
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.audit.audit import Actor

KEY_ROUTES = frozenset(
    {
        *(Own.KEY_GENERATE, Own.KEY_INFO, Own.KEY_LIST, Own.KEY_UPDATE, Own.KEY_DELETE, Own.KEY_BLOCK),
        *(Own.KEY_UNBLOCK, Own.KEY_REGENERATE, Own.ONE_KEY_REGENERATE),
    }
)


class KeyRoutes:
    """Answers an operator's requests about virtual keys."""

    def __init__(self, keys: KeyAdministration) -> None:
        self._keys = keys
        self.has_keys = keys.has_keys
        self.generate = keys.generate
        self.made = keys.made
        self.info = keys.info

    async def answer(self, target: Own, scope: Scope, receive: Receive, by: Actor) -> Any:
        """The answer to one request. Raises `GatewayError`s."""
        match target:
            case Own.KEY_INFO:
                key = query_of(scope).get("key")
                if key is None:
                    raise BadRequest("Name the key, or better its SHA-256: GET /key/info?key=…", param="key")
                return await self._keys.info(key)
            case Own.KEY_LIST:
                return await self._keys.listing(query_of(scope))
        # LiteLLM lets a regeneration be asked for without a body.
        optional = target in (Own.KEY_REGENERATE, Own.ONE_KEY_REGENERATE)
        body = await read_json(scope, receive, optional=optional)
        match target:
            case Own.KEY_GENERATE:
                return await self._keys.generate(body, by)
            case Own.KEY_UPDATE:
                return await self._keys.update(body, by)
            case Own.KEY_DELETE:
                return await self._keys.delete(body, by)
            case Own.KEY_BLOCK:
                return await self._keys.set_blocked(body, by, blocked=True)
            case Own.KEY_UNBLOCK:
                return await self._keys.set_blocked(body, by, blocked=False)
            case Own.KEY_REGENERATE:
                return await self._keys.regenerate(None, body, by)
            case Own.ONE_KEY_REGENERATE:
                return await self._keys.regenerate(key_in(scope["path"]), body, by)
        raise RouteNotFound("There is no such route here. The README lists the routes.")
