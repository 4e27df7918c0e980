"""What operators ask of every store: give room back, count the shadow, write records one after the other."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Refused, ShadowCount, Tally
from scalix.store.base import RecordChanged, UserRecord
from tests.store.stores import NOON_MS, SUBJECT, Rig, ask, limits, memory_rig, redis_rig, used

DAY = NOON_MS // 86_400_000
EVERYTHING = [(metric, window) for metric in Metric for window in Window]


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def spend(rig: Rig, request_id: str, given: Limits, tokens: int) -> None:
    decision = await rig.quotas.admit(ask(request_id, given))
    assert isinstance(decision, Admitted)
    await rig.quotas.settle(decision.receipt, used(tokens, nano_usd=7))


async def test_a_reset_gives_the_named_windows_back_and_no_other(rig: Rig) -> None:
    given = limits(requests={"minute": 9, "hour": 2}, tokens={"day": 1_000})
    await spend(rig, "r1", given, 100)
    await spend(rig, "r2", given, 100)
    assert isinstance(await rig.quotas.admit(ask("r3", given)), Refused)

    now_ms, before = await rig.tools.reset(SUBJECT, [(Metric.REQUESTS, Window.HOUR), (Metric.TOKENS, Window.MONTH)])

    assert (now_ms, before[Window.HOUR]) == (NOON_MS, Tally(2, 200, 14))
    _, after = await rig.tools.tallies(SUBJECT)
    assert after == {
        Window.MINUTE: Tally(2, 200, 14),
        Window.HOUR: Tally(0, 200, 14),
        Window.DAY: Tally(2, 200, 14),
        Window.MONTH: Tally(2, 0, 14),
    }
    assert isinstance(await rig.quotas.admit(ask("r4", given)), Admitted)


async def test_what_requests_in_flight_hold_stays_and_is_charged_when_they_end(rig: Rig) -> None:
    given = limits(requests={"hour": 2})
    await spend(rig, "r1", given, 50)
    running = await rig.quotas.admit(ask("r2", given))
    assert isinstance(running, Admitted)
    await rig.tools.reset(SUBJECT, EVERYTHING)
    assert (await rig.tools.tallies(SUBJECT))[1][Window.HOUR] == Tally(0, 0, 0, 1, 110, 0)
    assert await rig.tools.in_flight(SUBJECT) == 1
    await rig.quotas.settle(running.receipt, used(30))
    assert (await rig.tools.tallies(SUBJECT))[1][Window.HOUR] == Tally(1, 30, 0)
    assert await rig.tools.in_flight(SUBJECT) == 0


async def test_a_reset_of_somebody_unknown_leaves_nothing_behind(rig: Rig) -> None:
    assert await rig.tools.reset(SUBJECT, EVERYTHING) == (NOON_MS, {})
    assert (await rig.tools.tallies(SUBJECT))[1] == {}
    assert await rig.tools.in_flight(SUBJECT) == 0
    if rig.client is not None:
        assert rig.keys
        assert await rig.client.exists(rig.keys.windows(SUBJECT)) == 0


async def test_a_reset_does_not_reach_the_windows_of_before(rig: Rig) -> None:
    given = limits(requests={"hour": 5})
    running = await rig.quotas.admit(ask("r1", given))
    assert isinstance(running, Admitted)
    rig.clock.advance(hours=1)
    await rig.tools.reset(SUBJECT, EVERYTHING)
    settled = await rig.quotas.settle(running.receipt, used(40))
    assert settled.tallies[Window.HOUR] == Tally(1, 40, 0)


def shadowy(**changes: object) -> Limits:
    windows = (
        Limit(Metric.REQUESTS, Window.HOUR, 1, enforce=False),
        Limit(Metric.TOKENS, Window.DAY, 150, enforce=False),
    )
    return replace(Limits(windows, concurrent=3, enforce_concurrent=False), **changes)  # type: ignore[arg-type]


async def counts(rig: Rig, days: int = 1) -> dict[tuple[int, str, str], int]:
    found = await rig.tools.shadow_counts(days)
    return {(count.day - DAY, count.tier, count.limit): count.requests for count in found}


async def test_what_the_shadow_would_have_refused_is_counted_by_day_tier_and_limit(rig: Rig) -> None:
    for number in range(4):
        await rig.quotas.admit(ask(f"r{number}", shadowy(), tier="free"))
    await rig.quotas.admit(ask("other", shadowy(), tier="pro", subject="user:somebody-else-in-another-shard"))
    await rig.quotas.admit(ask("again", shadowy(), tier="pro", subject="user:somebody-else-in-another-shard"))
    await rig.quotas.admit(ask("nobody", shadowy(), tier=""))
    assert await counts(rig) == {
        (0, "free", "requests-hour"): 3,
        (0, "free", "tokens-day"): 2,
        (0, "free", "concurrent"): 1,
        (0, "free", "any"): 3,
        (0, "pro", "requests-hour"): 1,
        (0, "pro", "any"): 1,
    }
    assert ShadowCount(DAY, "free", "any", 3) in await rig.tools.shadow_counts(1)


async def test_one_request_asked_twice_and_one_refused_by_an_enforced_limit_are_no_shadow(rig: Rig) -> None:
    await rig.quotas.admit(ask("r1", shadowy(), tier="free"))
    for _ in range(2):
        await rig.quotas.admit(ask("r2", shadowy(), tier="free"))
    assert (await counts(rig))[0, "free", "any"] == 1
    refused = await rig.quotas.admit(ask("r3", shadowy(concurrent=1, enforce_concurrent=True), tier="free"))
    assert isinstance(refused, Refused)
    assert (await counts(rig))[0, "free", "any"] == 1


async def test_old_days_are_dropped_and_the_counts_have_an_end(rig: Rig) -> None:
    for days in range(40):
        for number in range(2):
            await rig.quotas.admit(ask(f"r{days}-{number}", shadowy(), tier="free"))
        rig.clock.advance(hours=24)
    rig.clock.advance(hours=-24)
    days_told = {day for day, _, _ in await counts(rig, days=35)}
    assert days_told == set(range(5, 40))
    if rig.client is not None:
        assert rig.keys
        assert await rig.client.hlen(rig.keys.shadow(SUBJECT)) <= 35 * 4
        assert await rig.client.pttl(rig.keys.shadow(SUBJECT)) > 34 * 86_400_000


async def test_a_record_that_was_changed_meanwhile_is_not_overwritten(rig: Rig) -> None:
    made = await rig.users.create(UserRecord("alice"))
    await rig.users.update(replace(made, blocked=True))
    with pytest.raises(RecordChanged):
        await rig.users.update(replace(made, tier="pro"))
    assert (await rig.users.get("alice")).blocked
    await rig.users.delete("alice")
    with pytest.raises(RecordChanged):
        await rig.users.update(made)


async def test_of_many_first_writes_at_once_one_holds(rig: Rig) -> None:
    writes = (rig.users.update(UserRecord("alice", tier=str(number))) for number in range(20))
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(outcome, RecordChanged) for outcome in outcomes) == 19
