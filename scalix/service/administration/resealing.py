"""The operator's last step of a rotation of `SCALIX_ENCRYPTION_KEY`: every record encrypted with the new key."""

import re
from typing import Annotated, Any

from scalix.domain.errors import BadRequest
from scalix.service.audit.audit import Act, Actor, AuditTrail, recorded
from scalix.service.bodies import ReadBy, RequestBody
from scalix.store.records.redis_resealing import START, Reencrypted, ResealingStore

_CURSOR = re.compile(r"[0-9]{1,3}:[0-9]{1,20}")


def _wrong_cursor() -> BadRequest:
    return BadRequest("'cursor' must be the 'next_cursor' of the answer before.", param="cursor")


def _cursor(value: Any, name: str) -> str:
    if value is None:
        return START
    if not isinstance(value, str) or not _CURSOR.fullmatch(value):
        raise _wrong_cursor()
    return value


class Reencrypt(RequestBody):
    """Where the page begins."""

    cursor: Annotated[str, ReadBy(_cursor, {"type": ["string", "null"], "pattern": _CURSOR.pattern})] = START


class SecretsAdministration:
    """`is_sealing`: there is a key to encrypt with."""

    def __init__(self, store: ResealingStore, audit: AuditTrail, *, is_sealing: bool) -> None:
        self._store = store
        self._audit = audit
        self._is_sealing = is_sealing

    async def reencrypt(self, body: Reencrypt, by: Actor) -> Reencrypted:
        """Encrypt a page of records anew; `cursor` says where it begins. Raises `BadRequest`."""
        if not self._is_sealing:
            raise BadRequest("SCALIX_ENCRYPTION_KEY is not set at this gateway, so nothing can be encrypted.")
        cursor = body.cursor
        try:
            async with recorded(self._audit, Act("secrets.reencrypt", by, "", {"cursor": cursor}, object="store")):
                return await self._store.reseal(cursor)
        except ValueError:
            raise _wrong_cursor() from None
