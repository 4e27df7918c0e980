"""The routes of operators: users, their limits, what limits in the shadow would refuse."""

from typing import Any

from scalix.domain.errors import BadRequest, NotPermitted, RouteNotFound
from scalix.domain.identity.key_secrets import digest_of
from scalix.edge.asgi import CLIENT_ADDRESS, Receive, Scope, credential_of, token_of
from scalix.edge.bodies import read_json
from scalix.edge.key_routes import KEY_ROUTES, KeyRoutes
from scalix.edge.ledger_routes import LEDGER_ROUTES, LedgerRoutes
from scalix.edge.privacy_routes import PRIVACY_ROUTES, PrivacyRoutes
from scalix.edge.queries import query_of
from scalix.edge.routes import Own
from scalix.service.administration.administration import UserAdministration
from scalix.service.administration.balances import Balances
from scalix.service.administration.limit_administration import LimitAdministration
from scalix.service.administration.merging import Merging
from scalix.service.administration.resealing import SecretsAdministration
from scalix.service.administration.token_revocation import TokenRevocation
from scalix.service.audit.audit import Actor
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity

_OF_A_NEW_KEY = ("key", "key_name", "token", "expires")  # what `/user/new` tells of the key that it makes


class OperatorRoutes:
    """Answers with plain data. Every route here is the operator's alone."""

    def __init__(
        self,
        identity: Identity,
        users: UserAdministration,
        limits: LimitAdministration,
        revocation: TokenRevocation,
        merging: Merging,
        audit: AuditReading,
        keys: KeyRoutes,
        secrets: SecretsAdministration,
        privacy: PrivacyRoutes,
        ledger: LedgerRoutes,
        balances: Balances,
    ) -> None:
        self._identity = identity
        self._users = users
        self._limits = limits
        self._revocation = revocation
        self._merging = merging
        self._audit = audit
        self._keys = keys
        self._secrets = secrets
        self._privacy = privacy
        self._ledger = ledger
        self._balances = balances

    async def answer(self, target: Own, request_id: str, scope: Scope, receive: Receive) -> Any:
        """The answer to one request. Raises `GatewayError`s."""
        if target is Own.KEY_INFO and (own := await self._own_key(scope)) is not None:
            return await self._keys.info(own)
        caller = await operator_of(self._identity, scope)
        match target:
            case Own.USER_INFO:
                return await self._users.info(_user_in(scope))
            case Own.USER_LIMITS:
                return await self._limits.show(_user_in(scope))
            case Own.USER_BALANCE:
                return await self._balances.show(_user_in(scope))
            case Own.USER_LIST:
                return await self._users.listing(query_of(scope))
            case Own.AUDIT:
                return await self._audit.page(query_of(scope))
            case Own.AUDIT_CHAIN:
                return await self._audit.chain(query_of(scope))
            case Own.SHADOW:
                return await self._limits.shadow(query_of(scope).get("days"))
        by = Actor(str(caller.subject), request_id, str(scope.get(CLIENT_ADDRESS) or ""))
        if target in LEDGER_ROUTES:
            return await self._ledger.answer(target, scope, receive, by)
        if target in PRIVACY_ROUTES:
            return await self._privacy.answer(target, scope, by)
        if target in KEY_ROUTES:
            return await self._keys.answer(target, scope, receive, by)
        body = await read_json(scope, receive)
        await self._users.refuse_nobodys(body.get("user_id"), self._keys.has_keys)
        match target:
            case Own.USER_NEW:
                return await self._new_user(body, by)
            case Own.USER_UPDATE:
                return await self._users.update(body, by)
            case Own.USER_DELETE:
                return await self._users.delete(body.get("user_ids"), by)
            case Own.USER_LIMITS_PUT:
                return await self._limits.put(body, by)
            case Own.USER_RESET:
                return await self._limits.reset(body, by)
            case Own.USER_CREDIT:
                return await self._balances.credit(body, by)
            case Own.TOKENS_REVOKE:
                return await self._revocation.revoke(body, by)
            case Own.SECRETS_REENCRYPT:
                return await self._secrets.reencrypt(body, by)
            case Own.MERGE:
                return await self._merging.merge(body, by)
        raise RouteNotFound("There is no such route here. The README lists the routes.")

    async def _own_key(self, scope: Scope) -> str | None:
        """The key that sends the request, if it is what is asked for: without a name, by itself or by its SHA-256."""
        token = token_of(scope)
        principal = await self._identity.authenticate(credential_of(scope))
        if principal.key is None or not token:
            return None
        return token if query_of(scope).get("key", token) in (token, digest_of(token)) else None

    async def _new_user(self, body: dict[str, Any], by: Actor) -> dict[str, Any]:
        """A new user, with a key of its own unless `auto_create_key`, LiteLLM's field, is false."""
        wants_key = body.pop("auto_create_key", None)
        if not isinstance(wants_key, bool | None):
            raise BadRequest("'auto_create_key' must be true or false.", param="auto_create_key")
        if wants_key is False:
            return await self._users.new(body, by)
        self._keys.made({"user_id": body.get("user_id")}, by)  # a key that can't be made leaves no user behind
        made = await self._users.new(body, by)
        key = await self._keys.generate({"user_id": made["user_id"]}, by)
        return {**made, **{name: key.get(name) for name in _OF_A_NEW_KEY}}


async def operator_of(identity: Identity, scope: Scope) -> Caller:
    """The caller, if it is the operator. Raises `InvalidApiKey`, `NotPermitted`."""
    caller = await identity.authenticate(credential_of(scope))
    if not caller.may_name_users:
        refused = NotPermitted("Only the operator's key may do this.")
        refused.who = str(caller.subject)
        raise refused
    return caller


def _user_in(scope: Scope) -> str:
    user_id = query_of(scope).get("user_id")
    if user_id is None:
        raise BadRequest(f"Name the user: GET {scope['path']}?user_id=…", param="user_id")
    return user_id
