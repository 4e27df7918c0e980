"""Everything that is kept of one subject beside records and keys, as it is kept, in Redis or Valkey."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from scalix.domain.ledger.ledger import Event, Summary, event_of
from scalix.domain.ledger.people import Person
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Tally
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.privacy.redis_erasure import MOST_DAYS
from scalix.store.quota.quota_wire import WINDOW
from scalix.store.records.pseudonyms import SubjectStore

_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Credit:
    """What was added to a balance."""

    credit_id: str
    nano_usd: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is kept of a subject. `windows` are by kind and index; `merged_ms` is when an address was merged into it;
    `events` are in no order."""

    windows: Mapping[tuple[Window, int], Tally]
    in_flight: Mapping[str, int]  # id -> admitted at, in ms
    merged_ms: int | None
    balance: Mapping[str, int] | None
    credits: tuple[Credit, ...]
    adjustments: Mapping[str, str]
    events: list[Event] = field(repr=False)
    summaries: list[Summary] = field(repr=False)
    person: Person | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return not any(getattr(self, name) for name in self.__slots__)


class PersonalDataStore(SubjectStore):
    """Reads for exports. May raise `StoreUnavailable`."""

    async def of(self, subject: str) -> PersonalData:
        """All that is kept of a subject."""
        keys = self._keys
        _, under_pseudonym = await self._after_erasure(subject)
        own = await self._session.hgetall(keys.windows(subject))
        kept = await self._session.hgetall(under_pseudonym)
        in_flight = await self._session.hgetall(keys.in_flight(subject))
        merged = await self._session.get(keys.merged(subject))
        balance = await self._session.hgetall(keys.balance(subject))
        credits_ = await self._session.hgetall(keys.credits(subject))
        adjustments = await self._session.hgetall(keys.adjustments(subject))
        person = await self._session.hget(keys.people(subject), subject)
        # Somebody who was erased and has come back uses the windows that were kept; alone they are nobody's.
        is_known = bool(own or in_flight or balance)
        events = [event async for event in self._events(subject)]
        today = await self._session.time_ms() // DAY_MS
        # An instance whose clock is ahead may have written into the next month.
        summaries = await LedgerReader(self._session).summaries(subject, today - MOST_DAYS, today + 31)
        windows = {**own, **(kept if is_known or events else {})}
        return PersonalData(
            windows={
                (WINDOW[name[0]], int(name[1:])): Tally.of_text(text)
                for name, text in sorted(windows.items())
                if name[0] in WINDOW
            },
            in_flight={request_id: int(text.split(" ")[0]) for request_id, text in in_flight.items()},
            merged_ms=int(merged) if merged else None,
            balance={name: int(value) for name, value in balance.items()} or None,
            credits=tuple(sorted(map(_credit, credits_.items()), key=lambda credit: credit.at_ms)),
            adjustments=adjustments,
            events=events,
            summaries=summaries,
            person=Person.of(person) if person else None,
        )

    async def _events(self, subject: str) -> AsyncIterator[Event]:
        now_ms = await self._session.time_ms()
        days = [self._keys.events(subject, now_ms - back * DAY_MS) for back in range(-1, MOST_DAYS)]
        for name in await self._there(days):
            async for request_id, text in self._fields(name):
                yield event_of(request_id, subject, text)

    async def _there(self, names: list[str]) -> list[str]:
        """Those of the keys that exist."""
        found = []
        for first in range(0, len(names), _TOGETHER):
            some = names[first : first + _TOGETHER]
            are_there = await self._session.each("EXISTS", some)
            found += [name for name, is_there in zip(some, are_there, strict=True) if is_there]
        return found

    async def _fields(self, name: str) -> AsyncIterator[tuple[str, str]]:
        seen: set[str] = set()  # a scan may give a field twice
        async for fields in self._session.pages(self._session.hscan, name, _TOGETHER):
            for field_name, text in fields.items():
                if field_name not in seen:
                    seen.add(field_name)
                    yield field_name, text


def _credit(pair: tuple[str, str]) -> Credit:
    nano_usd, _, at_ms = pair[1].partition(" ")
    return Credit(pair[0], int(nano_usd), int(at_ms))
