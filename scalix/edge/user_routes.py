"""The operators' routes of users: LiteLLM's `/user/*`, their limits, balances, tokens, and what is recorded of acts."""

from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.edge.rows import Request, Row
from scalix.service.administration.administration import DeletedUsers, NewUser, UserAdministration, UserChange, Users
from scalix.service.administration.balances import Balances, Credit, Credited, ShownBalance
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.limit_administration import LimitAdministration, OwnLimits, Reset, Shadow
from scalix.service.administration.merging import Merge, Merged, Merging
from scalix.service.administration.resealing import Reencrypt, Reencrypted, SecretsAdministration
from scalix.service.administration.token_revocation import Revoke, Revoked, TokenRevocation
from scalix.service.audit.audit_reading import AuditReading

_OF_A_NEW_KEY = ("key", "key_name", "token", "expires")  # what `/user/new` tells of the key that it makes


@dataclass(frozen=True, slots=True)
class NewUsers:
    """Makes a user, and a key of its own unless `auto_create_key`, LiteLLM's field, is false."""

    users: UserAdministration
    keys: KeyAdministration

    async def answer(self, asked: Request) -> dict[str, Any]:
        """Raises `GatewayError`s."""
        body: NewUser = asked.body
        if not body.auto_create_key:
            return await self.users.new(body, asked.by)
        self.keys.made({"user_id": body.user_id or None}, asked.by)  # a key that can't be made leaves no user behind
        made = await self.users.new(body, asked.by)
        key = await self.keys.generate({"user_id": made["user_id"]}, asked.by)
        return {**made, **{name: key.get(name) for name in _OF_A_NEW_KEY}}


def _user_in(asked: Request) -> str:
    user_id = asked.query.get("user_id")
    if user_id is None:
        raise BadRequest(f"Name the user: GET {asked.scope['path']}?user_id=…", param="user_id")
    return user_id


_BY_ID = ("user_id",)
NEW_USER_ROWS: tuple[Row[NewUsers], ...] = (Row("POST", "/user/new", NewUsers.answer, body=NewUser, names_user=True),)
USER_ROWS: tuple[Row[UserAdministration], ...] = (
    Row(
        "POST",
        "/user/update",
        lambda users, asked: users.update(asked.body, asked.by),
        body=UserChange,
        names_user=True,
    ),
    # LiteLLM's client has both.
    Row("GET", "/user/info", lambda users, asked: users.info(_user_in(asked)), also=("/v2/user/info",), query=_BY_ID),
    Row("GET", "/user/list", lambda users, asked: users.listing(asked.query), query=("page", "page_size", "user_ids")),
    Row(
        "POST",
        "/user/delete",
        lambda users, asked: users.delete(asked.body.user_ids, asked.by),
        body=Users,
        gives=DeletedUsers,
        names_user=True,
    ),
)
LIMIT_ROWS: tuple[Row[LimitAdministration], ...] = (
    Row("GET", "/user/limits", lambda limits, asked: limits.show(_user_in(asked)), query=_BY_ID),
    Row("PUT", "/user/limits", lambda limits, asked: limits.put(asked.body, asked.by), body=OwnLimits, names_user=True),
    Row("POST", "/user/reset", lambda limits, asked: limits.reset(asked.body, asked.by), body=Reset, names_user=True),
    Row("GET", "/scalix/v1/shadow", lambda limits, asked: limits.shadow(asked.query), query=("days",), gives=Shadow),
)
BALANCE_ROWS: tuple[Row[Balances], ...] = (
    Row(
        "GET", "/user/balance", lambda balances, asked: balances.show(_user_in(asked)), query=_BY_ID, gives=ShownBalance
    ),
    Row(
        "POST",
        "/user/credit",
        lambda balances, asked: balances.credit(asked.body, asked.by),
        body=Credit,
        gives=Credited,
        names_user=True,
    ),
)
TOKEN_ROWS: tuple[Row[TokenRevocation], ...] = (
    Row(
        "POST",
        "/scalix/v1/tokens/revoke",
        lambda tokens, asked: tokens.revoke(asked.body, asked.by),
        body=Revoke,
        gives=Revoked,
        names_user=True,
    ),
)
SECRET_ROWS: tuple[Row[SecretsAdministration], ...] = (
    Row(
        "POST",
        "/scalix/v1/secrets/reencrypt",
        lambda secrets, asked: secrets.reencrypt(asked.body, asked.by),
        body=Reencrypt,
        gives=Reencrypted,
    ),
)
MERGE_ROWS: tuple[Row[Merging], ...] = (
    Row(
        "POST",
        "/scalix/v1/merge",
        lambda merging, asked: merging.merge(asked.body, asked.by),
        body=Merge,
        gives=Merged,
        names_user=True,
    ),
)
AUDIT_ROWS: tuple[Row[AuditReading], ...] = (
    Row(
        "GET",
        "/scalix/v1/audit",
        lambda audit, asked: audit.page(asked.query),
        query=("limit", "before", "actor", "act", "object"),
    ),
    Row("GET", "/scalix/v1/audit/chain", lambda audit, asked: audit.chain(asked.query), query=("limit", "after")),
)
