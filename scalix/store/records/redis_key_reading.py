"""Reads virtual keys from Redis or Valkey: one, or lists of them. Where their parts lie: see redis_keys.py."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from scalix.domain.identity.subjects import user_subject
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyWindow, budget_start_ms
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import UNKNOWN_VERSION, KeyTallies, Tally
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.records.sealing import SealedMetadata, Sealing

CLAIM_MS = 60_000
"""How long a key may be named before its record is written."""
_PAGE = 100
MOST_IN_ORDER = 256
"""Up to here a user's keys are in the order of their making; beyond, in the server's, of which a page reads its own."""
_FROM_HERE = "-"  # before every id
_LISTS = ("models", "allowed_ips", "denied_ips")


class KeyPlace(NamedTuple):
    """Where a key stands among others: when it was made (Unix time in ms), and its id."""

    made_ms: int
    name: str


class KeyPage(NamedTuple):
    """Some keys of `total`, and the place of the last one where there are more."""

    records: list[KeyRecord]
    total: int
    rest: KeyPlace | None


class KeyReader(SessionStore):
    """Virtual keys' records and use. Every method may raise `StoreUnavailable`. `sealing` encrypts their metadata."""

    def __init__(self, session: StoreSession, *, sealing: Sealing | None = None) -> None:
        super().__init__(session)
        self._metadata = SealedMetadata(sealing, "keys")

    async def find(self, digest: str) -> KeyRecord | None:
        """The key that has, or had, the secret with this SHA-256; whether it still works the record says."""
        return await self._follow(self._keys.secret(digest))

    async def find_alias(self, alias: str) -> KeyRecord | None:
        """The key with this alias."""
        record = await self._follow(self._keys.alias(alias))
        return record if record is not None and record.alias == alias else None

    async def get(self, key_id: str, user_id: str) -> KeyRecord | None:
        """A key of which it is known whose it is. One round trip."""
        fields = await self._session.hgetall(self._keys.key_record(user_subject(user_id), key_id))
        return self._record(key_id, user_id, fields)

    async def versions(self, key_id: str, user_id: str) -> tuple[str, str]:
        """The versions of a key's and its user's record (`"0"`: there is none), which say whether either has changed.
        One round trip, and much less to read than `get`."""
        subject = user_subject(user_id)
        batch = self._session.batch()
        batch.hget(self._keys.key_record(subject, key_id), "version")
        batch.hget(self._keys.record(subject), "version")
        key, user = await batch.execute()
        return key or UNKNOWN_VERSION, user or UNKNOWN_VERSION

    async def page(self, first: int, most: int, user_id: str | None = None) -> tuple[int, list[KeyRecord]]:
        """How many keys there are, of one user or of all, and up to `most` of them after the `first` ones, the newest
        first."""
        if user_id is not None:
            places = await self._places_of(user_id)
            return len(places), await self.some([(one.name, user_id) for one in places[first : first + most]])
        batch = self._session.batch()
        batch.zcard(self._keys.key_list())
        batch.zrange(self._keys.key_list(), first, first + most - 1, desc=True, withscores=True)
        total, entries = await batch.execute()
        records = await self._read([_parts(place) for place, _ in entries])
        await self._forget_orphans(entries, records)
        return int(total), [record for record in records if record is not None]

    async def before(self, place: KeyPlace | None, most: int, user_id: str | None = None) -> KeyPage:
        """Up to `most` keys that were made before the one at `place`, of one user or of all, the newest first; those of
        a user who has more than `MOST_IN_ORDER` in the server's order."""
        if user_id is not None:
            total = await self.count_of(user_id)
            if total > MOST_IN_ORDER:
                return await self._scanned(place or KeyPlace(0, _FROM_HERE), most, user_id, total)
            places = await self._places_of(user_id)
            left = [one for one in places if place is None or one < place]
            some = await self.some([(one.name, user_id) for one in left[:most]])
            return KeyPage(some, len(places), left[most - 1] if len(left) > most else None)
        newest = "+inf" if place is None else place.made_ms
        batch, name = self._session.batch(), self._keys.key_list()
        batch.zcard(name)
        batch.execute_command("ZCOUNT", name, newest, newest)
        total, same = await batch.execute()
        # Those of the very ms may be among what was read before.
        wanted = most + 1 + (0 if place is None else same)
        entries = await self._session.zrange(
            name, newest, 0, desc=True, byscore=True, offset=0, num=wanted, withscores=True
        )
        found = [(KeyPlace(int(float(entry[1])), _parts(entry[0])[0]), entry) for entry in entries]
        older = [one for one in found if place is None or one[0] < place]
        shown = [entry for _, entry in older[:most]]
        records = await self._read([_parts(text) for text, _ in shown])
        await self._forget_orphans(shown, records)
        there = [record for record in records if record is not None]
        return KeyPage(there, total, older[most - 1][0] if len(older) > most else None)

    async def count_of(self, user_id: str) -> int:
        """How many keys a user has."""
        return int(await self._session.scard(self._keys.keys_of(user_subject(user_id))))

    async def _scanned(self, place: KeyPlace, most: int, user_id: str, total: int) -> KeyPage:
        """A page of very many. A place is here a scan's cursor, and the last of its ids that was shown."""
        ids, rest = list[str](), KeyPlace(*place)
        name = self._keys.keys_of(user_subject(user_id))
        while True:
            cursor, found = await self._session.sscan(name, rest.made_ms, count=most)
            here = sorted(one for one in found if one > rest.name)
            room = most - len(ids)
            ids += here[:room]
            if len(here) > room:
                rest = KeyPlace(rest.made_ms, ids[-1])
                break
            rest = KeyPlace(int(cursor), _FROM_HERE)
            if not rest.made_ms or len(ids) == most:
                break
        some = await self.some([(one, user_id) for one in ids])
        return KeyPage(some, total, rest if rest != (0, _FROM_HERE) else None)

    async def _places_of(self, user_id: str) -> list[KeyPlace]:
        """Where a user's keys stand, the newest first. Of each its id and time are read, and no more."""
        subject = user_subject(user_id)
        ids = sorted(await self._session.smembers(self._keys.keys_of(subject)))
        made = await self._session.each("HGET", [self._keys.key_record(subject, one) for one in ids], "created_ms")
        return sorted((KeyPlace(int(at), one) for one, at in zip(ids, made, strict=True) if at), reverse=True)

    async def all(self) -> AsyncIterator[KeyRecord]:
        """Every key, the newest first."""
        first, total = 0, 1
        while first < total:
            total, some = await self.page(first, _PAGE)
            for record in some:
                yield record
            first += _PAGE

    async def of_user(self, user_id: str) -> list[KeyRecord]:
        """All keys of a user, the newest first."""
        places = [(one, user_id) for one in await self._session.smembers(self._keys.keys_of(user_subject(user_id)))]
        # Not all at once: who has ten thousand would keep all others waiting.
        records = [one for begin in range(0, len(places), _PAGE) for one in await self.some(places[begin:][:_PAGE])]
        return sorted(records, key=lambda record: (-record.created_ms, record.key_id))

    async def some(self, places: Sequence[tuple[str, str]]) -> list[KeyRecord]:
        """Those of some keys that there are, by their ids and users."""
        return [record for record in await self._read(places) if record is not None]

    async def tallies(self, record: KeyRecord) -> tuple[int, KeyTallies]:
        """The store's time (ms) and the key's use in the windows of that moment."""
        now_ms = await self._session.time_ms()
        start_ms = budget_start_ms(record.budget_anchor_ms, record.budget_period_ms, now_ms)
        fields = {KeyWindow.MINUTE: f"m{window_index(Window.MINUTE, now_ms)}", KeyWindow.TOTAL: "t"}
        if start_ms:
            fields[KeyWindow.BUDGET] = f"b{start_ms}"
        name = self._keys.key_windows(user_subject(record.user_id), record.key_id)
        texts = await self._session.hmget(name, list(fields.values()))
        found = zip(fields, texts, strict=True)
        return now_ms, {window: Tally.of_text(text) for window, text in found if text}

    async def _follow(self, pointer: str) -> KeyRecord | None:
        place = await self._session.get(pointer)
        return None if place is None else await self.get(*_parts(place))

    async def _read(self, places: Sequence[tuple[str, str]]) -> list[KeyRecord | None]:
        names = [self._keys.key_record(user_subject(user_id), key_id) for key_id, user_id in places]
        found = await self._session.each("HGETALL", names)
        return [self._record(*place, fields) for place, fields in zip(places, found, strict=True)]

    async def _forget_orphans(self, entries: Sequence[Any], records: Sequence[KeyRecord | None]) -> None:
        """Drop from the list what was never written, or was deleted by halves."""
        until_ms = await self._session.time_ms() - CLAIM_MS
        pairs = zip(entries, records, strict=True)
        orphans = [place for (place, made_ms), record in pairs if record is None and float(made_ms) < until_ms]
        if orphans:
            await self._session.zrem(self._keys.key_list(), *orphans)

    def _record(self, key_id: str, user_id: str, fields: Mapping[str, str]) -> KeyRecord | None:
        if "record" not in fields:
            return None
        value = orjson.loads(fields["record"])
        kept = value.pop("metadata")
        for name in _LISTS:
            value[name] = tuple(value.get(name, ()))
        return KeyRecord(
            key_id=key_id,
            user_id=user_id,
            version=fields["version"],
            created_ms=int(fields["created_ms"]),
            updated_ms=int(fields["updated_ms"]),
            **value,
            **self._metadata.fields(f"key:{key_id}", kept),
        )


def _parts(place: str) -> tuple[str, str]:
    key_id, _, user_id = place.partition(" ")
    return key_id, user_id
