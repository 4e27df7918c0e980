"""What is counted of users day by day, in Redis or Valkey: see lua/people.lua. And the sums of days that are over, so
that nobody adds up 256 shards again."""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.ledger import Aggregate, name_word
from scalix.domain.ledger.people import Person, hits_in, numbers_of
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.store.connection.session import SessionStore
from scalix.store.keys import CLOCK_GRACE_MS
from scalix.store.ledger.redis_ledger import LedgerReader, aggregates_of

Numbers = dict[str, int]
Page = list[tuple[str, int, str | None]]
_AT_LEAST = 8
_TOGETHER = 64  # shards
_TURN_MS = 600_000


@dataclass(frozen=True, slots=True)
class Book:
    """A day that is to be added up; `is_old`: from the sums by day, as those by hour have gone."""

    day: int
    is_old: bool

    @property
    def prefix(self) -> str:
        """What the fields of its sums begin with; those by hour are of one day."""
        return f"{self.day} " if self.is_old else ""


@dataclass(frozen=True, slots=True)
class DayBooks:
    """What all shards have of a day. First bytes are by bucket: see domain/ledger/first_bytes.py.

    `pages` are the first ones of the shards' rankings by cost: subject, nano-dollars, and the text of who was there.
    """

    sums: list[Aggregate]
    first_bytes: Numbers
    pages: dict[int, Page]


class FiguresStore(SessionStore):
    """Every method may raise `StoreUnavailable`. Days are indexes since 1970-01-01 UTC."""

    async def read(self, days: Sequence[int], book: Book | None) -> tuple[dict[int, Numbers], DayBooks]:
        """How many there were of each kind on each of `days`; and what there is of the day of `book`."""
        words = {day: Counter[str]() for day in days}
        texts: defaultdict[str, list[str]] = defaultdict(list)
        first_bytes, pages = Counter[str](), dict[int, Page]()
        args: list[str | int] = [book.prefix if book else "", _AT_LEAST, *days]
        people = self._keys.all_people()
        for first in range(0, SHARDS, _TOGETHER):
            shards = range(first, min(first + _TOGETHER, SHARDS))
            calls = (([people[shard], *self._names(shard, book)], args) for shard in shards)
            for shard, reply in zip(shards, await self._session.run_all("figures_of_day", calls), strict=True):
                for day, text in zip(days, reply[0], strict=True):
                    words[day].update(text.split() if text else ())
                if book:
                    _, sums, counts, ranking, ranked = reply
                    for field, text in _pairs(sums):
                        texts[field].append(text)
                    first_bytes.update({name: int(number) for name, number in _pairs(counts)})
                    pages[shard] = _page(_pairs(ranking), ranked)
        books = DayBooks(await aggregates_of(texts), dict(first_bytes), pages)
        return {day: _numbers(of_day) for day, of_day in words.items()}, books

    def _names(self, shard: int, book: Book | None) -> list[str]:
        if book is None:
            return []
        keys, day, month = self._keys, book.day, window_index(Window.MONTH, book.day * DAY_MS)
        sums = keys.day_sums(shard, month) if book.is_old else keys.hour_sums(shard, day)
        return [sums, keys.first_bytes(shard, day), keys.ranking(shard, day, "cost")]

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
                found += [(one, Person.of(text)) for one, text in _pairs(words)]
        return found[:most]

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

    async def forget(self, days: Iterable[int]) -> None:
        """Keep nothing of these days."""
        await self._session.hdel(self._keys.day_figures(), *map(str, days))

    async def take_turn(self) -> bool:
        """Whether it is ours to add days up, for some minutes."""
        return await self._session.set(self._keys.day_figures_turn(), "1", px=_TURN_MS, nx=True) is not None

    async def dearest(self, books: DayBooks, day: int, tier: str, most: int) -> list[int]:
        """What the subjects that cost most in a tier on a day have cost there, in nano-dollars, the greatest first.

        A shard's ranking is of all tiers, so that it is read on for as long as somebody there may be among the first.
        """
        found: list[int] = []
        reader, word = LedgerReader(self._session), name_word(tier)
        pages, begin, step = books.pages, 0, _AT_LEAST
        while pages and most > 0:
            # In a tier nobody has cost more than in all.
            for subject, cost, text in sorted(chain.from_iterable(pages.values()), key=lambda one: -one[1]):
                if len(found) == most and cost <= found[0]:
                    break
                tiers = Person.of(text).tiers_on(day) if text else ()
                if word not in tiers:
                    continue
                if len(tiers) > 1:
                    sums = [one.sums for one in await reader.summaries(subject, day, day) if one.tier == tier]
                    cost = sum(one.cost_nano_usd for one in sums)
                heapq.heappush(found, cost)
                if len(found) > most:
                    heapq.heappop(found)
            least = found[0] if len(found) == most else 0
            left = [shard for shard, page in pages.items() if len(page) == step and page[-1][1] > least]
            begin, step = begin + step, max(_AT_LEAST, math.ceil(2 * most / SHARDS))
            pages = await self._pages(day, left, begin, step)
        return sorted((cost for cost in found if cost > 0), reverse=True)

    async def _pages(self, day: int, shards: Sequence[int], begin: int, step: int) -> dict[int, Page]:
        """The next pages of rankings."""
        ranked, people = self._session.batch(), self._session.batch()
        for shard in shards:
            ranked.zrange(self._keys.ranking(shard, day, "cost"), begin, begin + step - 1, desc=True, withscores=True)
        pages = {shard: page for shard, page in zip(shards, await ranked.execute(), strict=True) if page}
        for shard, page in pages.items():
            people.hmget(self._keys.all_people()[shard], [subject for subject, _ in page])
        texts = await people.execute()
        return {shard: _page(page, some) for (shard, page), some in zip(pages.items(), texts, strict=True)}


def _numbers(words: Counter[str]) -> Numbers:
    """The sums of what shards say of a day. Most of them say the same, so that each word is read once."""
    totals = Counter[str]()
    for word, times in words.items():
        for name, number in numbers_of(word).items():
            totals[name] += number * times
    return dict(totals)


def _pairs(words: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


def _page(ranking: Iterable[tuple[str, str | float]], people: Iterable[str | None]) -> Page:
    return [(subject, int(float(score)), text) for (subject, score), text in zip(ranking, people, strict=True)]
