"""Revoking JSON Web Tokens: one by its `jti`, or all that a user has now."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from scalix.domain.errors import BadRequest
from scalix.domain.identity.token_claims import digest_of_jti, with_revoked
from scalix.service.administration.user_records import UserRecords
from scalix.service.audit.audit import Act, Actor
from scalix.service.bodies import ReadBy, RequestBody, UserId
from scalix.store.base import UserRecord

_LONGEST_JTI = 1_024
_LATEST_S = 10**11


def _digest(jti: Any, name: str) -> str:
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise BadRequest(f"'jti' must be a text of 1 to {_LONGEST_JTI} characters.", param="jti")
    return digest_of_jti(jti)


def _ends_s(ends_s: Any, name: str) -> int:
    if not isinstance(ends_s, int) or isinstance(ends_s, bool) or not 0 <= ends_s <= _LATEST_S:
        raise BadRequest("'exp' must be the token's exp, a whole number of seconds since 1970.", param="exp")
    return ends_s


class Revoke(RequestBody):
    """One token of a user, kept by its digest, or without `jti` all of the user's that were issued before now. `exp`,
    Unix time in s: until when a revoked token has to be remembered."""

    user_id: UserId
    jti: Annotated[str | None, ReadBy(_digest, {"type": "string", "minLength": 1, "maxLength": _LONGEST_JTI})] = None
    exp: Annotated[int, ReadBy(_ends_s, {"type": "integer", "minimum": 0, "maximum": _LATEST_S})] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Whether one token was revoked or all of the user's."""

    user_id: str
    revoked: Literal["one", "all"]


@dataclass(frozen=True, eq=False)
class TokenRevocation:
    """The use case behind `POST /scalix/v1/tokens/revoke`. What is revoked stands in the user's record, whose version
    every admission compares: it holds for the next request everywhere."""

    records: UserRecords
    now_ms: Callable[[], int]

    async def revoke(self, body: Revoke, by: Actor) -> Revoked:
        """Revoke what `body` says. Of more than `MAX_REVOKED_TOKENS` at a time, all of the user's tokens are revoked
        instead. Raises `UserChanging`."""
        user_id, token, ends_s = body.user_id, body.jti, body.exp
        now_ms = self.now_ms()

        def change(record: UserRecord) -> UserRecord:
            tokens = None if token is None else with_revoked(record.revoked_tokens, token, ends_s, now_ms)
            if tokens is not None:
                return replace(record, revoked_tokens=tokens)
            valid_after_ms = max(record.tokens_valid_after_ms, now_ms)
            return replace(record, tokens_valid_after_ms=valid_after_ms, revoked_tokens={})

        def act(before: UserRecord, after: UserRecord) -> Act:
            details = {"revoked": _revoked(after), "token": token}
            return Act("tokens.revoke", by, user_id, details, hides=(token,) if token else ())

        written = await self.records.change(user_id, change, act)
        return Revoked(user_id=user_id, revoked=_revoked(written))


def _revoked(record: UserRecord) -> Literal["one", "all"]:
    return "one" if record.revoked_tokens else "all"
