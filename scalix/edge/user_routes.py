"""The operators' routes of users: LiteLLM's `/user/*`, their limits, balances, tokens, and what is recorded of acts."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, NotRequired

from scalix.domain.errors import BadRequest
from scalix.edge.own_address import base_url
from scalix.edge.rows import BODY, BY, QUERY, Part, Request, Row, calls
from scalix.service.administration.administration import SHOWN_USER, NewUser, UserAdministration, UserChange, Users
from scalix.service.administration.balances import Balances, Credit
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.limit_administration import LimitAdministration, OwnLimits, Reset
from scalix.service.administration.merging import Merge, Merging
from scalix.service.administration.resealing import Reencrypt, SecretsAdministration
from scalix.service.administration.token_revocation import Revoke, TokenRevocation
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.described import Fields, Json
from scalix.service.identity.sign_ins import LinkWanted, SignIns

_OF_A_NEW_KEY = ("key", "key_name", "token", "expires")  # what `/user/new` tells of the key that it makes
MadeUser = Annotated[Json, Fields(SHOWN_USER, {NotRequired[str | None]: _OF_A_NEW_KEY})]


@dataclass(frozen=True, slots=True)
class NewUsers:
    """Makes a user, and a key of its own unless `auto_create_key`, LiteLLM's field, is false."""

    users: UserAdministration
    keys: KeyAdministration

    async def answer(self, asked: Request) -> MadeUser:
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
_ASKED_AT: Part = lambda asked: base_url(asked.scope)  # noqa: E731
_USER_IDS: Part = attrgetter("body.user_ids")
NEW_USER_ROWS: tuple[Row[NewUsers], ...] = (Row("POST", "/user/new", NewUsers.answer, body=NewUser, names_user=True),)
USER_ROWS: tuple[Row[UserAdministration], ...] = (
    Row("POST", "/user/update", calls(UserAdministration.update, BODY, BY), body=UserChange, names_user=True),
    # LiteLLM's client has both.
    Row("GET", "/user/info", calls(UserAdministration.info, _user_in), also=("/v2/user/info",), query=_BY_ID),
    Row(
        "GET",
        "/user/list",
        calls(UserAdministration.listing, QUERY),
        query=("page", "page_size", "user_ids", "cursor", "prefix"),
    ),
    Row("POST", "/user/delete", calls(UserAdministration.delete, _USER_IDS, BY), body=Users, names_user=True),
)
LIMIT_ROWS: tuple[Row[LimitAdministration], ...] = (
    Row("GET", "/user/limits", calls(LimitAdministration.show, _user_in), query=_BY_ID),
    Row("PUT", "/user/limits", calls(LimitAdministration.put, BODY, BY), body=OwnLimits, names_user=True),
    Row("POST", "/user/reset", calls(LimitAdministration.reset, BODY, BY), body=Reset, names_user=True),
    Row("GET", "/scalix/v1/shadow", calls(LimitAdministration.shadow, QUERY), query=("days",)),
)
BALANCE_ROWS: tuple[Row[Balances], ...] = (
    Row("GET", "/user/balance", calls(Balances.show, _user_in), query=_BY_ID),
    Row("POST", "/user/credit", calls(Balances.credit, BODY, BY), body=Credit, names_user=True),
)
TOKEN_ROWS: tuple[Row[TokenRevocation], ...] = (
    Row("POST", "/scalix/v1/tokens/revoke", calls(TokenRevocation.revoke, BODY, BY), body=Revoke, names_user=True),
)
LINK_ROWS: tuple[Row[SignIns], ...] = (
    Row(
        "POST", "/scalix/v1/login-link", calls(SignIns.make_link, BODY, _ASKED_AT, BY), body=LinkWanted, names_user=True
    ),
)
SECRET_ROWS: tuple[Row[SecretsAdministration], ...] = (
    Row("POST", "/scalix/v1/secrets/reencrypt", calls(SecretsAdministration.reencrypt, BODY, BY), body=Reencrypt),
)
MERGE_ROWS: tuple[Row[Merging], ...] = (
    Row("POST", "/scalix/v1/merge", calls(Merging.merge, BODY, BY), body=Merge, names_user=True),
)
_PAGED_BY = ("limit", "before", "actor", "act", "object")
AUDIT_ROWS: tuple[Row[AuditReading], ...] = (
    Row("GET", "/scalix/v1/audit", calls(AuditReading.page, QUERY), query=_PAGED_BY),
    Row("GET", "/scalix/v1/audit/chain", calls(AuditReading.chain, QUERY), query=("limit", "after")),
)
