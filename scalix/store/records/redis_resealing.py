"""Encrypts anew what was sealed with an older key, after a rotation of the key.

Users' names lie in the 256 shards, keys' places in one list: both are gone through with `ZSCAN`, which passes over
nobody who is there all the time. Whoever is written meanwhile is sealed with the new key anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from scalix.domain.identity.subjects import SHARDS, user_subject
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.records.sealing import CannotOpen, Sealing

START = "0:0"
_RECORDS_A_PAGE = 500
_RECORDS_A_READ = 100


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """How many records there were and how many were encrypted anew, which could not be read, and where to go on."""

    records: int
    reencrypted: int
    unreadable: tuple[str, ...]
    next_cursor: str | None


class ResealingStore(SessionStore):
    """Goes through all records that hold encrypted texts. A cursor is "place:scan cursor", the places being the shards'
    users and then the list of keys."""

    def __init__(self, session: StoreSession, sealing: Sealing) -> None:
        super().__init__(session)
        self._sealing = sealing

    async def reseal(self, cursor: str) -> Reencrypted:
        """Encrypt a page of records with the first key, from `cursor` on. Raises `ValueError` for a cursor that is
        none, and `StoreUnavailable`."""
        place_text, _, scan_text = cursor.partition(":")
        place, scan = int(place_text), int(scan_text)
        if not 0 <= place <= SHARDS or scan < 0:
            raise ValueError(cursor)
        looked_at = sealed = 0
        unreadable: list[str] = []
        while place <= SHARDS and looked_at < _RECORDS_A_PAGE:
            name = self._keys.key_list() if place == SHARDS else self._keys.all_user_names()[place]
            scan, pairs = await self._session.zscan(name, scan, count=_RECORDS_A_READ)
            members = [member for member, _ in pairs]
            found = await self._reseal(members, of_keys=place == SHARDS)
            looked_at += len(members)
            sealed += found[0]
            unreadable += found[1]
            if scan == 0:
                place += 1
        return Reencrypted(looked_at, sealed, tuple(unreadable), f"{place}:{scan}" if place <= SHARDS else None)

    async def _reseal(self, members: Sequence[str], *, of_keys: bool) -> tuple[int, list[str]]:
        """How many were sealed anew, and which can't be opened."""
        places = [self._place_of(member, of_keys=of_keys) for member in members]
        field = "record" if of_keys else "metadata"
        texts = await self._session.each("HGET", [name for name, _ in places], field)
        sealed, unreadable = 0, []
        for (name, place), text in zip(places, texts, strict=True):
            try:
                fresh = None if text is None else self._fresh(place, text, of_keys=of_keys)
            except CannotOpen:
                unreadable.append(place if of_keys else f"user:{place}")
                continue
            if fresh is not None:
                sealed += int(await self._session.run("reseal", [name], [field, text, fresh]))
        return sealed, unreadable

    def _place_of(self, member: str, *, of_keys: bool) -> tuple[str, str]:
        """The name of a record, and the place that its metadata is encrypted for."""
        if not of_keys:
            return self._keys.record(user_subject(member)), member
        key_id, _, user_id = member.partition(" ")
        return self._keys.key_record(user_subject(user_id), key_id), f"key:{key_id}"

    def _fresh(self, place: str, text: str, *, of_keys: bool) -> str | None:
        """The field as the first key encrypts it; `None` where it already does. Raises `CannotOpen`."""
        record = orjson.loads(text) if of_keys else {"metadata": text}
        kept = record["metadata"]
        if self._sealing.is_current(kept):
            return None
        metadata = self._sealing.seal(place, self._sealing.open(place, kept))
        return orjson.dumps({**record, "metadata": metadata}).decode() if of_keys else metadata
