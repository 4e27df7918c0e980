"""LiteLLM's `/key/*` routes."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.identity.key_secrets import digest_of
from scalix.edge.asgi import credential_of, token_of
from scalix.edge.rows import BODY, BY, QUERY, Part, Request, Row, calls, operator_of
from scalix.service.administration.key_administration import FoundKey, KeyAdministration
from scalix.service.administration.key_fields import KeyChange, KeysToDelete, KeyToChange, NewKey, Regenerate
from scalix.service.identity.identity import Identity

_ONE_KEY = "/key/{key}/regenerate"
_LISTED_BY = ("page", "size", "cursor", "user_id", "key_alias", "key_hash", "return_full_object")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Tells operators about every key, and others about the key that they use."""

    keys: KeyAdministration
    identity: Identity

    async def answer(self, asked: Request) -> FoundKey:
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


def _key_in(asked: Request) -> str:
    before, after = _ONE_KEY.split("{key}")
    return str(asked.scope["path"]).removeprefix(before).removesuffix(after)


def _given(asked: Request) -> dict[str, Any]:
    return dict(asked.body.given())


_KEY: Part = attrgetter("body.key")
KEY_INFO_ROWS: tuple[Row[KeyInfo], ...] = (Row("GET", "/key/info", KeyInfo.answer, query=("key",), checks_access=True),)
KEY_ROWS: tuple[Row[KeyAdministration], ...] = (
    Row("POST", "/key/generate", calls(KeyAdministration.generate, _given, BY), body=NewKey),
    Row("GET", "/key/list", calls(KeyAdministration.listing, QUERY), query=_LISTED_BY),
    Row("POST", "/key/update", calls(KeyAdministration.update, _given, BY), body=KeyChange),
    Row("POST", "/key/delete", calls(KeyAdministration.delete, BODY, BY), body=KeysToDelete),
    Row("POST", "/key/block", calls(KeyAdministration.set_blocked, _KEY, BY, blocked=True), body=KeyToChange),
    Row("POST", "/key/unblock", calls(KeyAdministration.set_blocked, _KEY, BY, blocked=False), body=KeyToChange),
    # LiteLLM lets a regeneration be asked for without a body.
    *(
        Row("POST", path, calls(KeyAdministration.regenerate, key, _given, BY), body=Regenerate, may_be_empty=True)
        for path, key in (("/key/regenerate", _KEY), (_ONE_KEY, _key_in))
    ),
)
