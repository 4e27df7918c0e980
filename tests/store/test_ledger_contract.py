"""What every store promises of the ledger: each request once, and sums that are what their events say."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Aggregate, Detail, Event, Summary, Sums, sums_of
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Prices, Receipt, Tally
from scalix.store.journal.journal_entries import Release, SettlementEntry, decoded, encoded
from scalix.store.keys import CLOCK_GRACE_MS
from scalix.store.quota.redis_quota import QuotaStore
from tests.store.counting import commands_of
from tests.store.stores import NOON_MS, SUBJECT, Rig, ask, key_of, limits, memory_rig, redis_rig, used

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
DAY, HOUR = NOON_MS // DAY_MS, NOON_MS // HOUR_MS
DETAIL = Detail(
    tier="pro",
    model="gpt-4",
    served="claude-3, opus",
    provider="anthropic",
    prompt_tokens=30,
    completion_tokens=12,
    cached_tokens=8,
    reasoning_tokens=5,
    cost_nano_usd=700,
    charge_nano_usd=840,
    price_version="2026-11-01",
    latency_ms=1_234,
    first_token_ms=321,
    streamed=True,
    error="timeout",
    fallbacks=("gpt-4", "- odd, name"),
)


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def admit(rig: Rig, request_id: str, **changes: Any) -> Receipt:
    decision = await rig.quotas.admit(ask(request_id, limits(), **changes))
    assert isinstance(decision, Admitted), decision
    return decision.receipt


def billed(tokens: int = 42, **changes: Any) -> Charge:
    detail = replace(DETAIL, **changes)
    return replace(used(tokens, nano_usd=detail.charge_nano_usd), detail=detail)


async def serve(rig: Rig, request_id: str, charge: Charge, **changes: Any) -> None:
    await rig.quotas.settle(await admit(rig, request_id, **changes), charge)


async def books(rig: Rig, *subjects: str) -> tuple[list[Event], list[Summary], list[Aggregate], list[Aggregate]]:
    """All that the ledger says, over the days around."""
    days = range(DAY - 2, DAY + 60)
    events = [event for name in subjects or (SUBJECT,) for day in days for event in await rig.ledger.events(name, day)]
    summaries = [one for name in subjects or (SUBJECT,) for one in await rig.ledger.summaries(name, days[0], days[-1])]
    hours = await rig.ledger.by_hour(days[0] * 24, days[-1] * 24 + 23)
    return events, summaries, hours, await rig.ledger.by_day(days[0], days[-1])


async def agree(rig: Rig, *subjects: str) -> list[Event]:
    """The events, after a look whether everything says the same: windows, sums, rankings."""
    events, summaries, hours, days = await books(rig, *subjects)
    total = sum(map(sums_of, events), Sums())
    for sums in (summaries, hours, days):
        assert sum((one.sums for one in sums), Sums()) == total
    for subject in subjects or (SUBJECT,):
        own = [event for event in events if event.subject == subject]
        counted = (await rig.quotas.tallies(subject))[1].get(Window.MONTH, Tally())
        assert counted.requests_used == sum(event.requests for event in own)
        assert counted.tokens_used == sum(event.tokens for event in own)
        assert counted.nano_usd_used == sum(event.nano_usd for event in own)
    return events


async def test_a_settlement_writes_one_event_with_every_figure(rig: Rig) -> None:
    key = await rig.virtual_keys.create(key_of("alice", 1))
    await serve(rig, "r1", billed(), key=key.scope)
    assert await rig.ledger.events(SUBJECT, DAY) == [
        Event("r1", SUBJECT, NOON_MS, "k1", "success", 1, 42, 840, False, DETAIL)
    ]
    assert await rig.ledger.events(SUBJECT, DAY - 1) == await rig.ledger.events("user:bob", DAY) == []


async def test_the_sums_beside_it_are_by_what_reports_ask_for(rig: Rig) -> None:
    key = await rig.virtual_keys.create(key_of("alice", 1))
    await serve(rig, "r1", billed(), key=key.scope)
    await serve(rig, "r2", billed(), key=key.scope)
    await serve(rig, "r3", billed(served=""))
    one = Sums(1, 1, 42, 30, 12, 8, 5, 840, 700, 840, 1_234)
    assert await rig.ledger.summaries(SUBJECT, DAY, DAY) == [
        Summary(DAY, "claude-3, opus", "pro", "k1", one + one),
        Summary(DAY, "gpt-4", "pro", "", one),
    ]
    assert await rig.ledger.by_hour(HOUR, HOUR) == [
        Aggregate(HOUR, "claude-3, opus", "anthropic", "pro", "success", "timeout", one + one),
        Aggregate(HOUR, "gpt-4", "anthropic", "pro", "success", "timeout", one),
    ]
    assert await rig.ledger.by_day(DAY, DAY) == [
        replace(aggregate, index=DAY) for aggregate in await rig.ledger.by_hour(HOUR, HOUR)
    ]
    assert await rig.ledger.top(DAY, DAY, "tokens", 5) == [(SUBJECT, 126)]
    assert await rig.ledger.top(DAY, DAY, "cost", 5) == [(SUBJECT, 2_100)]


async def test_a_settlement_told_twice_is_in_the_ledger_once(rig: Rig) -> None:
    receipt = await admit(rig, "r1")
    await asyncio.gather(*(rig.quotas.settle(receipt, billed(number)) for number in range(8)))
    (event,) = await agree(rig)
    assert event.requests == 1


@pytest.mark.parametrize("outcome", [Outcome.PROVIDER_FAILED, Outcome.PROVIDER_REFUSED, Outcome.CACHE_HIT])
async def test_requests_that_cost_nothing_are_in_the_ledger_too(rig: Rig, outcome: Outcome) -> None:
    detail = replace(DETAIL, cost_nano_usd=0, charge_nano_usd=0, error="provider_down")
    charge = Charge(outcome, int(outcome is not Outcome.PROVIDER_FAILED), 0, 0, detail=detail)
    await serve(rig, "r1", charge)
    (event,) = await agree(rig)
    assert (event.outcome, event.detail.error, event.tokens) == (outcome.value, "provider_down", 0)
    assert await rig.ledger.top(DAY, DAY, "tokens", 5) == []


async def test_a_sweep_writes_what_the_reservation_says(rig: Rig) -> None:
    key = await rig.virtual_keys.create(key_of("alice", 1))
    asked = {"tier": "pro", "model": "gpt 4", "prices": Prices(1_200_000, 0), "is_billed": True}
    await admit(rig, "r1", **asked, prompt_cost_nano_usd=10_000, price_version="v1", key=key.scope)
    rig.clock.advance(hours=2)
    assert await rig.quotas.sweep() == 1
    (event,) = await agree(rig)
    detail = Detail("pro", "gpt 4", "", "", 10, cost_nano_usd=10_000, charge_nano_usd=12_000, price_version="v1")
    assert event == Event("r1", SUBJECT, NOON_MS, "k1", "swept", 1, 10, 12_000, True, detail)
    (aggregate,) = await rig.ledger.by_hour(HOUR, HOUR)
    assert (aggregate.model, aggregate.outcome) == ("gpt 4", "swept")


async def test_a_settlement_after_a_sweep_takes_its_place_in_every_sum(rig: Rig) -> None:
    receipt = await admit(rig, "r1", tier="pro", model="gpt-4")
    await serve(rig, "other", billed(7))
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    await agree(rig)
    assert (await rig.quotas.settle(receipt, billed())).status == "replaced"
    assert {event.outcome for event in await agree(rig)} == {"success"}
    assert {one.outcome for one in await rig.ledger.by_day(DAY, DAY)} == {"success"}
    assert await rig.ledger.top(DAY, DAY, "tokens", 5) == [(SUBJECT, 49)]
    assert (await rig.quotas.settle(receipt, billed())).status == "duplicate"
    assert len(await agree(rig)) == 2


async def test_a_settlement_by_another_clock_takes_a_sweeps_place_too(rig: Rig) -> None:
    receipt = await admit(rig, "r1", tier="pro", model="gpt-4")
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    moved = replace(receipt, admitted_ms=receipt.admitted_ms - 2 * HOUR_MS)
    assert (await rig.quotas.settle(moved, billed())).status == "replaced"
    assert [event.admitted_ms for event in await agree(rig)] == [moved.admitted_ms]
    assert [one.index for one in await rig.ledger.by_hour(HOUR - 3, HOUR)] == [HOUR - 2]


async def test_a_release_takes_what_a_sweep_has_charged_out_of_every_sum(rig: Rig) -> None:
    await admit(rig, "r1", tier="pro", model="gpt-4", prices=Prices(1_000_000, 0))
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    assert await rig.quotas.release("r1", SUBJECT)
    assert await agree(rig) == []
    assert (await books(rig))[1:] == ([], [], [])
    assert await rig.ledger.top(DAY, DAY, "cost", 5) == []


async def test_a_release_that_comes_days_later_finds_the_sweeps_charge_by_its_own_time(rig: Rig) -> None:
    await admit(rig, "r1", tier="pro", model="gpt-4")
    asked_ms = rig.clock.now_ms
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    rig.clock.advance(hours=24 * 5)
    assert not await rig.quotas.release("r1", SUBJECT)
    assert await rig.quotas.release("r1", SUBJECT, at_ms=asked_ms)
    assert not await rig.quotas.release("r1", SUBJECT, at_ms=asked_ms)
    assert (await books(rig)) == ([], [], [], [])


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_clocks_that_differ_over_midnight_make_no_difference_to_that(rig: Rig, seconds: int) -> None:
    rig.clock.now_ms = (DAY + 1) * DAY_MS + (1_000 if seconds < 0 else -1_000)
    await admit(rig, "r1")
    asked_ms = rig.clock.now_ms + seconds * 1000
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    rig.clock.advance(hours=24 * 3)
    assert await rig.quotas.release("r1", SUBJECT, at_ms=asked_ms)


async def test_sums_of_all_shards_are_added_up_and_the_first_are_the_first(rig: Rig) -> None:
    subjects = [f"user:{number}" for number in range(40)]
    for place, subject in enumerate(subjects):
        rig.clock.now_ms = NOON_MS + (place % 3 - 1) * DAY_MS
        await serve(rig, f"a{place}", billed(100 + place, cost_nano_usd=1_000 - place), subject=subject)
    rig.clock.now_ms = NOON_MS + 2 * DAY_MS
    await serve(rig, "again", billed(50, cost_nano_usd=1), subject="user:7")
    events = await agree(rig, *subjects)
    assert len(events) == 41
    assert [one.sums.events for one in await rig.ledger.by_day(DAY - 1, DAY + 2)] == [14, 13, 13, 1]
    assert [one.index - DAY for one in await rig.ledger.by_day(DAY, DAY + 1)] == [0, 1]
    first = [("user:7", 157), ("user:39", 139), ("user:38", 138)]
    assert await rig.ledger.top(DAY - 1, DAY + 2, "tokens", 3) == first
    assert await rig.ledger.top(DAY - 1, DAY - 1, "tokens", 2) == [("user:39", 139), ("user:36", 136)]
    assert (await rig.ledger.top(DAY - 1, DAY + 2, "cost", 1)) == [("user:0", 1_000)]
    assert await rig.ledger.top(DAY - 1, DAY + 2, "cost", 0) == []


async def test_days_of_two_months_are_read_together(rig: Rig) -> None:
    rig.clock.now_ms = NOON_MS + 2 * DAY_MS  # the last of February
    await serve(rig, "r1", billed(1))
    rig.clock.advance(hours=12)
    await serve(rig, "r2", billed(2))
    assert [one.index - DAY for one in await rig.ledger.by_day(DAY, DAY + 9)] == [2, 3]
    assert [one.day - DAY for one in await rig.ledger.summaries(SUBJECT, DAY, DAY + 9)] == [2, 3]
    assert [one.index for one in await rig.ledger.by_hour(HOUR + 48, HOUR + 59)] == [HOUR + 48]
    assert await rig.ledger.by_day(DAY + 9, DAY) == []


async def test_a_model_may_be_called_anything(rig: Rig) -> None:
    names = ["-", "a b", "a,b", "=", "%", "ünï", "x" * 300, "-minus", "openai/gpt-4:free@v1+2"]
    for number, name in enumerate(names):
        await serve(rig, f"r{number}", billed(served=name, model=f"asked for {name}", fallbacks=(name, "b")))
    events = await agree(rig)
    assert [(event.detail.served, event.detail.fallbacks) for event in events] == [
        (name, (name, "b")) for name in names
    ]
    assert {one.model for one in await rig.ledger.by_day(DAY, DAY)} == set(names)


def test_the_journal_keeps_the_whole_detail() -> None:
    receipt = Receipt("r1", SUBJECT, NOON_MS, 10, 100, False)
    entry = decoded(encoded(SettlementEntry(receipt, billed())))
    assert isinstance(entry, SettlementEntry)
    assert entry.charge.detail == DETAIL
    assert decoded(encoded(Release("r1", SUBJECT, None, NOON_MS))) == Release("r1", SUBJECT, None, NOON_MS)


# In a real server


@pytest.fixture
async def server(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    made = redis_rig(store_url, key_prefix)
    yield made
    await made.close()


def store_of(rig: Rig, retention: Retention) -> QuotaStore:
    assert rig.keys
    return QuotaStore(rig.session, retention=lambda: retention)


async def ends(rig: Rig, receipt: Receipt) -> list[float]:
    """For how many days each book is kept, by its key's end."""
    assert rig.keys
    names = rig.keys.books(receipt.subject, receipt.admitted_ms)[:-1]  # one user has few events
    return [round((await rig.client.pttl(name) - CLOCK_GRACE_MS) / DAY_MS, 1) for name in names]


async def test_books_are_kept_as_long_as_configured_from_the_end_of_their_day_or_month(server: Rig) -> None:
    store = store_of(server, Retention(events_days=3, hours_days=10, days_days=20))
    receipt = await admit(server, "r1")
    await store.settle(receipt, billed())
    assert await ends(server, receipt) == [3.5, 22.5, 10.5, 22.5, 10.5, 10.5, 400.0, 10.5, 3.5]
    server.clock.advance(hours=48)
    await store.settle(replace(receipt, request_id="r2"), billed())
    assert await ends(server, receipt) == [3.5, 22.5, 10.5, 22.5, 10.5, 10.5, 400.0, 10.5, 3.5]


async def test_what_comes_after_the_end_of_its_book_is_known_for_a_day(server: Rig) -> None:
    store = store_of(server, Retention(events_days=3, hours_days=3, days_days=3))
    receipt = await admit(server, "r1")
    server.clock.advance(hours=24 * 90)
    assert (await store.settle(receipt, billed())).status == "settled"
    assert await ends(server, receipt) == [*[1.0] * 6, 400.0, 1.0, 1.0]
    assert (await store.settle(receipt, billed())).status == "duplicate"


async def test_what_is_taken_back_from_sums_that_have_gone_brings_nothing_back(server: Rig, key_prefix: str) -> None:
    assert server.keys
    receipt = await admit(server, "r1")
    server.clock.advance(seconds=61)
    await server.quotas.sweep()
    await server.client.delete(*server.keys.books(SUBJECT, receipt.admitted_ms)[1:])
    assert await server.quotas.release("r1", SUBJECT)
    names = [name async for name in server.session.names_like("*")]
    assert sorted(name.split(":")[2] for name in names if "{" in name) == ["w", "x"]


async def test_one_settlement_is_one_command(server: Rig) -> None:
    await admit(server, "r0")
    receipt = await admit(server, "r1", is_billed=True)
    with commands_of(server.client) as sent:
        await server.quotas.settle(receipt, billed())
    assert [one.name for one in sent] == ["EVALSHA"]


@pytest.mark.parametrize("key", ["", " k1 0"])
async def test_reservations_of_an_older_gateway_are_settled_and_swept(server: Rig, key: str) -> None:
    assert server.keys
    await server.virtual_keys.create(key_of("alice", 1))
    receipts = [await admit(server, f"r{number}") for number in range(3)]
    for receipt in receipts:
        old = f"{receipt.admitted_ms} 0 10 100 110 0 0{key}"
        await server.client.hset(server.keys.in_flight(SUBJECT), receipt.request_id, old)
    key_id = "k1" if key else None
    await server.quotas.settle(replace(receipts[0], key_id=key_id), billed())
    assert await server.quotas.release("r1", SUBJECT, key_id)
    server.clock.advance(seconds=61)
    assert await server.quotas.sweep() == 1
    assert [event.outcome for event in await agree(server)] == ["success", "swept"]
    assert (await server.quotas.tallies(SUBJECT))[1][Window.DAY].requests_held == 0


async def test_a_text_that_is_no_event_hides_no_other(server: Rig) -> None:
    assert server.keys
    await serve(server, "r1", billed())
    await server.client.hset(server.keys.events(SUBJECT, NOON_MS), "r2", "success 1 2")
    assert [event.request_id for event in await server.ledger.events(SUBJECT, DAY)] == ["r1"]
