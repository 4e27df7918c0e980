"""What every quota store promises, run over the memory store and over a real server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.ledger.outcomes import swept_charge
from scalix.domain.limits.calendar import DAY_MS, window_end_ms, window_index
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Finished, Outcome, Prices, Refused, Stale, Tally, Verdict
from scalix.store.base import UserExists, UserRecord
from tests.store.stores import NOON_MS, SUBJECT, Rig, ask, key_of, limits, memory_rig, redis_rig, used


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def admitted(rig: Rig, request_id: str, given: Limits, **changes: object) -> Admitted:
    decision = await rig.quotas.admit(ask(request_id, given, **changes))
    assert isinstance(decision, Admitted), decision
    return decision


async def refused(rig: Rig, request_id: str, given: Limits, **changes: object) -> Refused:
    decision = await rig.quotas.admit(ask(request_id, given, **changes))
    assert isinstance(decision, Refused), decision
    return decision


async def day(rig: Rig, subject: str = SUBJECT) -> Tally:
    return (await rig.quotas.tallies(subject))[1].get(Window.DAY, Tally())


async def test_an_admitted_request_holds_its_reservation_until_it_is_settled(rig: Rig) -> None:
    given = limits(requests={"hour": 10}, tokens={"day": 1_000})
    decision = await admitted(rig, "r1", given)
    assert decision.receipt.output_cap_tokens == 100
    assert await day(rig) == Tally(0, 0, 0, 1, 110, 0)

    settled = await rig.quotas.settle(decision.receipt, used(42))
    assert settled.status == "settled"
    assert settled.tallies[Window.DAY] == Tally(1, 42, 0, 0, 0, 0)
    assert await day(rig) == Tally(1, 42, 0, 0, 0, 0)


async def test_exactly_as_many_are_admitted_as_there_is_room_for(rig: Rig) -> None:
    given = limits(requests={"hour": 50})
    decisions = await asyncio.gather(*(rig.quotas.admit(ask(f"r{number}", given)) for number in range(200)))
    assert sum(isinstance(decision, Admitted) for decision in decisions) == 50
    assert (await day(rig)).requests_held == 50


async def test_a_refused_request_consumes_nothing_in_any_window(rig: Rig) -> None:
    given = limits(requests={"hour": 1, "day": 100}, tokens={"day": 1_000})
    await admitted(rig, "r1", given)
    before = await rig.quotas.tallies(SUBJECT)
    decision = await refused(rig, "r2", given)
    assert decision.verdicts == (Verdict.EXHAUSTED, Verdict.FITS, Verdict.FITS)
    assert await rig.quotas.tallies(SUBJECT) == before


async def test_the_output_cap_is_what_is_left_when_that_is_less_than_asked(rig: Rig) -> None:
    given = limits(tokens={"day": 1_000})
    first = await admitted(rig, "r1", given, output_cap_tokens=900)
    assert first.receipt.output_cap_tokens == 900
    second = await admitted(rig, "r2", given, output_cap_tokens=900)
    assert second.receipt.output_cap_tokens == 1_000 - 910 - 10


async def test_choices_share_what_is_left(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits(tokens={"day": 110}), choices=3, output_cap_tokens=100)
    assert decision.receipt.output_cap_tokens == 33
    assert (await day(rig)).tokens_held == 10 + 3 * 33


async def test_what_own_requests_hold_is_told_apart_from_what_is_used_up(rig: Rig) -> None:
    given = limits(tokens={"day": 120})
    first = await admitted(rig, "r1", given)
    assert (await refused(rig, "r2", given)).verdicts == (Verdict.RESERVED,)
    await rig.quotas.settle(first.receipt, used(110))
    assert (await refused(rig, "r3", given)).verdicts == (Verdict.EXHAUSTED,)


async def test_an_overrun_is_kept_as_debt_in_its_window(rig: Rig) -> None:
    given = limits(tokens={"hour": 200})
    first = await admitted(rig, "r1", given)
    await rig.quotas.settle(first.receipt, used(500))
    assert (await refused(rig, "r2", given)).tallies[Window.HOUR].tokens_used == 500
    rig.clock.advance(hours=1)
    await admitted(rig, "r3", given)


async def test_money_is_reserved_at_the_given_prices_and_caps_the_answer(rig: Rig) -> None:
    given = Limits((Limit(Metric.SPEND, Window.MONTH, 1_000_000),))
    prices = Prices(input_pico_usd_per_token=10_000_000, output_pico_usd_per_token=30_000_000, request_nano_usd=7)
    decision = await admitted(rig, "r1", given, prices=prices, output_cap_tokens=100)
    cap = decision.receipt.output_cap_tokens
    assert cap == (1_000_000 - 7 - 100_000) // 30_000
    assert (await day(rig)).nano_usd_held == 7 + 100_000 + cap * 30_000
    assert (await refused(rig, "r2", given, prices=prices)).verdicts == (Verdict.RESERVED,)


async def test_fractions_of_a_nano_dollar_are_rounded_up(rig: Rig) -> None:
    await admitted(rig, "r1", limits(), prices=Prices(18_750, 75_001), output_cap_tokens=3, min_output_tokens=1)
    assert (await day(rig)).nano_usd_held == -(-(10 * 18_750 + 3 * 75_001) // 1000)


async def test_no_more_than_the_concurrent_limit_are_in_flight(rig: Rig) -> None:
    given = limits(concurrent=2)
    first = await admitted(rig, "r1", given)
    await admitted(rig, "r2", given)
    assert (await refused(rig, "r3", given)).concurrent_full
    await rig.quotas.settle(first.receipt, used(1))
    assert (await admitted(rig, "r4", given)).in_flight == 2


async def test_admitting_the_same_request_again_reserves_once(rig: Rig) -> None:
    given = limits(requests={"day": 1})
    first = await admitted(rig, "r1", given)
    rig.clock.advance(seconds=1)
    again = await admitted(rig, "r1", given)
    assert again.receipt == first.receipt
    assert (await day(rig)).requests_held == 1


async def test_settling_twice_charges_once(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    await rig.quotas.settle(decision.receipt, used(30))
    again = await rig.quotas.settle(decision.receipt, used(99))
    assert again.status == "duplicate"
    assert await day(rig) == Tally(1, 30, 0, 0, 0, 0)


async def test_a_settlement_without_a_reservation_still_charges(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    stray = replace(decision.receipt, request_id="r2")
    assert (await rig.quotas.settle(stray, used(5))).status == "settled"
    assert await day(rig) == Tally(1, 5, 0, 1, 110, 0)


async def test_a_settlement_charges_the_windows_of_admission(rig: Rig) -> None:
    given = limits(requests={"hour": 1})
    decision = await admitted(rig, "r1", given)
    rig.clock.advance(hours=1)
    await admitted(rig, "r2", given)
    settled = await rig.quotas.settle(decision.receipt, used(9))
    assert settled.tallies[Window.HOUR].requests_used == 1
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.HOUR] == Tally(0, 0, 0, 1, 110, 0)
    assert (await day(rig)).tokens_used == 9


@pytest.mark.parametrize("window", list(Window))
async def test_a_window_is_new_in_its_first_millisecond_and_old_in_its_last(rig: Rig, window: Window) -> None:
    given = Limits((Limit(Metric.REQUESTS, window, 1),))
    end_ms = window_end_ms(window, window_index(window, NOON_MS))
    await admitted(rig, "r1", given)
    rig.clock.now_ms = end_ms - 1
    await refused(rig, "r2", given)
    rig.clock.now_ms = end_ms
    await admitted(rig, "r3", given)


@pytest.mark.parametrize(
    "moment", ["2024-02-29T23:59:59", "2026-12-31T23:59:59", "2027-01-01T00:00:00", "2100-03-01T00:00:00"]
)
async def test_months_begin_and_end_as_in_the_calendar(rig: Rig, moment: str) -> None:
    from datetime import UTC, datetime

    rig.clock.now_ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)
    decision = await admitted(rig, "r1", limits())
    await rig.quotas.settle(decision.receipt, used(3))
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.MONTH].tokens_used == 3


async def test_a_released_request_leaves_no_trace(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits(requests={"day": 1}))
    assert await rig.quotas.release(decision.receipt.request_id, SUBJECT)
    assert await day(rig) == Tally()
    await admitted(rig, "r2", limits(requests={"day": 1}))


async def test_an_admission_that_comes_after_its_release_reserves_nothing(rig: Rig) -> None:
    assert not await rig.quotas.release("r1", SUBJECT)
    assert isinstance(await rig.quotas.admit(ask("r1", limits())), Finished)
    assert await day(rig) == Tally()


async def test_a_lapsed_request_is_swept_once_and_charged_its_prompt(rig: Rig) -> None:
    await admitted(rig, "r1", limits(), prices=Prices(1_000_000, 0))
    assert await rig.quotas.sweep() == 0
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 1
    assert await rig.quotas.sweep() == 0
    assert await day(rig) == Tally(1, 10, 10_000, 0, 0, 0)


async def test_a_renewed_request_is_not_swept(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    rig.clock.advance(seconds=50)
    await rig.quotas.renew([decision.receipt], 60_000)
    rig.clock.advance(seconds=50)
    assert await rig.quotas.sweep() == 0


async def test_renewing_does_not_bring_back_an_ended_request(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    await rig.quotas.settle(decision.receipt, used(1))
    await rig.quotas.renew([decision.receipt], 60_000)
    rig.clock.advance(seconds=120)
    assert await rig.quotas.sweep() == 0


async def test_a_settlement_after_a_sweep_replaces_its_charge(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    assert (await rig.quotas.settle(decision.receipt, used(77))).status == "replaced"
    assert await day(rig) == Tally(1, 77, 0, 0, 0, 0)
    assert (await rig.quotas.settle(decision.receipt, used(99))).status == "duplicate"


async def test_a_sweep_that_is_told_by_a_journal_gives_way_to_the_settlement_and_never_follows_it(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits(), prices=Prices(1_000_000, 0))
    swept = swept_charge(ask("r1", limits(), prices=Prices(1_000_000, 0)))
    assert (await rig.quotas.settle(decision.receipt, swept)).status == "settled"
    assert await day(rig) == Tally(1, 10, 10_000, 0, 0, 0)
    assert (await rig.quotas.settle(decision.receipt, used(77))).status == "replaced"
    assert await day(rig) == Tally(1, 77, 0, 0, 0, 0)
    assert (await rig.quotas.settle(decision.receipt, swept)).status == "duplicate"
    assert await day(rig) == Tally(1, 77, 0, 0, 0, 0)


async def test_a_failed_request_that_was_swept_is_given_back(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    nothing = replace(used(0, requests=0), outcome=Outcome.PROVIDER_FAILED)
    await rig.quotas.settle(decision.receipt, nothing)
    assert await day(rig) == Tally()


async def test_an_admission_written_after_its_settlement_is_swept_without_a_charge(rig: Rig) -> None:
    decision = await admitted(rig, "r1", limits())
    await rig.quotas.settle(decision.receipt, used(30))
    await admitted(rig, "r1", limits())
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 0
    assert await day(rig) == Tally(1, 30, 0, 0, 0, 0)


async def test_shadow_limits_count_and_report_and_let_through(rig: Rig) -> None:
    given = Limits((Limit(Metric.REQUESTS, Window.HOUR, 1, enforce=False),), concurrent=1, enforce_concurrent=False)
    assert (await admitted(rig, "r1", given)).shadow == ()
    assert (await admitted(rig, "r2", given)).shadow == ("requests-hour", "concurrent")


async def test_another_version_of_the_users_record_is_told_and_consumes_nothing(rig: Rig) -> None:
    await admitted(rig, "r1", limits(), user_version="0")
    record = await rig.users.create(UserRecord("alice", tier="pro"))
    decision = await rig.quotas.admit(ask("r2", limits(), user_version="0"))
    assert decision == Stale(record.version)
    await admitted(rig, "r3", limits(), user_version=record.version)
    changed = await rig.users.update(replace(record, tier="free"))
    assert changed.version != record.version
    assert isinstance(await rig.quotas.admit(ask("r4", limits(), user_version=record.version)), Stale)


async def test_a_change_of_limits_keeps_what_was_used(rig: Rig) -> None:
    first = await admitted(rig, "r1", limits(requests={"hour": 5}))
    await rig.quotas.settle(first.receipt, used(70))
    decision = await refused(rig, "r2", limits(tokens={"month": 80}))
    assert decision.tallies[Window.MONTH].tokens_used == 70


async def test_users_are_made_once_read_changed_and_deleted(rig: Rig) -> None:
    assert not (await rig.users.get("alice")).exists
    made = await rig.users.create(UserRecord("alice", tier="pro", metadata={"plan": ["a", 1]}))
    assert await rig.users.get("alice") == made
    with pytest.raises(UserExists):
        await rig.users.create(UserRecord("alice"))
    changed = await rig.users.update(replace(made, blocked=True))
    assert (changed.blocked, changed.created_ms) == (True, made.created_ms)
    assert await rig.users.delete("alice")
    assert not await rig.users.delete("alice")
    again = await rig.users.create(UserRecord("alice"))
    assert again.version not in (made.version, changed.version)


@pytest.mark.parametrize("away_hours", [1, 24, 48, 40 * 24, 400 * 24, -48])
async def test_counters_are_not_emptied_by_a_clock_that_leaps_and_comes_back(rig: Rig, away_hours: int) -> None:
    given = limits(requests={"minute": 100, "hour": 100, "day": 100, "month": 100})
    for number in range(3):
        decision = await admitted(rig, f"r{number}", given)
        await rig.quotas.settle(decision.receipt, used(5))
    before = (await rig.quotas.tallies(SUBJECT))[1]
    rig.clock.advance(hours=away_hours)
    decision = await admitted(rig, "r-away", given)
    await rig.quotas.settle(decision.receipt, used(5))
    rig.clock.advance(hours=-away_hours)
    after = (await rig.quotas.tallies(SUBJECT))[1]
    for window, tally in before.items():
        assert after[window].requests_used >= tally.requests_used == 3, window


async def test_a_keys_budget_is_not_emptied_by_a_clock_that_leaps_and_comes_back(rig: Rig) -> None:
    budget = {"max_budget_nano_usd": 10**9, "budget_period_ms": DAY_MS, "budget_anchor_ms": NOON_MS - DAY_MS // 2}
    record = await rig.virtual_keys.create(key_of("alice", 1, **budget))
    decision = await admitted(rig, "r1", limits(), key=record.scope)
    await rig.quotas.settle(decision.receipt, used(5, nano_usd=70))
    for leap in (72, 96, -168):
        rig.clock.advance(hours=leap)
        if leap > 0:
            await admitted(rig, f"r{leap}", limits(), key=record.scope)
    tallies = (await rig.virtual_keys.tallies(record))[1]
    assert tallies[KeyWindow.BUDGET].nano_usd_used == 70
