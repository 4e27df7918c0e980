"""Users' records in Redis or Valkey."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from scalix.domain.identity.subjects import SHARDS, user_subject
from scalix.domain.limits.quota import UNKNOWN_VERSION
from scalix.store.base import RecordChanged, StoreError, UserExists, UserRecord
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.records.sealing import SealedMetadata, Sealing

# Up to here all names are read and put in order, 256 short answers; beyond, the shards are gone through one by one.
MOST_IN_ORDER = 10_000
_AFTER_ALL = "\U0010ffff"
_JSON = ("limits", "revoked_tokens", "consent")  # fields that are kept as JSON


class UserStore(SessionStore):
    """Users' records. Every method may raise `StoreUnavailable`. `sealing` encrypts their metadata."""

    def __init__(
        self, session: StoreSession, *, sealing: Sealing | None = None, most_in_order: int = MOST_IN_ORDER
    ) -> None:
        super().__init__(session)
        self._metadata = SealedMetadata(sealing, "users")
        self._most_in_order = most_in_order

    async def get(self, user_id: str) -> UserRecord:
        """The record; one with `exists` false for a user without."""
        fields = await self._session.hgetall(self._keys.record(user_subject(user_id)))
        return self._record(user_id, fields)

    async def create(self, record: UserRecord) -> UserRecord:
        """Write a new record and return it with its version. Raises `UserExists`."""
        return await self._put(replace(record, version=UNKNOWN_VERSION), UserExists(record.user_id))

    async def update(self, record: UserRecord) -> UserRecord:
        """Write the record with a new version, if it still has the version that `record` was read with (a user
        without one: still none). Raises `RecordChanged`."""
        return await self._put(record, RecordChanged(record.user_id))

    async def _put(self, record: UserRecord, refusal: StoreError) -> UserRecord:
        """The record as written. Raises `refusal` when it has another version now."""
        subject = user_subject(record.user_id)
        names = [self._keys.record(subject), self._keys.user_names(subject)]
        now = self._session.now()
        fields: list[str | int] = [
            *("tier", record.tier or ""),
            *("blocked", int(record.blocked)),
            *("metadata", self._metadata.kept(record.user_id, record)),
            *("tokens_valid_after_ms", record.tokens_valid_after_ms),
            *(word for name in _JSON for word in (name, orjson.dumps(getattr(record, name)).decode())),
        ]
        version = await self._session.run("put_record", names, [now, record.version, record.user_id, "z", *fields])
        if not version:
            raise refusal
        return replace(await self.get(record.user_id), version=version)

    async def delete(self, user_id: str) -> bool:
        """Remove the record and the counters; whether there was a record."""
        subject = user_subject(user_id)
        keys = self._keys
        names = [
            keys.record(subject),
            keys.user_names(subject),
            keys.windows(subject),
            keys.in_flight(subject),
            keys.merged(subject),
            keys.adjustments(subject),
            keys.balance(subject),
        ]
        now = self._session.now()
        return bool(await self._session.run("delete_user", names, [now, user_id]))

    async def page(self, first: int, most: int) -> tuple[int, list[UserRecord]]:
        """How many users have a record, and up to `most` of them after the `first` ones, by name (of very many: by
        shard and name)."""
        indexes = self._keys.all_user_names()
        counts = await self._counts()
        total = sum(counts)
        if total <= self._most_in_order:
            wanted = [(index, 0, -1) for index, count in zip(indexes, counts, strict=True) if count]
        else:
            wanted = list(_parts(indexes, counts, first, most))
        names = await self._names(wanted)
        if total <= self._most_in_order:
            names = sorted(names)[first : first + most]
        found = await self._session.each("HGETALL", [self._keys.record(user_subject(name)) for name in names])
        return total, [self._record(name, fields) for name, fields in zip(names, found, strict=True) if fields]

    async def count(self) -> int:
        """How many users have a record."""
        return sum(await self._counts())

    async def _counts(self) -> list[int]:
        return [int(count) for count in await self._session.each("ZCARD", self._keys.all_user_names())]

    async def after(self, name: str, prefix: str, most: int) -> list[UserRecord]:
        """Up to `most` users in the order of their names, which come after `name` and begin with `prefix`."""
        least = f"({name}" if name >= prefix and name else f"[{prefix}" if prefix else "-"
        last = f"({prefix}{_AFTER_ALL}" if prefix else "+"
        asked = dict.fromkeys(self._keys.all_user_names(), least)
        some, names = 2 * most // SHARDS + 2, list[str]()
        while asked:
            batch = self._session.batch()
            for index, begin in asked.items():
                batch.execute_command("ZRANGEBYLEX", index, begin, last, "LIMIT", 0, some)
            # Of a shard that has given all that it was asked for, more may be among the first of all.
            more: dict[str, str] = {}
            for index, found in zip(asked, await batch.execute(), strict=True):
                names += found
                if len(found) == some:
                    more[index] = found[-1]
            names = sorted(names)[:most]
            asked = {index: f"({one}" for index, one in more.items() if len(names) < most or one < names[-1]}
            some *= 4
        texts = await self._session.each("HGETALL", [self._keys.record(user_subject(one)) for one in names])
        return [self._record(one, fields) for one, fields in zip(names, texts, strict=True)]

    async def _names(self, wanted: Sequence[tuple[str, int, int]]) -> list[str]:
        batch = self._session.batch()
        for index, begin, end in wanted:
            batch.zrange(index, begin, end)
        return [name for names in await batch.execute() for name in names] if wanted else []

    def _record(self, user_id: str, fields: Mapping[str, str]) -> UserRecord:
        if not fields:
            return UserRecord(user_id)
        return UserRecord(
            user_id=user_id,
            version=fields.get("version", UNKNOWN_VERSION),
            tier=fields.get("tier") or None,
            blocked=fields.get("blocked") == "1",
            tokens_valid_after_ms=int(fields.get("tokens_valid_after_ms") or 0),
            **{name: orjson.loads(fields.get(name) or "{}") for name in _JSON},
            created_ms=int(fields.get("created_ms") or 0),
            updated_ms=int(fields.get("updated_ms") or 0),
            **self._metadata.fields(user_id, fields.get("metadata") or "{}"),
        )


def _parts(indexes: Sequence[str], counts: Sequence[int], first: int, most: int) -> Iterator[tuple[str, int, int]]:
    """The ranges of shards that hold the names from the `first` on, `most` in all."""
    for index, count in zip(indexes, counts, strict=True):
        if most <= 0:
            return
        if first < count:
            taken = min(count - first, most)
            yield index, first, first + taken - 1
            most -= taken
        first = max(0, first - count)
