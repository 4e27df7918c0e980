"""Refusals of identity on their way to the audit log: alike ones are one entry, and a flood is bounded."""

import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from scalix.service.audit.audit import Act
from scalix.service.audit.identity_events import BURST, ENTRIES_PER_MINUTE, IdentityEvents
from scalix.store.base import StoreUnavailable
from tests.service.memory_trail import MemoryTrail
from tests.store.stores import Clock

WRONG = "invalid_api_key"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trail() -> MemoryTrail:
    return MemoryTrail()


@pytest.fixture
def events(trail: MemoryTrail, clock: Clock) -> IdentityEvents:
    return IdentityEvents(trail, now_ms=clock)


async def test_alike_refusals_are_one_entry_that_counts_them(
    events: IdentityEvents, trail: MemoryTrail, clock: Clock
) -> None:
    begin_ms = clock.now_ms
    for _ in range(5):
        events.refused(WRONG, "192.0.2.1", "", "/v1/models")
        clock.advance(seconds=1)
    events.refused("user_blocked", "192.0.2.1", "user:alice", "/v1/models")
    await events.flush()
    first, second = trail.acts
    assert (first.name, first.actor.name, first.actor.address) == ("identity.refused", "unknown", "192.0.2.1")
    assert first.details == {
        "code": WRONG,
        "path": "/v1/models",
        "count": 5,
        "first_ms": begin_ms,
        "last_ms": begin_ms + 4_000,
    }
    assert (second.actor.name, second.details["code"]) == ("user:alice", "user_blocked")
    await events.flush()
    assert len(trail.acts) == 2


async def test_a_flood_from_many_addresses_writes_few_entries_that_count_all(
    events: IdentityEvents, trail: MemoryTrail, clock: Clock
) -> None:
    minutes, each = 30, 2_000
    for minute in range(minutes):
        for number in range(each):
            events.refused(WRONG, f"2001:db8:{minute:x}:{number:x}::1", "", "/v1/models")
            if number % (each // 6) == 0:
                await events.flush()
        clock.advance(seconds=60)
    await events.flush(everything=True)
    assert len(trail.acts) <= BURST + (ENTRIES_PER_MINUTE + 2) * (minutes + 1)
    assert trail.counted == minutes * each
    rest = [act for act in trail.acts if act.name == "identity.refused.more"]
    assert rest
    assert {len(act.details["addresses"]) for act in rest} == {10}
    clock.advance(hours=1)
    events.refused(WRONG, "192.0.2.7", "", "/v1/models")
    await events.flush()
    assert trail.acts[-1].actor.address == "192.0.2.7"


async def test_memory_is_bounded_while_the_store_is_away(
    events: IdentityEvents, trail: MemoryTrail, clock: Clock
) -> None:
    trail.away = True
    tracemalloc.start()
    try:
        for number in range(20_000):
            events.refused(WRONG, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "", "/v1/" + "x" * 10_000)
            if number % 1_000 == 0:
                clock.advance(seconds=10)
                with pytest.raises(StoreUnavailable):
                    await events.flush()
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    trail.away = False
    clock.advance(seconds=60)
    await events.flush()
    assert trail.counted == 20_000
    assert max(len(str(act.details)) for act in trail.acts) < 2_000


async def test_what_comes_while_entries_are_written_is_not_lost(trail: MemoryTrail, clock: Clock) -> None:
    events: IdentityEvents

    class Slow(MemoryTrail):
        async def record_all(self, acts: Sequence[Act]) -> None:
            for number in range(200):
                events.refused(WRONG, f"192.0.2.{number}", "", "/")
            await super().record_all(acts)

    slow = Slow()
    events = IdentityEvents(slow, now_ms=clock)
    for number in range(150):
        events.refused(WRONG, f"198.51.100.{number}", "", "/")
    await events.flush()
    clock.advance(seconds=61)
    trail_of: Any = events
    trail_of._audit = trail
    await events.flush(everything=True)
    assert slow.counted + trail.counted == 350


async def test_the_previous_master_key_is_said_at_most_once_a_minute(
    events: IdentityEvents, trail: MemoryTrail, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(12):
        events.previous_key("192.0.2.1")
        await events.flush()
        clock.advance(seconds=10)
    await events.flush()
    assert [act.name for act in trail.acts] == ["identity.previous_master_key"] * 3
    assert sum(act.details["count"] for act in trail.acts) == 12
    assert caplog.text.count("the previous master key is still in use") == 3


async def test_the_reasons_of_alike_refusals_are_counted_and_kept_when_the_log_is_away(
    events: IdentityEvents, trail: MemoryTrail
) -> None:
    for reason in ("token-expired", "token-expired", ""):
        events.refused(WRONG, "192.0.2.1", "", "/", reason)
    trail.away = True
    with pytest.raises(StoreUnavailable):
        await events.flush()
    events.refused(WRONG, "192.0.2.1", "", "/", "token-audience")
    trail.away = False
    await events.flush()
    [act] = trail.acts
    assert act.details["count"] == 4
    assert act.details["reasons"] == {"token-expired": 2, "token-audience": 1}


async def test_a_published_master_key_that_is_refused_is_in_the_log_once_a_minute_with_what_to_set(
    events: IdentityEvents, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        events.published_key()
        clock.advance(seconds=29)
    assert len(caplog.messages) == 1
    events.published_key()
    assert len(caplog.messages) == 2
    assert "counts on this machine only; set LITELLM_MASTER_KEY to one made by" in caplog.messages[0]
