"""Reads and mends the books of the ledger in Redis or Valkey, each subject or shard in one script."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field

from scalix.domain.ledger.books import INDEXES, SHARD_PARTS, Difference, Part, ShardBooks, SubjectBooks, Texts
from scalix.domain.ledger.ledger import name_word
from scalix.domain.ledger.people import LATE, Person, after_days
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.store.connection.session import StoreSession
from scalix.store.keys import CLOCK_GRACE_MS, PEOPLE_TTL_MS
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.records.pseudonyms import Pseudonyms, SubjectStore

TIMEOUT_MS = 10_000
_SORTED = frozenset({"tokens", "cost"}) | INDEXES
_WINDOWS_LIFETIME_MS = 63 * DAY_MS


@dataclass(frozen=True, slots=True)
class Listing:
    """Whom the store knows: subjects by shard, and the shards that users were erased from since the day began."""

    subjects: dict[int, set[str]] = field(default_factory=dict)
    erased: frozenset[int] = frozenset()


class RedisBooks(SubjectStore):
    """What the check of the ledger reads, each at one moment, and what it writes, which takes nothing for granted.

    Every method may raise `StoreUnavailable`. Days are indexes since 1970-01-01 UTC. Give it a client of its own: its
    calls may take long. `retention` says for how long a key may live that has lost its end.
    """

    def __init__(self, session: StoreSession, pseudonyms: Pseudonyms, retention: Callable[[], Retention]) -> None:
        super().__init__(session, pseudonyms)
        self._retention = retention

    async def listing(self, day: int) -> Listing:
        """Every subject with windows, or with events or summaries of `day`. Reads all names of keys."""
        month = str(_month_of(day))
        subjects: dict[int, set[str]] = {}
        erasures: dict[str, int] = {}
        async for tag, kind, rest in names_of_shards(self._session):
            subject = rest
            if kind in ("e", "s"):
                subject, _, index = rest.rpartition(":")
                if index != (str(day) if kind == "e" else month):
                    continue
            elif kind == "z":
                erasures[f"{self._keys.prefix}{{s{tag:02x}}}:z:{rest}"] = tag
                continue
            elif kind != "w" or subject.startswith("~"):
                continue
            subjects.setdefault(tag, set()).add(subject)
        return Listing(subjects, frozenset(await self._erased_since(erasures, day * DAY_MS)))

    async def _erased_since(self, erasures: dict[str, int], at_ms: int) -> set[int]:
        shards = set()
        for name, shard in erasures.items():
            erased_ms = await self._session.get(name)
            if erased_ms is not None and int(erased_ms) >= at_ms:
                shards.add(shard)
        return shards

    async def subject(self, subject: str, day: int) -> SubjectBooks:
        """All that is kept of the subject and day."""
        names = [self._keys.events(subject, day * DAY_MS), *self._subject_names(subject, day).values()]
        names += [self._keys.adjustments(subject), (await self._after_erasure(subject))[1], self._keys.people(subject)]
        server_ms, elsewhere, person, *found = await self._session.run("ledger_read", names, [subject])
        events, windows, summaries, in_time, adjustments = map(_texts, found)
        now_ms = int(server_ms) if self._session.clock is None else self._session.clock()
        texts = (events, windows, summaries, adjustments, person)
        return SubjectBooks(subject, now_ms, *texts, events_in_time=_scores(in_time), under_pseudonym=bool(elsewhere))

    async def shard(self, shard: int, day: int, subjects: Collection[str] = ()) -> tuple[ShardBooks, dict[str, Texts]]:
        """Everybody's sums of a shard, and the events of `subjects`."""
        names = [*self._shard_names(shard, day).values()]
        names += [self._keys.events(subject, day * DAY_MS) for subject in subjects]
        reply = await self._session.run("ledger_read_shard", names, [])
        hours, days, tokens, cost, first_bytes, people, in_time = map(_texts, reply[: len(SHARD_PARTS)])
        today = await self.now_ms() // DAY_MS
        events: dict[str, Texts] = dict(zip(subjects, map(_texts, reply[len(SHARD_PARTS) :]), strict=True))
        sorted_sets = (_scores(tokens), _scores(cost))
        return ShardBooks(hours, days, *sorted_sets, first_bytes, people, today, _scores(in_time)), events

    async def mend_subject(self, books: SubjectBooks, day: int, changes: Sequence[Difference]) -> bool:
        """Write what is right, all or nothing, if nothing has changed since `books` was read; else `False`."""
        names, events = self._subject_names(books.subject, day), self._keys.events(books.subject, day * DAY_MS)
        of_sums = [change for change in changes if change.part != "person"]
        if of_sums and not await self._mend(events, len(books.events), names, of_sums):
            return False
        return len(of_sums) == len(changes) or await self._mend_person(books.subject, books.person)

    async def mend_shard(self, shard: int, day: int, changes: Sequence[Difference]) -> bool:
        """Write what is right, all or nothing, if every field is still as it was found; else `False`."""
        names = self._shard_names(shard, day)
        if not await self._mend(names["hours"], "", names, changes):
            return False
        await self._session.run("mend_person", [names["people"]], ["", "", "", day, LATE, 1])
        return True

    async def _mend_person(self, subject: str, text: str) -> bool:
        """Write when the subject was there by its sums, which are kept for longer than events."""
        today, kept = await self.now_ms() // DAY_MS, self._retention().days_days
        stays = defaultdict[str, set[int]](set)
        for one in await LedgerReader(self._session).summaries(subject, today - kept, today + 1):
            if one.tier and one.sums.events:
                stays[name_word(one.tier)].add(one.day)
        try:
            before = Person.of(text) if text else None
        except ValueError:
            before = None
        right = after_days(stays, before, today - kept)
        changes = right.counts()
        changes.subtract(before.counts() if before else {})
        args: list[str | int] = [subject, text, right.text if right.tiers or right.hits else ""]
        for day in {day for (day, _), number in changes.items() if number}:
            args += [day, LATE, 1]
        for (day, name), number in changes.items():
            if number:
                args += [day, name, number]
        return bool(await self._session.run("mend_person", [self._keys.people(subject)], args))

    async def _mend(self, first: str, count: int | str, names: dict[Part, str], changes: Sequence[Difference]) -> bool:
        parts = [*names]
        args: list[str | int] = [count, *(self._lifetime_ms(part) for part in parts)]
        for change in changes:
            if change.part is None:
                raise ValueError("nothing says what is right here")
            kind = "z" if change.part in _SORTED else "h"
            args += [parts.index(change.part) + 2, kind, change.field, change.found or "", change.right or ""]
        return bool(await self._session.run("ledger_mend", [first, *names.values()], args))

    def _lifetime_ms(self, part: Part) -> int:
        kept = self._retention()
        if part == "people":
            return PEOPLE_TTL_MS
        if part == "windows":
            return _WINDOWS_LIFETIME_MS + CLOCK_GRACE_MS
        if part in INDEXES:
            return kept.events_days * DAY_MS + CLOCK_GRACE_MS
        return (kept.days_days if part in ("summaries", "days") else kept.hours_days) * DAY_MS + CLOCK_GRACE_MS

    def _subject_names(self, subject: str, day: int) -> dict[Part, str]:
        return {
            "windows": self._keys.windows(subject),
            "summaries": self._keys.summaries(subject, _month_of(day)),
            "events_in_time": self._keys.events_in_time(subject, day),
        }

    def _shard_names(self, shard: int, day: int) -> dict[Part, str]:
        keys = self._keys
        return {
            "hours": keys.hour_sums(shard, day),
            "days": keys.day_sums(shard, _month_of(day)),
            "tokens": keys.ranking(shard, day, "tokens"),
            "cost": keys.ranking(shard, day, "cost"),
            "first_bytes": keys.first_bytes(shard, day),
            "people": keys.all_people()[shard],
            "in_time": keys.in_time(shard, day),
        }


async def names_of_shards(session: StoreSession) -> AsyncIterator[tuple[int, str, str]]:
    """Every key of the shards: the shard, the letter of its kind, and the rest; one may come twice."""
    head = f"{session.names.prefix}{{s"
    async for name in session.names_like("{s*"):
        tag, _, rest = name[len(head) :].partition("}:")
        kind, _, rest = rest.partition(":")
        yield int(tag, 16), kind, rest


def _month_of(day: int) -> int:
    return window_index(Window.MONTH, day * DAY_MS)


def _texts(pairs: Sequence[str]) -> dict[str, str]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _scores(texts: Texts) -> dict[str, str]:
    return {name: _whole(score) for name, score in texts.items()}


def _whole(score: str) -> str:
    """A sorted set's score as a whole number, which all of ours are."""
    number = float(score)
    return str(int(number)) if number.is_integer() else str(score)
