"""Compares every counter and sum with the events that it was made of, and mends what differs."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.books import (
    ALL_PARTS,
    INDEXES,
    SHARD_PARTS,
    SUBJECT_PARTS,
    Difference,
    Part,
    ShardBooks,
    SubjectBooks,
    Texts,
)
from scalix.domain.ledger.ledger import EVENT_VERSION, Event
from scalix.domain.ledger.ledger_check import (
    ReadEvents,
    duplicates,
    kept_parts,
    read_events,
    shard_differences,
    subject_differences,
)
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.ledger.redis_ledger_repair import Listing, RedisBooks

_AT_ONCE = 8
_MOST_LOOKS = 5
_MOST_TRIES = 20
_MANY = 500

log = logging.getLogger("scalix.ledger")


@dataclass
class Findings:
    """What a check has found. `counts_all`: events of gateways of before, which have counted neither users nor first
    bytes, were to be counted like all others. `moving` are fields of sums that changed while they were looked at."""

    day: int
    parts: frozenset[Part] = ALL_PARTS
    counts_all: bool = False
    subjects: int = 0
    events: int = 0
    differences: list[Difference] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    mended: int = 0
    left: list[Difference] = field(default_factory=list)

    def take(self, looked: "_Looked") -> None:
        """Add what was found in one shard."""
        self.subjects += looked.findings.subjects
        self.events += looked.findings.events
        self.differences += looked.findings.differences
        self.moving += looked.moving


class _Looked:
    """One look at a shard, and at these subjects."""

    def __init__(self, shard: int, subjects: set[str], findings: Findings) -> None:
        self.shard = shard
        self.subjects = subjects
        self.findings = Findings(findings.day, findings.parts, findings.counts_all)
        self.moving: list[str] = []
        self.has_shard_differences = False


@dataclass
class _ShardEvents:
    events: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def all(self) -> Iterable[Event]:
        return (event for some in self.events.values() for event in some)


class LedgerCheck:
    """Safe while requests are settled: a subject is read at one moment, and sums that moved are looked at again."""

    def __init__(self, books: RedisBooks, retention: Callable[[], Retention]) -> None:
        self._books = books
        self._retention = retention

    async def verify(
        self,
        day: int,
        subject: str | None = None,
        *,
        archived: dict[str, Texts] | None = None,
        counts_all: bool = False,
    ) -> Findings:
        """All differences of a day; of one subject's alone, everybody's sums are not looked at.

        `archived`: the events of the day, by subject, if they are no longer in the store. Raises `StoreUnavailable`.
        """
        parts = await self._kept(day) - (frozenset() if archived is None else INDEXES)
        findings = Findings(day, parts, counts_all)
        if subject is not None:
            await self._check_subjects([subject], findings, _ShardEvents(), archived)
            return findings
        shards: Iterable[int] = range(SHARDS)
        listing = await self._listing(day, archived)
        for look in range(_MOST_LOOKS):
            looked = [await self._check_shard(shard, listing, findings, archived) for shard in shards]
            doubtful = [one for one in looked if one.moving or one.has_shard_differences]
            # Whoever is in a sum that was read is in a listing that is made after it.
            newer = await self._listing(day, archived) if doubtful else listing
            again = {one.shard for one in doubtful if one.moving or newer.subjects.get(one.shard, set()) - one.subjects}
            if look == _MOST_LOOKS - 1:
                again = set()
            for one in looked:
                if one.shard not in again:
                    findings.take(one)
            shards, listing = sorted(again), newer
            if not again:
                break
        return findings

    async def repair(self, day: int, subject: str | None = None) -> Findings:
        """The same, and writes what the events say; what can't be mended is `left`. Raises `StoreUnavailable`."""
        findings = await self.verify(day, subject, counts_all=True)
        found = findings.differences
        if not findings.events:
            findings.left = [replace(one, why="there is no event of that day") for one in found]
            return findings
        findings.left = [one for one in found if one.part is None]
        for one in dict.fromkeys(difference.where for difference in found if difference.part in SUBJECT_PARTS):
            if not await self._mend_subject(one, findings):
                findings.left += [difference for difference in found if difference.where == one and difference.part]
        shards = {_shard_of(difference) for difference in found if difference.part in SHARD_PARTS}
        shards |= {int(name[1:3], 16) for name in findings.moving}
        for shard in await self._mend_shards(shards, findings):
            findings.left += [one for one in found if one.part in SHARD_PARTS and _shard_of(one) == shard]
        return findings

    async def _kept(self, day: int) -> frozenset[Part]:
        return kept_parts(day, await self._books.now_ms() // DAY_MS, self._retention())

    async def _listing(self, day: int, archived: dict[str, Texts] | None) -> Listing:
        listing = await self._books.listing(day)
        for subject in archived or ():
            listing.subjects.setdefault(shard_of(subject), set()).add(subject)
        return listing

    async def _check_shard(
        self, shard: int, listing: Listing, findings: Findings, archived: dict[str, Texts] | None
    ) -> _Looked:
        """What differs in a shard. A sum is judged only if it was the same before its events were read and after."""
        before, _ = await self._books.shard(shard, findings.day)
        looked = _Looked(shard, listing.subjects.get(shard, set()) | set(before.tokens), findings)
        of_shard = _ShardEvents()
        await self._check_subjects(sorted(looked.subjects), looked.findings, of_shard, archived)
        after, _ = await self._books.shard(shard, findings.day)
        for one in await self._differences(shard, listing, after, of_shard.all(), findings):
            if _is_steady(one, before, after):
                looked.findings.differences.append(one)
                looked.has_shard_differences = True
            elif one.part not in INDEXES:  # one of just now says nothing
                looked.moving.append(f"{_name(shard)} {one.field}")
        return looked

    async def _check_subjects(
        self, subjects: Sequence[str], findings: Findings, of_shard: _ShardEvents, archived: dict[str, Texts] | None
    ) -> None:
        for start in range(0, len(subjects), _AT_ONCE):
            batch = subjects[start : start + _AT_ONCE]
            for books in await asyncio.gather(*(self._books.subject(one, findings.day) for one in batch)):
                texts = books.events if archived is None else {**archived.get(books.subject, {}), **books.events}
                if len(texts) > _MANY:
                    read, differences = await asyncio.to_thread(_compare, books, findings, texts)
                else:
                    read, differences = _compare(books, findings, texts)
                of_shard.events[books.subject] = read.events
                findings.subjects += 1
                findings.events += len(texts)
                findings.differences += read.faults
                findings.differences += duplicates(books.subject, texts.keys(), of_shard.ids)
                findings.differences += differences

    async def _mend_subject(self, subject: str, findings: Findings) -> bool:
        for _ in range(_MOST_TRIES):
            books = await self._books.subject(subject, findings.day)
            read = _read(subject, findings, books.events)
            changes = subject_differences(books, findings.day, read.events, findings.parts)
            if not changes:
                return True
            if await self._books.mend_subject(books, findings.day, changes):
                findings.mended += len(changes)
        return False

    async def _mend_shards(self, shards: set[int], findings: Findings) -> set[int]:
        """Mend the sums of these shards; those that could not be."""
        left = set(shards)
        listing = await self._books.listing(findings.day) if left else Listing()
        for _ in range(_MOST_TRIES):
            if not left:
                break
            planned = {shard: await self._plan(shard, listing, findings) for shard in sorted(left)}
            # Whoever has come since the listing is in the sums and was not read: then all of it again.
            newer = await self._books.listing(findings.day)
            for shard, changes in planned.items():
                if newer.subjects.get(shard, set()) <= listing.subjects.get(shard, set()) and (
                    not changes or await self._books.mend_shard(shard, findings.day, changes)
                ):
                    findings.mended += len(changes)
                    left.discard(shard)
            listing = newer
        return left

    async def _plan(self, shard: int, listing: Listing, findings: Findings) -> list[Difference]:
        """What to write into the sums of a shard, as they are before its events are read: if one of them changes
        meanwhile, it is not written."""
        day = findings.day
        books, _ = await self._books.shard(shard, day)
        events: list[Event] = []
        for subject in sorted(listing.subjects.get(shard, ())):
            texts = (await self._books.subject(subject, day)).events
            events += _read(subject, findings, texts).events
        return await self._differences(shard, listing, books, events, findings)

    async def _differences(
        self, shard: int, listing: Listing, books: ShardBooks, events: Iterable[Event], findings: Findings
    ) -> list[Difference]:
        """In a thread, so that this process answers requests meanwhile."""
        compare = partial(shard_differences, erased=shard in listing.erased)
        return await asyncio.to_thread(compare, _name(shard), books, findings.day, events, findings.parts)


def _read(subject: str, findings: Findings, texts: Texts) -> ReadEvents:
    read = read_events(subject, findings.day, texts)
    if not findings.counts_all:
        return read
    return replace(read, events=tuple(replace(event, version=EVENT_VERSION) for event in read.events))


def _compare(books: SubjectBooks, findings: Findings, texts: Texts) -> tuple[ReadEvents, list[Difference]]:
    read = _read(books.subject, findings, texts)
    return read, subject_differences(books, findings.day, read.events, findings.parts)


def _name(shard: int) -> str:
    return f"s{shard:02x}"


def _shard_of(difference: Difference) -> int:
    return int(difference.where[1:], 16) if difference.part in SHARD_PARTS else shard_of(difference.where)


def _is_steady(difference: Difference, before: ShardBooks, after: ShardBooks) -> bool:
    part = difference.part
    return part is not None and before.part(part).get(difference.field) == after.part(part).get(difference.field)
