"""Counters are what the events say and what operators and merges have added: the rest of it is written down."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import Admitted, Tally
from tests.store.stores import NOON_MS, SUBJECT, Rig, ask, key_of, limits, redis_rig, used

DAY_MS = 86_400_000
EVERYTHING = [(metric, window) for metric in Metric for window in Window]
FIELDS = {
    Window.MINUTE: f"m{NOON_MS // 60_000}",
    Window.HOUR: f"h{NOON_MS // 3_600_000}",
    Window.DAY: f"d{NOON_MS // DAY_MS}",
    Window.MONTH: f"M{2026 * 12 + 1}",
}


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    made = redis_rig(store_url, key_prefix)
    yield made
    await made.close()


async def serve(rig: Rig, request_id: str, tokens: int, **changes: Any) -> None:
    decision = await rig.quotas.admit(ask(request_id, limits(requests={"minute": 100}), **changes))
    assert isinstance(decision, Admitted)
    await rig.quotas.settle(decision.receipt, used(tokens, nano_usd=10 * tokens))


async def adjustments(rig: Rig) -> dict[str, str]:
    assert rig.keys
    found: dict[str, str] = await rig.client.hgetall(rig.keys.adjustments(SUBJECT))
    return found


async def test_a_reset_is_written_down_as_what_it_took(rig: Rig) -> None:
    await serve(rig, "r1", 30)
    await rig.tools.reset(SUBJECT, [(Metric.TOKENS, Window.DAY), (Metric.REQUESTS, Window.MONTH)])
    assert await adjustments(rig) == {FIELDS[Window.DAY]: "0 -30 0", FIELDS[Window.MONTH]: "-1 0 0"}
    await serve(rig, "r2", 5)
    await rig.tools.reset(SUBJECT, EVERYTHING)
    assert await adjustments(rig) == dict.fromkeys(FIELDS.values(), "-2 -35 -350")


async def test_a_deleted_user_leaves_what_the_counters_have_lost(rig: Rig) -> None:
    await serve(rig, "r1", 30)
    assert not await rig.users.delete(SUBJECT.removeprefix("user:"))
    assert await adjustments(rig) == dict.fromkeys(FIELDS.values(), "-1 -30 -300")
    assert (await rig.tools.tallies(SUBJECT))[1] == {}
    await serve(rig, "r2", 5)
    await rig.users.delete(SUBJECT.removeprefix("user:"))
    assert await adjustments(rig) == dict.fromkeys(FIELDS.values(), "-2 -35 -350")


async def test_a_reset_of_nothing_writes_nothing(rig: Rig) -> None:
    await rig.tools.reset(SUBJECT, EVERYTHING)
    assert await adjustments(rig) == {}


async def test_a_merge_is_written_down_as_what_it_added(rig: Rig) -> None:
    await serve(rig, "r1", 30)
    given = {Window.DAY: Tally(2, 20, 500), Window.MONTH: Tally(1, 30, 300)}
    store: Any = rig.quotas
    assert await store.raise_to(SUBJECT, NOON_MS, given)
    assert await adjustments(rig) == {FIELDS[Window.DAY]: "1 0 200"}


async def test_windows_are_their_events_and_their_adjustments_and_end_with_them(rig: Rig) -> None:
    assert rig.keys
    for number in range(3):
        await serve(rig, f"a{number}", 10 + number)
    await rig.tools.reset(SUBJECT, [(Metric.TOKENS, Window.HOUR), (Metric.SPEND, Window.DAY)])
    await serve(rig, "b", 100)
    tallies = (await rig.quotas.tallies(SUBJECT))[1]
    events = await rig.ledger.events(SUBJECT, NOON_MS // DAY_MS)
    sums = [sum(getattr(event, name) for event in events) for name in ("requests", "tokens", "nano_usd")]
    found = await adjustments(rig)
    for window, field in FIELDS.items():
        added = [int(word) for word in found.get(field, "0 0 0").split(" ")]
        counted = [tallies[window].used(metric) for metric in Metric]
        assert counted == [one + more for one, more in zip(sums, added, strict=True)]
    left_ms = await rig.client.pttl(rig.keys.adjustments(SUBJECT))
    assert abs(left_ms - await rig.client.pttl(rig.keys.windows(SUBJECT))) < 60_000


async def test_those_of_windows_that_have_ended_are_taken_out_but_for_one(rig: Rig) -> None:
    for day in range(5):
        await serve(rig, f"r{day}", 10)
        await rig.tools.reset(SUBJECT, [(Metric.TOKENS, Window.DAY)])
        rig.clock.advance(hours=24)
    assert sorted(await adjustments(rig)) == [f"d{NOON_MS // DAY_MS + day}" for day in (2, 3, 4)]


async def test_what_an_operator_says_that_a_key_has_spent_is_written_down_too(rig: Rig) -> None:
    assert rig.keys
    record = await rig.virtual_keys.create(key_of("alice", 1))
    await serve(rig, "r1", 30, key=record.scope)
    assert await rig.virtual_keys.set_spend(record, 1_000)
    assert await rig.virtual_keys.set_spend(replace(record), 100)
    await serve(rig, "r2", 1, key=record.scope)
    assert (await rig.virtual_keys.tallies(record))[1][KeyWindow.TOTAL] == Tally(2, 31, 110)
    assert await rig.client.hget(rig.keys.key_windows(SUBJECT, "k1"), "jt") == str(110 - 310)
