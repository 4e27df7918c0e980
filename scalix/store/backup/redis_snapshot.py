"""Everything that the store holds, read for a backup while requests go on.

First all keys, one after another, as a scan finds them. Then, shard by shard, once more and at one moment whatever a
request may have changed meanwhile: of each user who was active since yesterday the windows, requests in flight, events,
sums, balance and credits, with the sums of everybody, the rankings and the leases of the shard. What comes later in a
backup replaces what came before. So a shard's counters, events and sums agree with each other.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.records.pseudonyms import pseudonym

TIMEOUT_MS = 10_000
MOST_ENTRIES = 2_000
_TOGETHER = 64
_MOST_LOOKS = 20
_MOST_ROUNDS = 20
# Of the time that this reads, the store has three times as much for others.
_REST = 3.0
_REST_AT_MOST_S = 0.5
# What says something of the moment only, or of this very store.
PASSING = frozenset({"epoch", "instances", "loads", "checks", "archive-lock", "backup-lock", "backups"})
# And who is signed in to the pages: a backup that is restored signs nobody in again.
_PASSING_PREFIXES = ("{cooldowns}:", "sign-in:", "sign-in-code:")
_NAME = re2.compile(r"(?s)\{s([0-9a-f]{2})\}:([A-Za-z]+):(.+)")

Line = list[Any]
"""`["k", name after the prefix, type, end in ms or 0, 1 if it begins anew, values as lua/write_key.lua takes them]`."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """What the name of a shard's key says; `rest` is what follows its kind."""

    shard: int
    kind: str
    rest: str

    @classmethod
    def of(cls, name: str) -> "KeyName | None":
        """`name` is what follows the prefix; `None`: it is no such key."""
        match = _NAME.fullmatch(name)
        return cls(int(match[1], 16), match[2], match[3]) if match else None

    @property
    def subject(self) -> str | None:
        """The subject that the key belongs to, if its name says so."""
        if self.kind in ("e", "et", "s"):
            return self.rest.rpartition(":")[0]
        return self.rest if self.kind in "wfjbcmuoyg" and not self.rest.startswith("~") else None


class StoreSnapshot(SessionStore):
    """One reading of the store. Give it a session of its own. Everything may raise `StoreUnavailable`."""

    def __init__(
        self, session: StoreSession, key: bytes | None, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        super().__init__(session)
        self._key = key
        self._sleep = sleep
        self._active: defaultdict[int, set[str]] = defaultdict(set)
        self._days: set[int] = set()

    async def lines(self) -> AsyncIterator[Line]:
        """The lines of a backup."""
        await self._look_at_the_day()
        async for line in self._every_key():
            yield line
        shards: Collection[int] = range(SHARDS)
        for _ in range(_MOST_ROUNDS):
            unclear = set()
            for shard in shards:
                lines, is_whole = await self._shard(shard)
                if not is_whole:
                    unclear.add(shard)
                for line in lines:
                    yield line
            if not unclear:
                return
            shards = unclear & await self._shards_of_others()

    async def _every_key(self) -> AsyncIterator[Line]:
        groups: list[list[str]] = []
        async for full in self._session.names_like("*"):
            name = full[len(self._keys.prefix) :]
            if name in PASSING or name.startswith(_PASSING_PREFIXES):
                continue
            self._note_active(name)
            groups.append([full, *self._beside(name)])
            if len(groups) == _TOGETHER:
                async for line in self._read(groups):
                    yield line
                groups = []
        async for line in self._read(groups):
            yield line

    def _beside(self, name: str) -> list[str]:
        """What changes together with a key and not by requests alone: a balance and what was added to it."""
        known = KeyName.of(name)
        if known is None or known.kind not in ("b", "c"):
            return []
        return [(self._keys.credits if known.kind == "b" else self._keys.balance)(known.rest)]

    def _note_active(self, name: str) -> None:
        known = KeyName.of(name)
        if known is not None and known.kind == "e":
            subject, _, day = known.rest.rpartition(":")
            if day.isdigit() and int(day) in self._days:
                self._active[known.shard].add(subject)

    async def _read(self, groups: Sequence[list[str]]) -> AsyncIterator[Line]:
        replies = await self._paced(self._session.run_all("read_keys", [(group, [MOST_ENTRIES]) for group in groups]))
        for group, reply in zip(groups, replies, strict=True):
            for full, (kind, ends_ms, value) in zip(group, reply, strict=True):
                if value is not None:
                    yield self._line(full, kind, ends_ms, values_of(kind, value))
                elif kind != "none":
                    async for line in self._in_pages(full, kind, ends_ms):
                        yield line

    async def _in_pages(self, full: str, kind: str, ends_ms: int) -> AsyncIterator[Line]:
        anew = 1
        async for values in self._pages(full, kind):
            line = self._line(full, kind, ends_ms, values)
            line[4], anew = anew, 0
            yield line

    async def _pages(self, full: str, kind: str) -> AsyncIterator[list[str]]:
        if kind == "stream":
            start = "-"
            while entries := await self._paced(self._session.xrange(full, start, "+", MOST_ENTRIES)):
                yield values_of(kind, [[ident, _flat(fields.items())] for ident, fields in entries])
                start = f"({entries[-1][0]}"
            return
        scan, cursor = {"hash": "HSCAN", "zset": "ZSCAN", "set": "SSCAN"}[kind], 0
        while True:
            asked = self._session.execute_command(scan, full, cursor, "COUNT", MOST_ENTRIES)
            cursor, page = await self._paced(asked)
            if kind == "hash":
                yield _flat(page.items())
            else:
                yield list(page) if kind == "set" else _flat((repr(score), member) for member, score in page)
            if not int(cursor):
                return

    async def _shard(self, shard: int) -> tuple[list[Line], bool]:
        """What requests change, of all who are active in a shard, at one moment; and whether that was everybody.

        Rankings and leases do not name those who came meanwhile, used nothing and are not in flight; that everybody's
        sums count more events than there are, also by an erasure, says that there may be some.
        """
        await self._look_at_the_day()
        subjects, key_ids = self._active[shard], dict[str, set[str]]()
        for _ in range(_MOST_LOOKS):
            names = self._names(shard, subjects, key_ids)
            reply = await self._paced(self._session.run("read_keys", names, [0]))
            found = {name: values_of(kind, value) for name, (kind, _, value) in zip(names, reply, strict=True) if value}
            more = self._subjects(shard, found) - subjects
            ids = {one: set(found.get(self._keys.keys_of(one), ())) for one in subjects}
            if not more and all(ids[one] == key_ids.get(one, set()) for one in subjects):
                break
            subjects |= more
            key_ids = ids
        lines = [
            self._line(name, kind, ends_ms, values_of(kind, value))
            for name, (kind, ends_ms, value) in zip(names, reply, strict=True)
        ]
        return lines, self._counted(shard, found) <= self._events(subjects, found)

    def _counted(self, shard: int, found: dict[str, list[str]]) -> int:
        """How many events everybody's sums of these days have."""
        sums = (found.get(self._keys.hour_sums(shard, day), [])[1::2] for day in self._days)
        return sum(int(text.partition(" ")[0]) for texts in sums for text in texts)

    def _events(self, subjects: Iterable[str], found: dict[str, list[str]]) -> int:
        """How many events were found of these days."""
        names = (self._keys.events(one, day * DAY_MS) for one in subjects for day in self._days)
        return sum(len(found.get(name, ())) // 2 for name in names)

    def _names(self, shard: int, subjects: Iterable[str], key_ids: dict[str, set[str]]) -> list[str]:
        keys, days = self._keys, sorted(self._days)
        months = sorted({window_index(Window.MONTH, day * DAY_MS) for day in days})
        names = [
            f"{keys.prefix}{{s{shard:02x}}}:l",
            keys.all_people()[shard],
            *(keys.day_sums(shard, month) for month in months),
        ]
        for day in days:
            names += [keys.hour_sums(shard, day), keys.first_bytes(shard, day), keys.in_time(shard, day)]
            names += [keys.ranking(shard, day, by) for by in ("tokens", "cost")]
        for one in sorted(subjects):
            of_subject = (keys.windows, keys.in_flight, keys.adjustments, keys.balance, keys.credits, keys.keys_of)
            names += [name(one) for name in of_subject]
            names += [name for day in days for name in (keys.events(one, day * DAY_MS), keys.events_in_time(one, day))]
            names += [keys.summaries(one, month) for month in months]
            names += [keys.key_windows(one, key_id) for key_id in sorted(key_ids.get(one, ()))]
            if self._key is not None:
                names.append(keys.pseudonyms_windows(one, pseudonym(self._key, one)))
        return names

    def _subjects(self, shard: int, found: dict[str, list[str]]) -> set[str]:
        """Whom the shard's rankings and leases name."""
        keys, named = self._keys, set[str]()
        for day in self._days:
            for by in ("tokens", "cost"):
                named.update(found.get(keys.ranking(shard, day, by), ())[1::2])
        leases = found.get(f"{keys.prefix}{{s{shard:02x}}}:l", [])[1::2]
        named.update(lease.partition(" ")[2] for lease in leases)
        return {one for one in named if shard_of(one) == shard}

    async def _shards_of_others(self) -> set[int]:
        """The shards of those who have events by now and were not known to be active; from now on they are."""
        shards = set()
        for day in sorted(self._days):
            async for full in self._session.names_like(f"{{s[0-9a-f][0-9a-f]}}:e:*:{day}"):
                known = KeyName.of(full[len(self._keys.prefix) :])
                subject = known.subject if known else None
                if known and subject and subject not in self._active[known.shard]:
                    self._active[known.shard].add(subject)
                    shards.add(known.shard)
        return shards

    async def _look_at_the_day(self) -> None:
        today = await self._session.time_ms() // DAY_MS
        self._days |= {today, today - 1}

    def _line(self, full: str, kind: str, ends_ms: int, values: list[str]) -> Line:
        return ["k", full[len(self._keys.prefix) :], kind, int(ends_ms), 1, values]

    async def _paced(self, reading: Awaitable[Any]) -> Any:
        began_s = time.monotonic()
        answer = await reading
        await self._sleep(min(_REST * (time.monotonic() - began_s), _REST_AT_MOST_S))
        return answer


def values_of(kind: str, value: Any) -> list[str]:
    """What lua/write_key.lua takes for what lua/read_keys.lua gives."""
    if value is None:
        return []
    if kind == "string":
        return [value]
    if kind == "zset":
        return [word for place in range(0, len(value), 2) for word in (value[place + 1], value[place])]
    if kind == "stream":
        return [word for ident, fields in value for word in (ident, str(len(fields)), *fields)]
    return list(value)


def _flat(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [word for pair in pairs for word in pair]
