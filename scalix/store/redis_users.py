"""Users' records in Redis or Valkey."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from scalix.domain.quota import UNKNOWN_VERSION
from scalix.domain.subjects import Subject
from scalix.store import scripts
from scalix.store.base import RecordChanged, UserExists, UserRecord
from scalix.store.keys import Keys
from scalix.store.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.redis_quota import Clock


class RedisUserStore:
    """A `UserStore` over one server or cluster. Without `clock`, time is the server's."""

    def __init__(
        self, client: Any, keys: Keys, *, clock: Clock | None = None, timeout_ms: int = CALL_TIMEOUT_MS
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._timeout_ms = timeout_ms

    async def get(self, user_id: str) -> UserRecord:
        async with in_time(self._timeout_ms):
            fields = await self._client.hgetall(self._keys.record(_subject(user_id)))
        return _record(user_id, fields)

    async def create(self, record: UserRecord) -> UserRecord:
        written = await self._put(replace(record, version=UNKNOWN_VERSION))
        if written is None:
            raise UserExists(record.user_id)
        return written

    async def update(self, record: UserRecord) -> UserRecord:
        written = await self._put(record)
        if written is None:
            raise RecordChanged(record.user_id)
        return written

    async def _put(self, record: UserRecord) -> UserRecord | None:
        """The record as written; `None` when it has another version now."""
        key = self._keys.record(_subject(record.user_id))
        now = "" if self._clock is None else self._clock()
        fields: list[str | int] = [
            *("tier", record.tier or ""),
            *("blocked", int(record.blocked)),
            *("limits", orjson.dumps(record.limits).decode()),
            *("metadata", orjson.dumps(record.metadata).decode()),
            *("tokens_valid_after_ms", record.tokens_valid_after_ms),
            *("revoked_tokens", orjson.dumps(record.revoked_tokens).decode()),
        ]
        async with in_time(self._timeout_ms):
            version = await scripts.run(self._client, "put_user", [key], [now, record.version, *fields])
        if not version:
            return None
        return replace(await self.get(record.user_id), version=version)

    async def delete(self, user_id: str) -> bool:
        subject = _subject(user_id)
        keys = self._keys
        async with in_time(self._timeout_ms):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.delete(keys.record(subject))
            # Together: a settlement that still comes finds no reservation to take from somebody else's.
            pipeline.delete(keys.windows(subject), keys.in_flight(subject), keys.merged(subject))
            removed, _ = await pipeline.execute()
        return bool(removed)


def _subject(user_id: str) -> str:
    return str(Subject("user", user_id))


def _record(user_id: str, fields: Mapping[str, str]) -> UserRecord:
    if not fields:
        return UserRecord(user_id)
    return UserRecord(
        user_id=user_id,
        version=fields.get("version", UNKNOWN_VERSION),
        tier=fields.get("tier") or None,
        blocked=fields.get("blocked") == "1",
        limits=orjson.loads(fields.get("limits") or "{}"),
        metadata=orjson.loads(fields.get("metadata") or "{}"),
        tokens_valid_after_ms=int(fields.get("tokens_valid_after_ms") or 0),
        revoked_tokens=orjson.loads(fields.get("revoked_tokens") or "{}"),
        created_ms=int(fields.get("created_ms") or 0),
        updated_ms=int(fields.get("updated_ms") or 0),
    )
