"""What is counted of users day by day, in Redis or Valkey: see lua/people.lua. And the sums of days that are over, so
that nobody adds up 256 shards again."""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import orjson

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.ledger import name_word
from scalix.domain.ledger.people import Person, hits_in, numbers_of
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.connection.session import SessionStore
from scalix.store.keys import CLOCK_GRACE_MS
from scalix.store.ledger.redis_ledger import LedgerReader

Numbers = dict[str, int]
_AT_LEAST = 8


class FiguresStore(SessionStore):
    """Every method may raise `StoreUnavailable`. Days are indexes since 1970-01-01 UTC."""

    async def people(self, days: Sequence[int]) -> dict[int, Numbers]:
        """How many there were of each kind, on each day."""
        texts = await self._session.each("HMGET", self._keys.all_people(), *days)
        found: dict[int, Numbers] = {}
        for day, of_shards in zip(days, zip(*texts, strict=True), strict=True):
            totals = Counter[str]()
            for text in of_shards:
                if text:
                    totals.update(numbers_of(text))
            found[day] = dict(totals)
        return found

    async def limited(self, day: int, limit: str, after: str, most: int) -> list[tuple[str, Person]]:
        """Up to `most` subjects whom a limit (as scripts name it) has refused on a day, by shard and name, those after
        `after`. Known for as long as people's hits are: `AFTER_DAYS` from the day on.

        The numbers of the day say in which shards there are any, so that no other one is looked through.
        """
        first = shard_of(after) if after else 0
        names = self._keys.all_people()
        counts = [hits_in(text or "", limit) for text in await self._session.each("HGET", names[first:], day)]
        found: list[tuple[str, Person]] = []
        places = [(names[first + place], count) for place, count in enumerate(counts) if count]
        while places and len(found) < most:
            asked, expected = list[tuple[list[str], list[str | int]]](), 0
            while places and expected < most - len(found):
                name, count = places.pop(0)
                begun = after if name == names[first] else ""
                asked.append(([name], [day, limit, begun, most]))
                expected += 0 if begun else count
            for words in await self._session.run_all("limited", asked):
                found += [(one, Person.of(text)) for one, text in zip(words[::2], words[1::2], strict=True)]
        return found[:most]

    async def first_bytes(self, day: int) -> Numbers:
        """How many events there were by the bucket of their first byte: see domain/ledger/first_bytes.py."""
        names = [self._keys.first_bytes(shard, day) for shard in range(SHARDS)]
        totals = Counter[str]()
        for fields in await self._session.each("HGETALL", names):
            totals.update({name: int(number) for name, number in fields.items()})
        return dict(totals)

    async def kept(self, days: Sequence[int]) -> dict[int, dict[str, Any]]:
        """What was kept of days that are over."""
        texts = await self._session.hmget(self._keys.day_figures(), [str(day) for day in days])
        return {day: orjson.loads(text) for day, text in zip(days, texts, strict=True) if text}

    async def keep(self, days: dict[int, dict[str, Any]], keep_days: int) -> None:
        """Keep these, for as long as sums by day are."""
        if days:
            name = self._keys.day_figures()
            await self._session.hset(name, mapping={str(day): orjson.dumps(kept) for day, kept in days.items()})
            await self._session.pexpire(name, keep_days * DAY_MS + CLOCK_GRACE_MS)

    async def dearest(self, day: int, tier: str, most: int) -> list[int]:
        """What the subjects that cost most in a tier on a day have cost there, in nano-dollars, the greatest first.

        A shard's ranking is of all tiers, so that it is read on for as long as somebody there may be among the first.
        """
        found: list[int] = []
        reader, word = LedgerReader(self._session), name_word(tier)
        at, step = dict.fromkeys(range(SHARDS), 0), max(_AT_LEAST, math.ceil(2 * most / SHARDS))
        while at and most > 0:
            ranked = await self._ranked(day, at, step)
            people = await self._people_of(ranked)
            for shard, entries in ranked.items():
                for subject, cost in entries:
                    tiers = people[subject].tiers_on(day) if subject in people else ()
                    if tuple(tiers) == (word,):
                        found.append(cost)
                    elif word in tiers:
                        sums = [one.sums for one in await reader.summaries(subject, day, day) if one.tier == tier]
                        found.append(sum(one.cost_nano_usd for one in sums))
                at[shard] += step
            found = heapq.nlargest(most, found)
            least = found[-1] if len(found) == most else 0
            for shard, entries in ranked.items():
                if len(entries) < step or entries[-1][1] <= least:
                    del at[shard]
        return [cost for cost in found if cost > 0]

    async def _ranked(self, day: int, at: dict[int, int], step: int) -> dict[int, list[tuple[str, int]]]:
        batch = self._session.batch()
        for shard, begin in at.items():
            batch.zrange(self._keys.ranking(shard, day, "cost"), begin, begin + step - 1, desc=True, withscores=True)
        pages = zip(at, await batch.execute(), strict=True)
        return {shard: [(subject, int(float(score))) for subject, score in page] for shard, page in pages}

    async def _people_of(self, ranked: dict[int, list[tuple[str, int]]]) -> dict[str, Person]:
        subjects: defaultdict[str, list[str]] = defaultdict(list)
        for entries in ranked.values():
            for subject, _ in entries:
                subjects[self._keys.people(subject)].append(subject)
        batch = self._session.batch()
        for name, some in subjects.items():
            batch.hmget(name, some)
        people: dict[str, Person] = {}
        for some, texts in zip(subjects.values(), await batch.execute(), strict=True):
            people.update({one: Person.of(text) for one, text in zip(some, texts, strict=True) if text})
        return people
