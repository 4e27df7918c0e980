"""Reads the events of a store in memory. Its sums are always made anew, from the events."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from scalix.domain.ledger.ledger import Aggregate, Event, Summary, Sums, summed_model, sums_of
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.ledger.redis_ledger import Ranking
from tests.store.memory.memory_limits import MemoryCounters

_HOUR_MS = 3_600_000
_Kind = TypeVar("_Kind", bound=Hashable)


class MemoryLedger:
    """A `LedgerReader` of what `store` holds."""

    def __init__(self, store: MemoryCounters) -> None:
        self._store = store

    async def now_ms(self) -> int:
        return self._store.now_ms()

    async def events(self, subject: str, day: int) -> list[Event]:
        found = [event for event in self._store.events_of(subject) if event.admitted_ms // DAY_MS == day]
        return sorted(found, key=lambda event: (event.admitted_ms, event.request_id))

    async def summaries(self, subject: str, first_day: int, last_day: int) -> list[Summary]:
        def kind(event: Event) -> tuple[int, str, str, str]:
            return event.admitted_ms // DAY_MS, summed_model(event.detail), event.detail.tier, event.key_id

        found = _summed(self._store.events_of(subject), kind)
        return [Summary(*of, sums) for of, sums in found if first_day <= of[0] <= last_day]

    async def by_hour(self, first_hour: int, last_hour: int) -> list[Aggregate]:
        return self._aggregates(_HOUR_MS, first_hour, last_hour)

    async def by_day(self, first_day: int, last_day: int) -> list[Aggregate]:
        return self._aggregates(DAY_MS, first_day, last_day)

    async def top(self, first_day: int, last_day: int, by: Ranking, most: int) -> list[tuple[str, int]]:
        scores: Counter[str] = Counter()
        for event in self._store.all_events(named=True):
            if first_day <= event.admitted_ms // DAY_MS <= last_day:
                scores[event.subject] += event.tokens if by == "tokens" else event.detail.cost_nano_usd
        return sorted(((name, score) for name, score in scores.items() if score), key=lambda one: (-one[1], one[0]))[
            : max(0, most)
        ]

    def _aggregates(self, length_ms: int, first: int, last: int) -> list[Aggregate]:
        def kind(event: Event) -> tuple[int, str, str, str, str, str]:
            detail = event.detail
            index = event.admitted_ms // length_ms
            return index, summed_model(event.detail), detail.provider, detail.tier, event.outcome, detail.error

        found = _summed(self._store.all_events(), kind)
        return [Aggregate(*of, sums) for of, sums in found if first <= of[0] <= last]


def _summed(events: Iterable[Event], kind: Callable[[Event], _Kind]) -> list[tuple[_Kind, Sums]]:
    sums: dict[_Kind, Sums] = {}
    for event in events:
        sums[kind(event)] = sums.get(kind(event), Sums()) + sums_of(event)
    return sorted(sums.items(), key=lambda item: item[0])  # type: ignore[return-value, arg-type]
