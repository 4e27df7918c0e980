"""Once a day: what is older than its retention, and has no end of its own in the store, is removed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.administration.key_views import names_in, told_key
from scalix.service.audit.audit import Act, Actor, AuditTrail, recorded
from scalix.service.audit.audit_log import THE_GATEWAY
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreError
from scalix.store.privacy.redis_retention import RetentionStore
from scalix.store.records.redis_keys import KeyStore

TRY_EVERY_S = 1_800.0

log = logging.getLogger("scalix.retention")

Removal = Callable[[], Awaitable[int]]
"""Removes what is too old of one kind, and says how much that was."""


@dataclass(frozen=True, eq=False)
class RetentionJob:
    """`run_daily` is to be called every now and then by every process: one of them does the work of a day.

    `removals` by the word that an answer and the log have for them; those of `of_this_machine` are of files that
    processes of other machines have no hold of, and so are made by each process.
    """

    store: RetentionStore
    audit: AuditTrail
    removals: Mapping[str, Removal]
    of_this_machine: Mapping[str, Removal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        log.setLevel(logging.INFO)

    async def run_daily(self) -> None:
        """Remove what is too old, unless that was done today. Raises `StoreUnavailable`."""
        await _remove(self.of_this_machine)
        if not await self.store.claim_today():
            return
        try:
            await _remove(self.removals)
        except (Exception, asyncio.CancelledError):  # the latter at the end of this process
            await self.store.give_back_today()
            raise

    async def run(self, by: Actor) -> dict[str, int]:
        """Remove what is too old now; how much that was of each kind. Raises `StoreUnavailable`."""
        await self.audit.record(Act("retention.run", by, "", object="retention"))
        return await _remove({**self.removals, **self.of_this_machine})


async def _remove(removals: Mapping[str, Removal]) -> dict[str, int]:
    removed: dict[str, int] = {}
    fault: Exception | None = None
    for name, removal in removals.items():
        try:
            removed[name] = await removal()
        except (StoreError, OSError, ValueError) as error:
            # One kind that can't be removed must not keep the others.
            log.error("retention: %s could not be removed: %s", name, error)
            fault = fault or error
    if any(removed.values()):
        log.info("retention: removed %s", ", ".join(f"{name} {count}" for name, count in removed.items()))
    if isinstance(fault, StoreError):
        raise fault
    return removed


@dataclass(frozen=True, eq=False)
class ExpiredKeys:
    """Removes virtual keys whose time was over so long ago that nobody asks for them any more."""

    keys: KeyStore
    policy: PolicySource
    audit: AuditTrail
    forget: Callable[[KeyRecord], None]
    now_ms: Callable[[], int]

    async def __call__(self) -> int:
        """How many were removed. Raises `StoreUnavailable`."""
        oldest_ms = self.now_ms() - self.policy.current.privacy.expired_keys_days * DAY_MS
        old = [record async for record in self.keys.all() if 0 < (record.expires_ms or 0) < oldest_ms]
        for record in old:
            told = told_key(record)
            act = Act(
                "key.purge",
                THE_GATEWAY,
                record.user_id,
                before=told,
                object=f"key:{record.key_id}",
                hides=names_in(told),
            )
            async with recorded(self.audit, act):
                await self.keys.delete(record)
            self.forget(record)
        return len(old)
