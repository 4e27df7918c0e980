"""Reads events, sums and rankings from Redis or Valkey. What is everybody's lies in 256 shards, added up here."""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Literal

import orjson

from scalix.domain.identity.subjects import SHARDS
from scalix.domain.ledger.ledger import Aggregate, Event, Summary, Sums, event_of, name_of
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.store.connection.session import SessionStore

READ_TIMEOUT_MS = 10_000
_FIGURES = len(Sums().values())
_KEYS_TOGETHER = 8
_SHARDS_TOGETHER = 16
_SUMS_AT_ONCE = 200
_EVENTS_AT_ONCE = 500

Ranking = Literal["tokens", "cost"]


class LedgerReader(SessionStore):
    """Reads what settlements have written. Every method may raise `StoreUnavailable`.

    Days and hours are indexes since 1970-01-01 UTC, both ends included.
    """

    async def events(self, subject: str, day: int) -> list[Event]:
        """The subject's events of a day, by time of admission and then id."""
        texts = await self._session.hgetall(self._keys.events(subject, day * DAY_MS))
        found = []
        for number, (request_id, text) in enumerate(texts.items()):
            found.append(_event(request_id, subject, text))
            if not number % _EVENTS_AT_ONCE:
                await asyncio.sleep(0)  # as in `_aggregates`
        return sorted(filter(None, found), key=lambda event: (event.admitted_ms, event.request_id))

    async def summaries(self, subject: str, first_day: int, last_day: int) -> list[Summary]:
        """The subject's sums by day, model, tier and key."""
        found = []
        names = [self._keys.summaries(subject, month) for month in _months(first_day, last_day)]
        for fields in await self._hashes(names):
            for field, text in fields.items():
                day, model, tier, key_id = field.split(" ")
                if first_day <= int(day) <= last_day:
                    sums = Sums(*map(int, text.split(" ")))
                    found.append(Summary(int(day), name_of(model), name_of(tier), name_of(key_id), sums))
        return sorted(found, key=lambda one: (one.day, one.model, one.tier, one.key_id))

    async def by_hour(self, first_hour: int, last_hour: int) -> list[Aggregate]:
        """Everybody's sums by hour."""
        days = range(first_hour // 24, last_hour // 24 + 1)
        names = [self._keys.hour_sums(shard, day) for day in days for shard in range(SHARDS)]
        return await self._aggregates(names, first_hour, last_hour)

    async def by_day(self, first_day: int, last_day: int) -> list[Aggregate]:
        """Everybody's sums by day."""
        months = _months(first_day, last_day)
        names = [self._keys.day_sums(shard, month) for month in months for shard in range(SHARDS)]
        return await self._aggregates(names, first_day, last_day)

    async def top(self, first_day: int, last_day: int, by: Ranking, most: int) -> list[tuple[str, int]]:
        """The subjects that used most, with their tokens or nano-dollars of provider cost, the greatest first."""
        found: list[tuple[str, int]] = []
        days = range(first_day, last_day + 1)
        if most <= 0 or not days:
            return []
        for first in range(0, SHARDS, _SHARDS_TOGETHER):
            shards = range(first, min(first + _SHARDS_TOGETHER, SHARDS))
            rankings = ([self._keys.ranking(shard, day, by) for day in days] for shard in shards)
            replies = await self._session.run_all("top", ((names, [most]) for names in rankings))
            # A subject lies in one shard, so the first of all are among the first of each.
            for reply in replies:
                found += ((subject, int(float(score))) for subject, score in zip(reply[::2], reply[1::2], strict=True))
        return heapq.nsmallest(most, found, key=lambda one: (-one[1], one[0]))

    async def _aggregates(self, names: Sequence[str], first: int, last: int) -> list[Aggregate]:
        texts: defaultdict[str, list[str]] = defaultdict(list)
        wanted = {str(index) for index in range(first, last + 1)}
        async for fields in self._read(names):
            for field, text in fields.items():
                texts[field].append(text)
        return await aggregates_of({name: some for name, some in texts.items() if name.partition(" ")[0] in wanted})

    async def _read(self, names: Sequence[str]) -> AsyncIterator[dict[str, str]]:
        """The hashes, in the order of their names. While some are looked at, the server is busy with the next."""
        batches = [names[begin : begin + _KEYS_TOGETHER] for begin in range(0, len(names), _KEYS_TOGETHER)]
        coming = [asyncio.ensure_future(self._hashes(batch)) for batch in batches[:1]]
        try:
            for number in range(len(batches)):
                hashes = await coming.pop()
                coming += [asyncio.ensure_future(self._hashes(batch)) for batch in batches[number + 1 : number + 2]]
                await asyncio.sleep(0)  # for the next to be sent
                for fields in hashes:
                    yield fields
        finally:
            for task in coming:
                task.cancel()

    async def _hashes(self, names: Iterable[str]) -> list[dict[str, str]]:
        return await self._session.each("HGETALL", names)


async def aggregates_of(texts: Mapping[str, Sequence[str]]) -> list[Aggregate]:
    """Everybody's sums from the texts that all shards have for each field."""
    found = []
    for number, (field, of_shards) in enumerate(texts.items()):
        found.append(_aggregate(field, of_shards))
        if not number % _SUMS_AT_ONCE:
            await asyncio.sleep(0)  # whoever is served beside this must not wait for all of it
    return sorted(found, key=lambda one: (one.index, one.model, one.provider, one.tier, one.outcome, one.error))


def _months(first_day: int, last_day: int) -> list[int]:
    if last_day < first_day:
        return []
    first, last = (window_index(Window.MONTH, day * DAY_MS) for day in (first_day, last_day))
    return list(range(first, last + 1))


def _event(request_id: str, subject: str, text: str) -> Event | None:
    """`None` for what is no event; `scalix ledger verify` tells of it."""
    try:
        return event_of(request_id, subject, text)
    except ValueError:
        return None


def _aggregate(field: str, texts: Sequence[str]) -> Aggregate:
    # All figures of all shards at once: in hundreds of thousands of texts, that is what the time goes into.
    figures = orjson.loads(f"[{' '.join(texts).replace(' ', ',')}]")
    sums = Sums(*(sum(figures[place::_FIGURES]) for place in range(_FIGURES)))
    index, model, provider, tier, outcome, error = field.split(" ")
    return Aggregate(int(index), name_of(model), name_of(provider), name_of(tier), outcome, name_of(error), sums)
