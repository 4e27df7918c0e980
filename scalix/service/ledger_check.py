"""Compares every counter and sum with the events that it was made of, and mends what differs."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scalix.domain.ledger import Event
from scalix.domain.ledger_check import (
    ALL_PARTS,
    DAY_MS,
    SHARD_PARTS,
    Difference,
    Part,
    ReadEvents,
    ShardBooks,
    SubjectBooks,
    Texts,
    duplicates,
    kept_parts,
    read_events,
    shard_differences,
    subject_differences,
)
from scalix.domain.retention import Retention
from scalix.domain.subjects import SHARDS, shard_of
from scalix.store.books import Books, Listing

_AT_ONCE = 8
_MOST_LOOKS = 5
_MOST_TRIES = 20
_MANY = 500
_SUBJECT_PARTS = ("windows", "summaries")

log = logging.getLogger("scalix.ledger")


@dataclass
class Findings:
    """What a check has found. `moving` are fields of sums that kept changing while they were looked at."""

    day: int
    parts: frozenset[Part] = ALL_PARTS
    subjects: int = 0
    events: int = 0
    differences: list[Difference] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    mended: int = 0
    left: list[Difference] = field(default_factory=list)


@dataclass
class _ShardEvents:
    events: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def all(self) -> Iterable[Event]:
        return (event for some in self.events.values() for event in some)


class LedgerCheck:
    """Safe while requests are settled: a subject is read at one moment, and sums that moved are looked at again."""

    def __init__(self, books: Books, retention: Callable[[], Retention]) -> None:
        self._books = books
        self._retention = retention

    async def verify(
        self, day: int, subject: str | None = None, *, archived: dict[str, Texts] | None = None
    ) -> Findings:
        """All differences of a day; of one subject's alone, everybody's sums are not looked at.

        `archived`: the events of the day, by subject, if they are no longer in the store. Raises `StoreUnavailable`.
        """
        findings = Findings(day, parts=await self._kept(day))
        if subject is not None:
            await self._check_subjects([subject], findings, _ShardEvents(), archived)
            return findings
        doubtful = await self._check_shards(range(SHARDS), findings, archived)
        if doubtful:
            # A subject that came after the listing looks like a sum without events: look once more, with a new listing.
            again = Findings(day, parts=findings.parts)
            await self._check_shards(doubtful, again, archived)
            kept = [one for one in findings.differences if _shard_of(one) not in doubtful]
            findings.differences = kept + again.differences
            findings.moving = again.moving
        return findings

    async def repair(self, day: int, subject: str | None = None) -> Findings:
        """The same, and writes what the events say; what can't be mended is `left`. Raises `StoreUnavailable`."""
        findings = await self.verify(day, subject)
        found = findings.differences
        findings.left = [one for one in found if one.part is None]
        for one in dict.fromkeys(difference.where for difference in found if difference.part in _SUBJECT_PARTS):
            if not await self._mend_subject(one, findings):
                findings.left += [difference for difference in found if difference.where == one and difference.part]
        shards = {_shard_of(difference) for difference in found if difference.part in SHARD_PARTS}
        shards |= {_moving_shard(name) for name in findings.moving}
        for shard in await self._mend_shards(shards, findings):
            findings.left += [one for one in found if one.part in SHARD_PARTS and _shard_of(one) == shard]
        return findings

    async def _kept(self, day: int) -> frozenset[Part]:
        return kept_parts(day, await self._books.now_ms() // DAY_MS, self._retention())

    async def _check_shards(
        self, shards: Iterable[int], findings: Findings, archived: dict[str, Texts] | None
    ) -> set[int]:
        """Check these shards; those whose sums differ."""
        listing = await self._books.listing(findings.day)
        for subject in archived or ():
            listing.subjects.setdefault(shard_of(subject), set()).add(subject)
        doubtful = set()
        for shard in shards:
            if await self._check_shard(shard, listing, findings, archived):
                doubtful.add(shard)
        return doubtful

    async def _check_shard(
        self, shard: int, listing: Listing, findings: Findings, archived: dict[str, Texts] | None
    ) -> bool:
        before, _ = await self._books.shard(shard, findings.day)
        subjects = listing.subjects.get(shard, set()) | set(before.tokens)
        of_shard = _ShardEvents()
        await self._check_subjects(sorted(subjects), findings, of_shard, archived)
        after, _ = await self._books.shard(shard, findings.day)
        for _ in range(_MOST_LOOKS):
            if before == after:
                break
            before = after
            subjects |= set(before.tokens)
            of_shard.events = {one: await self._events(one, findings.day, archived) for one in sorted(subjects)}
            after, _ = await self._books.shard(shard, findings.day)
        erased = shard in listing.erased
        # In a thread, so that this process answers requests meanwhile.
        differences = await asyncio.to_thread(
            shard_differences, _name(shard), after, findings.day, of_shard.all(), findings.parts, erased=erased
        )
        steady = [one for one in differences if _is_steady(one, before, after)]
        findings.moving += [f"{_name(shard)} {one.field}" for one in differences if one not in steady]
        findings.differences += steady
        return bool(differences)

    async def _events(self, subject: str, day: int, archived: dict[str, Texts] | None) -> tuple[Event, ...]:
        texts = (await self._books.subject(subject, day)).events
        return read_events(subject, day, texts if archived is None else {**archived.get(subject, {}), **texts}).events

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
            read = read_events(subject, findings.day, books.events)
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
            events += read_events(subject, day, texts).events
        erased = shard in listing.erased
        return await asyncio.to_thread(
            shard_differences, _name(shard), books, day, events, findings.parts, erased=erased
        )


def _compare(books: SubjectBooks, findings: Findings, texts: Texts) -> tuple[ReadEvents, list[Difference]]:
    read = read_events(books.subject, findings.day, texts)
    return read, subject_differences(books, findings.day, read.events, findings.parts)


def _name(shard: int) -> str:
    return f"s{shard:02x}"


def _shard_of(difference: Difference) -> int:
    return int(difference.where[1:], 16) if difference.part in SHARD_PARTS else shard_of(difference.where)


def _moving_shard(text: str) -> int:
    return int(text[1:3], 16)


def _is_steady(difference: Difference, before: ShardBooks, after: ShardBooks) -> bool:
    part = difference.part
    return part is not None and before.part(part).get(difference.field) == after.part(part).get(difference.field)
