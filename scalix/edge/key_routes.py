"""LiteLLM's `/key/*` routes."""

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.identity.key_secrets import digest_of
from scalix.edge.asgi import credential_of, token_of
from scalix.edge.rows import Request, Row, operator_of
from scalix.service.administration.key_administration import DeletedKeys, KeyAdministration
from scalix.service.administration.key_fields import KeyChange, KeysToDelete, KeyToChange, NewKey, Regenerate
from scalix.service.identity.identity import Identity

_ONE_KEY = "/key/{key}/regenerate"
_LISTED_BY = ("page", "size", "user_id", "key_alias", "key_hash", "return_full_object")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Tells operators about every key, and others about the key that they use."""

    keys: KeyAdministration
    identity: Identity

    async def answer(self, asked: Request) -> dict[str, Any]:
        """Raises `BadRequest`, `InvalidApiKey`, `KeyNotFound`, `NotPermitted`."""
        key = asked.query.get("key")
        token = token_of(asked.scope)
        caller = await self.identity.authenticate(credential_of(asked.scope))
        if caller.key is not None and token and key in (None, token, digest_of(token)):
            return await self.keys.info(token)
        await operator_of(self.identity, asked.scope)
        if key is None:
            raise BadRequest("Name the key, or better its SHA-256: GET /key/info?key=…", param="key")
        return await self.keys.info(key)


def _regenerate_one(keys: KeyAdministration, asked: Request) -> Awaitable[dict[str, Any]]:
    before, after = _ONE_KEY.split("{key}")
    key = asked.scope["path"].removeprefix(before).removesuffix(after)
    return keys.regenerate(key, asked.body.given(), asked.by)


def _set_blocked(keys: KeyAdministration, asked: Request, *, blocked: bool) -> Awaitable[dict[str, Any]]:
    return keys.set_blocked(asked.body.key, asked.by, blocked=blocked)


KEY_INFO_ROWS: tuple[Row[KeyInfo], ...] = (Row("GET", "/key/info", KeyInfo.answer, query=("key",), checks_access=True),)
KEY_ROWS: tuple[Row[KeyAdministration], ...] = (
    Row("POST", "/key/generate", lambda keys, asked: keys.generate(asked.body.given(), asked.by), body=NewKey),
    Row("GET", "/key/list", lambda keys, asked: keys.listing(asked.query), query=_LISTED_BY),
    Row("POST", "/key/update", lambda keys, asked: keys.update(asked.body.given(), asked.by), body=KeyChange),
    Row(
        "POST",
        "/key/delete",
        lambda keys, asked: keys.delete(asked.body, asked.by),
        body=KeysToDelete,
        gives=DeletedKeys,
    ),
    *(
        Row("POST", f"/key/{word}", partial(_set_blocked, blocked=blocked), body=KeyToChange)
        for word, blocked in (("block", True), ("unblock", False))
    ),
    # LiteLLM lets a regeneration be asked for without a body.
    Row(
        "POST",
        "/key/regenerate",
        lambda keys, asked: keys.regenerate(None, asked.body.given(), asked.by),
        body=Regenerate,
        may_be_empty=True,
    ),
    Row("POST", _ONE_KEY, _regenerate_one, body=Regenerate, may_be_empty=True),
)
