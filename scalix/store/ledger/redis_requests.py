"""Reads single events in the order of their admission, newest first: of one subject, and of everybody, whose events lie
in 256 shards. What is read does not grow with the events that there are, but with those that are asked for."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import NamedTuple

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.ledger import Event, event_of
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.connection.session import SessionStore
from scalix.store.keys import Keys

_FIRST_DAYS, _FURTHER = 2, 4
_PARSED_AT_ONCE = 200
# Between the making of an id and the admission: by how much clocks may differ, and how long a request may wait.
_CLOCKS_APART_MS, _WAITED_MS = 10_000, 3_600_000


class Place(NamedTuple):
    """Where an event stands in the order: when it was admitted (Unix time in ms), and its id."""

    admitted_ms: int
    request_id: str


class Entry(NamedTuple):
    """An event that there is."""

    admitted_ms: int
    request_id: str
    subject: str

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.admitted_ms, self.request_id)


class _Shard:
    """How far one shard has been read: everything that is not read yet comes after `rest`, unless it `is_read`."""

    def __init__(self, number: int, before: Place, most: int) -> None:
        self.number = number
        self.rest = before
        self.is_read = False
        self._most = most
        self._days = _FIRST_DAYS
        self._next: Place | None = before

    def call(self, keys: Keys, oldest_ms: int) -> tuple[list[str], list[int]]:
        """What to ask the store for now: keys and arguments of lua/requests.lua."""
        newest_ms = self.rest.admitted_ms - (not self.rest.request_id)
        newest, oldest = newest_ms // DAY_MS, oldest_ms // DAY_MS
        days = range(newest, max(newest - self._days, oldest - 1), -1)
        self._next = Place(days[-1] * DAY_MS, "") if days and days[-1] > oldest else None
        return [keys.in_time(self.number, day) for day in days], [self._most, newest_ms, oldest_ms]

    def take(self, words: Sequence[str]) -> list[Entry]:
        """The events of the answer that were not read before."""
        found = []
        for member, score in zip(words[::2], words[1::2], strict=True):
            request_id, _, subject = member.partition(" ")
            entry = Entry(int(float(score)), request_id, subject)
            if entry.place < self.rest:
                found.append(entry)
        if len(found) >= self._most:
            self.rest = found[-1].place
        else:
            self.rest, self.is_read = self._next or self.rest, self._next is None
            self._days *= _FURTHER
        self._most *= _FURTHER
        return found


class RequestReader(SessionStore):
    """Reads events by time. Every method may raise `StoreUnavailable`."""

    async def newest(self, before: Place, oldest_ms: int, most: int) -> list[Event]:
        """Up to `most` events of everybody that were admitted before `before` and not before `oldest_ms`. Fewer: there
        are no more. An event that has ended meanwhile may be left out, never one that was there."""
        if before.admitted_ms < oldest_ms:
            return []
        entries = await self._entries(before, oldest_ms, most)
        found = await self.events(entries)
        while len(found) < most and len(entries) == most:  # of some only their place is left
            entries = await self._entries(entries[-1].place, oldest_ms, most)
            found += await self.events(entries)
        return found[:most]

    async def newest_of(self, subject: str, before: Place, oldest_ms: int, most: int) -> list[Event]:
        """The same of one subject."""
        days = range(before.admitted_ms // DAY_MS, oldest_ms // DAY_MS - 1, -1)
        counts = await self._session.each("HLEN", [self._keys.events(subject, day * DAY_MS) for day in days])
        there = [(day, int(count)) for day, count in zip(days, counts, strict=True) if count]
        found: list[Event] = []
        while there and len(found) < most:
            some, expected = [], 0
            while there and expected < most - len(found):
                day, count = there.pop(0)
                some.append(day)
                expected += count if len(some) > 1 else min(count, most)
            names = (
                [self._keys.events(subject, day * DAY_MS), self._keys.events_in_time(subject, day)] for day in some
            )
            args = [most, before.admitted_ms, oldest_ms]
            for words in await self._session.run_all("requests_of_day", ((keys, args) for keys in names)):
                events = []
                for number, (request_id, text) in enumerate(zip(words[::2], words[1::2], strict=True)):
                    event = _event(request_id, text, subject)
                    if event and event.admitted_ms >= oldest_ms and place_of(event) < before:
                        events.append(event)
                    if not number % _PARSED_AT_ONCE:
                        await asyncio.sleep(0)  # of a day without an index it may be all
                found += sorted(events, key=place_of, reverse=True)
        return found[:most]

    async def events(self, entries: Sequence[Entry]) -> list[Event]:
        """The events in the order of their places; those that are gone are left out."""
        groups: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            groups[shard_of(entry.subject)].append(entry)
        calls = (
            ([self._keys.events(one.subject, one.admitted_ms) for one in some], [one.request_id for one in some])
            for some in groups.values()
        )
        found: dict[Entry, Event | None] = {}
        for some, texts in zip(groups.values(), await self._session.run_all("events_of", calls), strict=True):
            for number, (entry, text) in enumerate(zip(some, texts, strict=True)):
                found[entry] = _event(entry.request_id, text, entry.subject)
                if not number % _PARSED_AT_ONCE:
                    await asyncio.sleep(0)
        return [event for entry in entries if (event := found[entry])]

    async def of_id(self, subject: str, request_id: str, days: Iterable[int]) -> Event | None:
        """A subject's event of this id, on one of these days."""
        batch = self._session.batch()
        for day in days:
            batch.hget(self._keys.events(subject, day * DAY_MS), request_id)
        return next(
            (event for text in await batch.execute() if (event := _event(request_id, text or "", subject))), None
        )

    async def find(self, request_id: str, made_ms: int) -> Event | None:
        """Anybody's event of this id, which was made a little before the request was admitted."""
        first_ms, last_ms = made_ms - _CLOCKS_APART_MS, made_ms + _WAITED_MS
        days = sorted({first_ms // DAY_MS, last_ms // DAY_MS})
        names = ([self._keys.in_time(shard, day) for day in days] for shard in range(SHARDS))
        args: list[str | int] = [request_id, first_ms, last_ms]
        for subject in await self._session.run_all("find_request", ((keys, args) for keys in names)):
            if subject:
                return await self.of_id(subject, request_id, days)
        return None

    async def _entries(self, before: Place, oldest_ms: int, most: int) -> list[Entry]:
        """The places of everybody's newest events: some of each shard, and more of those that may have more of them."""
        asked = shards = [_Shard(number, before, 2 * most // SHARDS + 2) for number in range(SHARDS)]
        found: list[Entry] = []
        while asked:
            calls = (shard.call(self._keys, oldest_ms) for shard in asked)
            for shard, words in zip(asked, await self._session.run_all("requests", calls), strict=True):
                found += shard.take(words)
            found = nlargest(most, found)
            last = found[-1].place if len(found) == most else None
            shards = [shard for shard in shards if not shard.is_read and (last is None or shard.rest > last)]
            # Where few shards have anything, what those have is enough mostly, and no older days are asked for.
            asked = [shard for shard in shards if shard.rest.request_id] or shards
        return found


def place_of(event: Event) -> Place:
    """Where an event stands in the order."""
    return Place(event.admitted_ms, event.request_id)


def _event(request_id: str, text: str, subject: str) -> Event | None:
    """`None` for what is no event; `scalix ledger verify` tells of it."""
    try:
        return event_of(request_id, subject, text)
    except ValueError:
        return None
