"""The operator's last step of a rotation of `SCALIX_ENCRYPTION_KEY`: every record encrypted with the new key."""

import re
from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.service.administration.user_records import refuse_unknown_fields
from scalix.service.audit.audit import Act, Actor, AuditTrail, recorded
from scalix.store.records.redis_resealing import START, ResealingStore

_CURSOR = re.compile(r"[0-9]{1,3}:[0-9]{1,20}")
_FIELDS = frozenset({"cursor"})


class SecretsAdministration:
    """`is_sealing`: there is a key to encrypt with."""

    def __init__(self, store: ResealingStore, audit: AuditTrail, *, is_sealing: bool) -> None:
        self._store = store
        self._audit = audit
        self._is_sealing = is_sealing

    async def reencrypt(self, body: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        """Encrypt a page of records anew; `cursor` says where it begins. Raises `BadRequest`."""
        refuse_unknown_fields(body, _FIELDS)
        if not self._is_sealing:
            raise BadRequest("SCALIX_ENCRYPTION_KEY is not set at this gateway, so nothing can be encrypted.")
        cursor = START if body.get("cursor") is None else body["cursor"]
        wrong = BadRequest("'cursor' must be the 'next_cursor' of the answer before.", param="cursor")
        if not isinstance(cursor, str) or not _CURSOR.fullmatch(cursor):
            raise wrong
        try:
            async with recorded(self._audit, Act("secrets.reencrypt", by, "", {"cursor": cursor}, object="store")):
                page = await self._store.reseal(cursor)
        except ValueError:
            raise wrong from None
        return {
            "records": page.records,
            "reencrypted": page.sealed,
            "unreadable": list(page.unreadable),
            "next_cursor": page.next_cursor,
        }
