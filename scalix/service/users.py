"""Users' records, cached. Admission compares versions in the store, so a cached record is never trusted for long."""

from collections import OrderedDict

from scalix.domain.errors import UserBlocked
from scalix.domain.subjects import Subject
from scalix.service.callers import Caller
from scalix.service.policy_source import PolicySource
from scalix.store.base import UserRecord, UserStore

CACHED_RECORDS = 50_000
MAX_USER_ID_CHARS = 256


class UserDirectory:
    """Finds the caller that a user is."""

    def __init__(self, store: UserStore, policy: PolicySource, *, cached_records: int = CACHED_RECORDS) -> None:
        self._store = store
        self._policy = policy
        self._cache: OrderedDict[str, UserRecord] = OrderedDict()
        self._capacity = cached_records

    async def record(self, user_id: str, *, fresh: bool = False) -> UserRecord:
        """The user's record; `fresh` reads it from the store even if it is cached. Raises `StoreUnavailable`."""
        cached = None if fresh else self._cache.get(user_id)
        if cached is not None:
            self._cache.move_to_end(user_id)
            return cached
        record = await self._store.get(user_id)
        self.remember(record)
        return record

    def remember(self, record: UserRecord) -> None:
        """Cache a record that was just read or written."""
        self._cache[record.user_id] = record
        self._cache.move_to_end(record.user_id)
        if len(self._cache) > self._capacity:
            self._cache.popitem(last=False)

    def cached(self, user_id: str) -> UserRecord | None:
        """The record as last read, without asking the store."""
        return self._cache.get(user_id)

    def forget(self, user_id: str) -> None:
        """Drop a cached record."""
        self._cache.pop(user_id, None)

    async def caller(self, user_id: str, *, fresh: bool = False) -> Caller:
        """The user as a caller. Raises `UserBlocked`, `StoreUnavailable`."""
        return self.caller_of(await self.record(user_id, fresh=fresh))

    def caller_of(self, record: UserRecord) -> Caller:
        """The caller with this record. Raises `UserBlocked`."""
        if record.blocked:
            raise UserBlocked("This user is blocked. Ask the operator of this gateway.")
        tier = self._policy.current.tier_or_default(record.tier)
        return Caller(Subject("user", record.user_id), tier, tier.limits, record)
