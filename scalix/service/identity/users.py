"""Users' records, cached. Admission compares versions in the store, so a cached record is never trusted for long."""

import logging
from functools import partial

from scalix.domain.bounded import Bounded
from scalix.domain.errors import UserBlocked
from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.limit_overrides import LimitSyntaxError, Overrides, parse_overrides
from scalix.domain.limits.limits import Limits
from scalix.domain.policy import Tier
from scalix.service.identity.callers import Caller
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable, UserRecord
from scalix.store.records.redis_users import UserStore

CACHED_RECORDS = 50_000

log = logging.getLogger("scalix.users")


class UserDirectory:
    """Turns the id of a user into a caller, by the user's record, which is cached."""

    def __init__(self, store: UserStore, policy: PolicySource, *, cached_records: int = CACHED_RECORDS) -> None:
        self._store = store
        self._policy = policy
        self._cache: Bounded[str, UserRecord] = Bounded(cached_records)
        self._limits: Bounded[str, tuple[UserRecord, Tier, Limits]] = Bounded(cached_records)

    async def record(self, user_id: str, *, fresh: bool = False) -> UserRecord:
        """The user's record; `fresh` reads it from the store even if it is cached. Raises `StoreUnavailable` if so.

        While the store is away, a user who is not cached passes for one without a record: of the default tier.
        """
        cached = None if fresh else self.cached(user_id)
        if cached is not None:
            return cached
        try:
            record = await self._store.get(user_id)
        except StoreUnavailable:
            if fresh:
                raise
            return UserRecord(user_id, unread=True)
        self.remember(record)
        return record

    def remember(self, record: UserRecord) -> None:
        """Cache a record that was just read or written."""
        self._cache[record.user_id] = record

    def cached(self, user_id: str) -> UserRecord | None:
        """The record as last read, without asking the store."""
        return self._cache.used(user_id)

    def forget(self, user_id: str) -> None:
        """Drop a cached record."""
        self._cache.pop(user_id, None)
        self._limits.pop(user_id, None)

    async def caller(self, user_id: str, *, fresh: bool = False) -> Caller:
        """The user as a caller. Raises `UserBlocked`, `StoreUnavailable`."""
        record = await self.record(user_id, fresh=fresh)
        if record.blocked and not fresh:
            # Admission compares versions only for those it lets through: a block that was lifted elsewhere shows here.
            record = await self.record(user_id, fresh=True)
        return self.caller_of(record)

    def caller_of(self, record: UserRecord, *, claimed_tier: str | None = None) -> Caller:
        """The caller with this record. `claimed_tier` counts where the record says none. Raises `UserBlocked`."""
        if record.blocked:
            message = "This user is blocked. Ask the operator of this gateway."
            raise UserBlocked(message, who=f"user:{record.user_id}")
        # A token's claim never outdoes a record, and a record that could not be read may say anything.
        tier = self._policy.current.tier_or_default(record.tier or (None if record.unread else claimed_tier))
        reread = partial(self.caller, record.user_id, fresh=True)
        return Caller(Subject("user", record.user_id), tier, self._limits_of(tier, record), record, reread=reread)

    def _limits_of(self, tier: Tier, record: UserRecord) -> Limits:
        """As `effective_limits`, once for one record: to read a user's own limits takes longer than all the rest."""
        if not record.limits:
            return tier.limits
        known = self._limits.get(record.user_id)
        if known is None or known[0] is not record or known[1] is not tier:
            known = self._limits[record.user_id] = (record, tier, effective_limits(tier, record))
        return known[2]


def effective_limits(tier: Tier, record: UserRecord) -> Limits:
    """The tier's limits with the user's own entries in place of the tier's."""
    return overrides_of(record).over(tier.limits) if record.limits else tier.limits


def overrides_of(record: UserRecord) -> Overrides:
    """The user's own limits. Those that make no sense, which no API has written, are left aside and said loudly."""
    try:
        return parse_overrides(record.limits)
    except LimitSyntaxError as error:
        log.error("a user's own limits in the store are not used: %s; write them again with PUT /user/limits", error)
        return Overrides()
