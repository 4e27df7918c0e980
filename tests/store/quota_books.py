"""The ledger of a store against the model: each request once, and every sum what the events make of it."""

from collections.abc import Mapping

from scalix.domain.ledger.ledger import Event, Sums, sums_of
from scalix.store.ledger.redis_ledger import LedgerReader
from tests.store.memory.memory_ledger import MemoryLedger
from tests.store.quota_model import Model

DAY_MS = 86_400_000


async def compare_books(models: Mapping[str, Model], ledger: LedgerReader | MemoryLedger) -> None:
    """Each request once, and every sum what the events make of it."""
    events = [item.event for model in models.values() for item in model.charged.values()]
    days = sorted({event.admitted_ms // DAY_MS for event in events})
    found = [event for subject in models for day in days for event in await ledger.events(subject, day)]
    assert sorted(found, key=request_id_of) == sorted(events, key=request_id_of)
    if not days:
        return
    for subject in models:
        own = sum((sums_of(event) for event in events if event.subject == subject), Sums())
        assert sum((one.sums for one in await ledger.summaries(subject, days[0], days[-1])), Sums()) == own
    for day in days:
        total = sum((sums_of(event) for event in events if event.admitted_ms // DAY_MS == day), Sums())
        by_hour = await ledger.by_hour(day * 24, day * 24 + 23)
        assert sum((one.sums for one in by_hour), Sums()) == total
        assert sum((one.sums for one in await ledger.by_day(day, day)), Sums()) == total
        tokens = sum(score for _, score in await ledger.top(day, day, "tokens", 9))
        cost = sum(score for _, score in await ledger.top(day, day, "cost", 9))
        assert (tokens, cost) == (total.tokens, total.cost_nano_usd)


def request_id_of(event: Event) -> str:
    return event.request_id
