"""From a credential to a caller."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import BadRequest, InvalidApiKey
from scalix.service.callers import THE_OPERATOR, Caller
from scalix.service.users import MAX_USER_ID_CHARS, UserDirectory

_NO_KEY = (
    "No API key was given. Send it as 'Authorization: Bearer <key>'. "
    "The operator of this gateway issues keys; see the README for the first request."
)
_WRONG_KEY = (
    "The API key is not valid. Check for missing characters, or ask the operator of this gateway for a new one."
)


class Identity:
    """Knows the master key. Virtual keys and tokens are further kinds of credential, tried in turn."""

    def __init__(self, master_key: str, users: UserDirectory) -> None:
        self._master_digest = _digest(master_key)
        self._users = users

    def authenticate(self, token: str | None) -> Caller:
        """Whose credential this is. Raises `InvalidApiKey`."""
        if not token:
            raise InvalidApiKey(_NO_KEY)
        # Digests have one length, so the comparison takes as long for every wrong token.
        if hmac.compare_digest(_digest(token), self._master_digest):
            return THE_OPERATOR
        raise InvalidApiKey(_WRONG_KEY)

    @property
    def operator(self) -> Caller:
        """The caller that the master key is."""
        return THE_OPERATOR

    async def charged_caller(self, holder: Caller, body: Mapping[str, Any]) -> Caller:
        """Who is charged for a request with this body: the user it names, where the credential may name one."""
        user = body.get("user")
        if not holder.may_name_users or user is None:
            return holder
        return await self._users.caller(checked_user_id(user))


def checked_user_id(user: object, param: str = "user") -> str:
    """`user` if it can name a user, else `BadRequest`."""
    if not isinstance(user, str) or not user.strip() or len(user) > MAX_USER_ID_CHARS or not user.isprintable():
        raise BadRequest(f"'{param}' must be a printable text of 1 to {MAX_USER_ID_CHARS} characters.", param=param)
    return user


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
