"""Finds events that gateways of before have written, which list none by time, and puts them into the indexes."""

from collections.abc import Collection

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.ledger import READ_WHOLE
from scalix.domain.ledger.people import LATE
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.connection.session import SessionStore
from scalix.store.keys import CLOCK_GRACE_MS, IN_TIME_LIFETIME_MS
from scalix.store.ledger.redis_ledger_repair import names_of_shards

_TURN_MS = 3_000_000  # somewhat less than an hour
_TOGETHER = 64
_AT_ONCE = 500


class InTimeStore(SessionStore):
    """Give it a session of its own: its calls may take long. Every method may raise `StoreUnavailable`."""

    async def take_turn(self) -> bool:
        """Whether it is ours to look, for about an hour."""
        return await self._session.set(self._keys.in_time_turn(), "1", px=_TURN_MS, nx=True) is not None

    async def looked_at(self) -> dict[int, int]:
        """How many events were missing after the last look, by day: some, where users were erased, whose sums stay."""
        return {
            int(day): int(missing) for day, missing in (await self._session.hgetall(self._keys.in_time_looks())).items()
        }

    async def note(self, day: int, missing: int, first_day: int) -> None:
        """Keep how many are missing, and forget days before `first_day`."""
        name = self._keys.in_time_looks()
        await self._session.hset(name, str(day), str(missing))
        old = [field for field in await self._session.hkeys(name) if int(field) < first_day]
        if old:
            await self._session.hdel(name, *old)
        await self._session.pexpire(name, IN_TIME_LIFETIME_MS)

    async def missing(self, day: int) -> int:
        """By how many events everybody's sums of a day are more than its index."""
        total = 0
        for first in range(0, SHARDS, _TOGETHER):
            shards = range(first, min(first + _TOGETHER, SHARDS))
            sums = await self._session.each("HVALS", [self._keys.hour_sums(shard, day) for shard in shards])
            total += sum(int(text.partition(" ")[0]) for texts in sums for text in texts)
            total -= sum(map(int, await self._session.each("ZCARD", [self._keys.in_time(one, day) for one in shards])))
        return total

    async def build(self, days: Collection[int], events_days: int) -> int:
        """List all events of these days; how many were not. Reads all names of keys."""
        added = 0
        now_ms = await self.now_ms()
        async for _, kind, rest in names_of_shards(self._session):
            subject, _, day = rest.rpartition(":")
            if kind == "e" and day.isdigit() and int(day) in days:
                ends_ms = (int(day) + 1 + events_days) * DAY_MS + CLOCK_GRACE_MS
                added += await self._list(subject, int(day), max(ends_ms - now_ms, DAY_MS))
        return added

    async def _list(self, subject: str, day: int, lifetime_ms: int) -> int:
        keys = self._keys
        names = [keys.events(subject, day * DAY_MS), keys.in_time(shard_of(subject), day)]
        names.append(keys.events_in_time(subject, day))
        added = 0
        async for events in self._session.pages(self._session.hscan, names[0], _AT_ONCE):
            args = [subject, READ_WHOLE, lifetime_ms, *events]
            added += int(await self._session.run("index_events", names, args))
        if added:
            # No gateway of before has said that they came late to a day that was added up.
            await self._session.run("mend_person", [keys.people(subject)], ["", "", "", day, LATE, 1])
        return added
