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
class Resealed:
    """A page of records: how many there were, how many of them were encrypted anew, the names of those that no key at
    hand opens, and where the next page begins (`None`: there is none)."""

    records: int
    sealed: int
    unreadable: tuple[str, ...]
    next_cursor: str | None


class ResealingStore(SessionStore):
    """Goes through all records that hold encrypted texts. A cursor is "place:scan cursor", the places being the shards'
    users and then the list of keys."""

    def __init__(self, session: StoreSession, sealing: Sealing) -> None:
        super().__init__(session)
        self._sealing = sealing

    async def reseal(self, cursor: str) -> Resealed:
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
        return Resealed(looked_at, sealed, tuple(unreadable), f"{place}:{scan}" if place <= SHARDS else None)

    async def _reseal(self, members: Sequence[str], *, of_keys: bool) -> tuple[int, list[str]]:
        """How many were sealed anew, and which can't be opened."""
        names = [self._record_of(member, of_keys=of_keys) for member in members]
        field = "record" if of_keys else "metadata"
        texts = await self._session.each("HGET", names, field)
        sealed, unreadable = 0, []
        for member, name, text in zip(members, names, texts, strict=True):
            try:
                fresh = None if text is None else self._fresh_text(member, text, of_keys=of_keys)
            except CannotOpen:
                unreadable.append(f"key:{member.partition(' ')[0]}" if of_keys else f"user:{member}")
                continue
            if fresh is not None:
                sealed += int(await self._session.run("reseal", [name], [field, text, fresh]))
        return sealed, unreadable

    def _record_of(self, member: str, *, of_keys: bool) -> str:
        key_id, _, user_id = member.partition(" ") if of_keys else ("", "", member)
        subject = user_subject(user_id)
        return self._keys.key_record(subject, key_id) if of_keys else self._keys.record(subject)

    def _fresh_text(self, member: str, text: str, *, of_keys: bool) -> str | None:
        """The field as the first key seals it; `None` where it already does. Raises `CannotOpen`."""
        if not of_keys:
            return self._fresh(member, text)
        record = orjson.loads(text)
        metadata = self._fresh(f"key:{member.partition(' ')[0]}", record["metadata"])
        return None if metadata is None else orjson.dumps({**record, "metadata": metadata}).decode()

    def _fresh(self, place: str, kept: str) -> str | None:
        return None if self._sealing.is_current(kept) else self._sealing.seal(place, self._sealing.open(place, kept))
