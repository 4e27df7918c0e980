"""Every hour: what gateways of the version before have written is listed by time, as what is written now is at once."""

import logging

from scalix.domain.limits.calendar import DAY_MS
from scalix.service.policy_source import PolicySource
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_in_time import InTimeStore

LIST_EVERY_S = 3_600.0

log = logging.getLogger("scalix.ledger")


class ListingInTime:
    """One process an hour looks at the days that may lack something: those that nobody has looked at since they were
    over, and those that have changed."""

    def __init__(self, store: InTimeStore, figures: FiguresStore, policy: PolicySource) -> None:
        self._store = store
        self._figures = figures
        self._policy = policy

    async def run(self) -> int:
        """How many events were listed. Raises `StoreUnavailable`."""
        if not await self._store.take_turn():
            return 0
        kept = self._policy.current.retention
        today = await self._store.now_ms() // DAY_MS
        # One of before that replaces a sweep adds no event, by which it would be noticed.
        await self._figures.forget([today - 1])
        first = today - kept.events_days
        known = await self._store.looked_at()
        lacking = []
        for day in range(first, today + 2):
            if day in known and day < today - 1:
                continue
            missing = await self._store.missing(day)
            # Sums may be kept for less long than events: then nothing tells whether there are any.
            if missing > max(0, known.get(day, 0)) or day < today - kept.hours_days:
                lacking.append(day)
            elif day < today:
                await self._store.note(day, missing, first)
        if not lacking:
            return 0
        added = await self._store.build(lacking, kept.events_days)
        for day in lacking:
            await self._store.note(day, await self._store.missing(day), first)
        if added:
            log.info("ledger: %d events of before are listed by time", added)
        return added
