"""Virtual keys in Redis or Valkey.

A key's record lies in its user's shard, so that admission can compare its version. Its secrets, its alias and the list
of all keys lead there from shards of their own. They are written before the record and removed after it: whoever dies
in between leaves at most a pointer to nothing, which lets nobody in.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace

import orjson

from scalix.domain.identity.subjects import user_subject
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.key_limits import budget_start_ms
from scalix.domain.limits.quota import UNKNOWN_VERSION
from scalix.store.base import RecordChanged, StoreError
from scalix.store.records.redis_key_reading import CLAIM_MS, KeyReader

# What is not in the record's own text: names, what the store says itself, and the metadata, which may be encrypted.
_APART = ("key_id", "user_id", "version", "created_ms", "updated_ms", "metadata", "sealed_metadata")


class AliasTaken(StoreError):
    """Another key has this alias."""


class KeyStore(KeyReader):
    """Writes them too. `sealing` encrypts their metadata. Every method may raise `StoreUnavailable`."""

    async def create(self, record: KeyRecord) -> KeyRecord:
        """Write a new record and return it with its version. Raises `AliasTaken`."""
        fresh = replace(record, version=UNKNOWN_VERSION)
        if record.alias is not None:
            await self._claim_alias(record, record.alias)
        now_ms = await self._session.time_ms()
        batch = self._session.batch()
        batch.set(self._keys.secret(record.digest), _place(record))
        batch.zadd(self._keys.key_list(), {_place(record): now_ms})
        await batch.execute()
        written = await self._put(fresh, fresh)
        await self._keep_alias(written)
        return written

    async def update(self, before: KeyRecord, record: KeyRecord) -> KeyRecord:
        """Write the record with a new version, if it still has the version of `before`, as which it was read. Secrets
        that are among neither `digest` nor `former` any more are forgotten. Raises `RecordChanged`, `AliasTaken`."""
        if record.alias is not None and record.alias != before.alias:
            await self._claim_alias(record, record.alias)
        if record.digest != before.digest:
            await self._session.set(self._keys.secret(record.digest), _place(record))
        old, new = set(self._pointers(before)), set(self._pointers(record))
        try:
            written = await self._put(before, record)
        except RecordChanged:
            await self._delete(new - old)
            raise
        await self._keep_alias(written)
        await self._delete(old - new)
        for digest in written.former.keys() - before.former.keys():
            left_ms = max(1, written.former[digest] - written.updated_ms)
            await self._session.pexpire(self._keys.secret(digest), left_ms)
        return written

    async def delete(self, record: KeyRecord) -> bool:
        """Remove a key and its counters; whether it was there."""
        subject = user_subject(record.user_id)
        names = [
            self._keys.key_record(subject, record.key_id),
            self._keys.key_windows(subject, record.key_id),
            self._keys.keys_of(subject),
        ]
        removed = await self._session.run("delete_key", names, [record.key_id])
        await self._session.zrem(self._keys.key_list(), _place(record))
        await self._delete(self._pointers(record))
        return bool(removed)

    async def set_spend(self, record: KeyRecord, nano_usd: int) -> bool:
        """Set what the key has spent, in its budget period of now and in its life; whether there is such a key."""
        subject = user_subject(record.user_id)
        names = [self._keys.key_windows(subject, record.key_id), self._keys.key_record(subject, record.key_id)]
        now_ms = await self._session.time_ms()
        start_ms = budget_start_ms(record.budget_anchor_ms, record.budget_period_ms, now_ms)
        return bool(await self._session.run("set_key_spend", names, [now_ms, start_ms, nano_usd]))

    async def _put(self, before: KeyRecord, record: KeyRecord) -> KeyRecord:
        subject = user_subject(record.user_id)
        names = [self._keys.key_record(subject, record.key_id), self._keys.keys_of(subject)]
        args: list[str | int] = [self._session.now(), before.version, record.key_id, "s", "record", self._text(record)]
        version = await self._session.run("put_record", names, args)
        if not version:
            raise RecordChanged(record.key_id)
        written = await self.get(record.key_id, record.user_id)
        if written is None:
            raise RecordChanged(record.key_id)
        return replace(written, version=version)

    async def _claim_alias(self, record: KeyRecord, alias: str) -> None:
        name, place = self._keys.alias(alias), _place(record)
        if await self._session.set(name, place, px=CLAIM_MS, nx=True) is not None:
            return
        claimed = await self._session.pttl(name) >= 0
        # One that leads nowhere was left behind by a deletion that broke off.
        if claimed or await self.find_alias(alias) is not None:
            raise AliasTaken(alias)
        await self._session.set(name, place, px=CLAIM_MS)

    async def _keep_alias(self, record: KeyRecord) -> None:
        if record.alias is not None:
            await self._session.persist(self._keys.alias(record.alias))

    def _pointers(self, record: KeyRecord) -> list[str]:
        names = [self._keys.secret(digest) for digest in (record.digest, *record.former)]
        return names if record.alias is None else [*names, self._keys.alias(record.alias)]

    async def _delete(self, names: Iterable[str]) -> None:
        await self._session.each("DEL", names)

    def _text(self, record: KeyRecord) -> str:
        value = {name: item for name, item in asdict(record).items() if name not in _APART}
        value["metadata"] = self._metadata.kept(f"key:{record.key_id}", record)
        return orjson.dumps(value).decode()


def _place(record: KeyRecord) -> str:
    return f"{record.key_id} {record.user_id}"
