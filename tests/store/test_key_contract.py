"""What stores promise of virtual keys, run over the memory store and over a real server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.key_limits import KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import Admitted, Prices, Refused, Stale, Tally, Verdict
from scalix.store.base import RecordChanged, UserRecord
from scalix.store.records.redis_keys import AliasTaken
from tests.store.stores import SUBJECT, Rig, ask, key_of, limits, memory_rig, redis_rig, used

PRICES = Prices(1_000_000, 1_000_000)  # a prompt of 10 tokens and an answer of 100 cost 110,000 nano-dollars
HOUR_MS = 3_600_000


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def made(rig: Rig, **changes: object) -> KeyRecord:
    return await rig.virtual_keys.create(key_of("alice", 1, **changes))


async def admitted(rig: Rig, request_id: str, scope: KeyScope | None, **changes: object) -> Admitted:
    decision = await rig.quotas.admit(ask(request_id, limits(), key=scope, **changes))
    assert isinstance(decision, Admitted), decision
    return decision


async def refused(rig: Rig, request_id: str, scope: KeyScope, **changes: object) -> Refused:
    decision = await rig.quotas.admit(ask(request_id, limits(), key=scope, **changes))
    assert isinstance(decision, Refused), decision
    return decision


async def total(rig: Rig, record: KeyRecord) -> Tally:
    return (await rig.virtual_keys.tallies(record))[1].get(KeyWindow.TOTAL, Tally())


async def day(rig: Rig) -> Tally:
    return (await rig.quotas.tallies(SUBJECT))[1].get(Window.DAY, Tally())


async def test_a_key_is_made_found_changed_and_deleted(rig: Rig) -> None:
    record = await made(rig, models=("a", "b-*"), metadata={"team": ["x", 1]}, max_budget_nano_usd=5)
    assert record.created_ms == record.updated_ms == rig.clock.now_ms
    assert await rig.virtual_keys.find(record.digest) == record
    assert await rig.virtual_keys.find_alias("1-of-alice") == record
    assert await rig.virtual_keys.get("k1", "alice") == record
    assert await rig.virtual_keys.get("k1", "bob") is None
    rig.clock.advance(seconds=1)
    changed = await rig.virtual_keys.update(record, replace(record, blocked=True, alias="another"))
    assert changed == replace(
        record, blocked=True, alias="another", version=changed.version, updated_ms=rig.clock.now_ms
    )
    assert await rig.virtual_keys.find_alias("1-of-alice") is None
    assert await rig.virtual_keys.find_alias("another") == changed
    assert await rig.virtual_keys.delete(changed)
    assert not await rig.virtual_keys.delete(changed)
    assert await rig.virtual_keys.find(record.digest) is None
    assert await rig.virtual_keys.find_alias("another") is None


async def test_a_change_of_an_old_record_is_refused(rig: Rig) -> None:
    record = await made(rig)
    await rig.virtual_keys.update(record, replace(record, blocked=True))
    with pytest.raises(RecordChanged):
        await rig.virtual_keys.update(record, replace(record, alias="late", digest="f" * 64))
    assert await rig.virtual_keys.find_alias("late") is None
    assert await rig.virtual_keys.find("f" * 64) is None
    assert (await rig.virtual_keys.find(record.digest) or record).blocked


async def test_an_alias_is_one_keys_only(rig: Rig) -> None:
    record = await made(rig)
    with pytest.raises(AliasTaken):
        await rig.virtual_keys.create(key_of("bob", 2, alias=record.alias))
    other = await rig.virtual_keys.create(key_of("bob", 2))
    with pytest.raises(AliasTaken):
        await rig.virtual_keys.update(other, replace(other, alias=record.alias))
    await rig.virtual_keys.delete(record)
    renamed = await rig.virtual_keys.update(other, replace(other, alias=record.alias))
    assert await rig.virtual_keys.find_alias("1-of-alice") == renamed


async def test_of_many_makers_with_one_alias_one_succeeds(rig: Rig) -> None:
    records = [key_of(f"user{number}", number, alias="shared") for number in range(10)]
    answers = await asyncio.gather(*map(rig.virtual_keys.create, records), return_exceptions=True)
    assert sum(isinstance(answer, KeyRecord) for answer in answers) == 1
    assert (await rig.virtual_keys.page(0, 100))[0] == 1


async def test_a_replaced_secret_is_found_while_the_record_remembers_it(rig: Rig) -> None:
    record = await made(rig)
    until_ms = rig.clock.now_ms + HOUR_MS
    rotated = await rig.virtual_keys.update(record, replace(record, digest="e" * 64, former={record.digest: until_ms}))
    assert await rig.virtual_keys.find(record.digest) == rotated
    assert await rig.virtual_keys.find("e" * 64) == rotated
    assert rotated.accepts(record.digest, until_ms - 1)
    assert not rotated.accepts(record.digest, until_ms)
    again = await rig.virtual_keys.update(rotated, replace(rotated, digest="f" * 64, former={}))
    assert await rig.virtual_keys.find(record.digest) is None
    assert await rig.virtual_keys.find("e" * 64) is None
    assert await rig.virtual_keys.find("f" * 64) == again


async def test_keys_are_listed_by_page_the_newest_first(rig: Rig) -> None:
    for number in range(1, 8):
        await rig.virtual_keys.create(key_of("alice" if number % 2 else "bob", number))
        rig.clock.advance(seconds=1)
    count, records = await rig.virtual_keys.page(2, 3)
    assert (count, [record.key_id for record in records]) == (7, ["k5", "k4", "k3"])
    count, records = await rig.virtual_keys.page(0, 10, "bob")
    assert (count, [record.key_id for record in records]) == (3, ["k6", "k4", "k2"])
    assert await rig.virtual_keys.page(7, 3) == (7, [])
    assert await rig.virtual_keys.page(0, 3, "nobody") == (0, [])


async def test_another_version_of_the_keys_record_is_told_and_consumes_nothing(rig: Rig) -> None:
    record = await made(rig)
    assert (await admitted(rig, "r1", record.scope)).receipt.key_id == "k1"
    changed = await rig.virtual_keys.update(record, replace(record, blocked=True))
    decision = await rig.quotas.admit(ask("r2", limits(), key=record.scope))
    assert decision == Stale(changed.version, "key")
    await rig.virtual_keys.delete(changed)
    assert await rig.quotas.admit(ask("r3", limits(), key=changed.scope)) == Stale("0", "key")
    assert (await day(rig)).requests_held == 1


async def test_which_of_two_changed_records_is_stale_is_told(rig: Rig) -> None:
    record = await made(rig)
    user = await rig.users.create(UserRecord("alice"))
    decision = await rig.quotas.admit(ask("r1", limits(), key=record.scope, user_version="0"))
    assert decision == Stale(user.version, "user")
    await rig.virtual_keys.update(record, record)
    decision = await rig.quotas.admit(ask("r1", limits(), key=record.scope, user_version=user.version))
    assert isinstance(decision, Stale)
    assert decision.which == "key"


async def test_a_keys_requests_per_minute_hold_beside_the_users_limits(rig: Rig) -> None:
    scope = (await made(rig, rpm_limit=2)).scope
    await admitted(rig, "r1", scope)
    await admitted(rig, "r2", scope)
    decision = await refused(rig, "r3", scope)
    assert (decision.key_verdicts, decision.verdicts) == ((Verdict.EXHAUSTED,), ())
    assert decision.key_tallies[KeyWindow.MINUTE].requests_held == 2
    await admitted(rig, "r4", None)
    rig.clock.advance(seconds=60)
    await admitted(rig, "r5", scope)


async def test_what_the_users_limits_refuse_is_taken_from_no_key(rig: Rig) -> None:
    record = await made(rig, rpm_limit=5)
    given = limits(requests={"hour": 1})
    await rig.quotas.admit(ask("r1", given, key=record.scope))
    decision = await rig.quotas.admit(ask("r2", given, key=record.scope))
    assert isinstance(decision, Refused)
    assert (decision.verdicts, decision.key_verdicts) == ((Verdict.EXHAUSTED,), (Verdict.FITS,))
    assert (await total(rig, record)).requests_held == 1


async def test_what_a_key_refuses_is_taken_from_no_user(rig: Rig) -> None:
    record = await made(rig, tpm_limit=115)
    await admitted(rig, "r1", record.scope)
    await refused(rig, "r2", record.scope)
    assert await day(rig) == Tally(0, 0, 0, 1, 110, 0)


async def test_the_least_of_a_keys_and_a_users_room_caps_the_answer(rig: Rig) -> None:
    scope = (await made(rig, tpm_limit=60)).scope
    assert (await admitted(rig, "r1", scope)).receipt.output_cap_tokens == 50
    decision = await rig.quotas.admit(ask("r2", limits(tokens={"day": 90}), key=replace(scope, limits=())))
    assert isinstance(decision, Admitted)
    assert decision.receipt.output_cap_tokens == 20


async def test_of_two_hundred_at_once_fifty_get_the_room_of_fifty(rig: Rig) -> None:
    record = await made(rig, rpm_limit=50)
    decisions = await asyncio.gather(
        *(rig.quotas.admit(ask(f"r{number}", limits(), key=record.scope)) for number in range(200))
    )
    assert sum(isinstance(decision, Admitted) for decision in decisions) == 50


async def test_no_more_requests_are_in_flight_with_a_key_than_it_may_have(rig: Rig) -> None:
    record = await made(rig, max_parallel_requests=2)
    first = await admitted(rig, "r1", record.scope)
    await admitted(rig, "r2", record.scope)
    assert (await refused(rig, "r3", record.scope)).key_concurrent_full
    await rig.quotas.settle(first.receipt, used(1))
    await admitted(rig, "r4", record.scope)
    assert await rig.quotas.release("r4", SUBJECT, "k1")
    await admitted(rig, "r5", record.scope)


async def test_a_budget_is_reserved_before_the_call_and_never_exceeded(rig: Rig) -> None:
    record = await made(rig, max_budget_nano_usd=300_000)
    scope = record.scope
    assert scope.limits == (KeyLimit(Metric.SPEND, KeyWindow.TOTAL, 300_000),)
    receipts = []
    for number in range(20):
        decision = await rig.quotas.admit(ask(f"r{number}", limits(), key=scope, prices=PRICES))
        if isinstance(decision, Admitted):
            receipts.append(decision.receipt)
    held = await total(rig, record)
    assert held.nano_usd_held == 300_000
    assert [receipt.output_cap_tokens for receipt in receipts] == [100, 100, 70]
    for receipt in receipts:
        tokens = 10 + receipt.output_cap_tokens
        await rig.quotas.settle(receipt, used(tokens, nano_usd=tokens * 1_000))
    assert (await total(rig, record)).nano_usd_used == 300_000
    assert (await refused(rig, "last", scope, prices=PRICES)).key_verdicts == (Verdict.EXHAUSTED,)


async def test_a_budget_of_a_period_begins_anew_with_the_next_and_the_total_goes_on(rig: Rig) -> None:
    anchor_ms = rig.clock.now_ms - HOUR_MS // 2
    budget = {"max_budget_nano_usd": 110_000, "budget_period_ms": HOUR_MS, "budget_anchor_ms": anchor_ms}
    record = await made(rig, **budget)
    first = await admitted(rig, "r1", record.scope, prices=PRICES)
    assert first.receipt.budget_start_ms == anchor_ms
    assert (await refused(rig, "r2", record.scope, prices=PRICES)).key_verdicts == (Verdict.RESERVED,)
    rig.clock.now_ms = anchor_ms + HOUR_MS - 1
    await refused(rig, "r3", record.scope, prices=PRICES)
    rig.clock.now_ms = anchor_ms + HOUR_MS
    assert record.budget_resets_ms(rig.clock.now_ms) == anchor_ms + 2 * HOUR_MS
    second = await admitted(rig, "r4", record.scope, prices=PRICES)
    # What was in flight at the end of the period is charged to the period that it was admitted in.
    await rig.quotas.settle(first.receipt, used(110, nano_usd=110_000))
    await rig.quotas.settle(second.receipt, used(20, nano_usd=20_000))
    tallies = (await rig.virtual_keys.tallies(record))[1]
    assert tallies[KeyWindow.BUDGET].nano_usd_used == 20_000
    assert tallies[KeyWindow.TOTAL] == Tally(2, 130, 130_000, 0, 0, 0)


async def test_spend_can_be_set_and_what_is_held_stays(rig: Rig) -> None:
    record = await made(rig, max_budget_nano_usd=110_000)
    decision = await admitted(rig, "r1", record.scope, prices=PRICES)
    await rig.quotas.settle(decision.receipt, used(110, nano_usd=110_000))
    await refused(rig, "r2", record.scope, prices=PRICES)
    assert await rig.virtual_keys.set_spend(record, 0)
    await admitted(rig, "r3", record.scope, prices=PRICES)
    assert await total(rig, record) == Tally(1, 110, 0, 1, 110, 110_000)
    await rig.virtual_keys.delete(record)
    assert not await rig.virtual_keys.set_spend(record, 5)


async def test_a_lapsed_request_is_swept_in_the_keys_windows_too(rig: Rig) -> None:
    record = await made(rig)
    first = await admitted(rig, "r1", record.scope, prices=PRICES)
    await admitted(rig, "r2", record.scope, prices=PRICES)
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 2
    assert await total(rig, record) == Tally(2, 20, 20_000, 0, 0, 0)
    assert (await rig.quotas.settle(first.receipt, used(50, nano_usd=7))).status == "replaced"
    assert await rig.quotas.release("r2", SUBJECT, "k1")
    assert await total(rig, record) == Tally(1, 50, 7, 0, 0, 0)
    assert (await rig.quotas.settle(first.receipt, used(99))).status == "duplicate"
    assert await total(rig, record) == Tally(1, 50, 7, 0, 0, 0)


async def test_admitting_the_same_request_again_reserves_once_with_the_key(rig: Rig) -> None:
    record = await made(rig, rpm_limit=1)
    first = await admitted(rig, "r1", record.scope)
    again = await admitted(rig, "r1", record.scope)
    assert (again.receipt, again.key_tallies) == (first.receipt, first.key_tallies)
    assert (await total(rig, record)).requests_held == 1


async def test_what_one_key_uses_is_another_ones_room_still(rig: Rig) -> None:
    one, two = await made(rig, rpm_limit=1), await rig.virtual_keys.create(key_of("alice", 2, rpm_limit=1))
    await admitted(rig, "r1", one.scope)
    await admitted(rig, "r2", two.scope)
    await refused(rig, "r3", one.scope)
    assert (await day(rig)).requests_held == 2


async def test_a_settlement_tells_where_the_key_stands_and_a_second_one_nothing(rig: Rig) -> None:
    record = await made(rig, rpm_limit=10, max_budget_nano_usd=10**9)
    receipt = (await admitted(rig, "r1", record.scope)).receipt
    await admitted(rig, "r2", record.scope)
    settled = await rig.quotas.settle(receipt, used(30, nano_usd=500))
    for window in (KeyWindow.MINUTE, KeyWindow.TOTAL):
        tally = settled.key_tallies[window]
        assert (tally.requests_used, tally.tokens_used, tally.nano_usd_used, tally.requests_held) == (1, 30, 500, 1)
    again = await rig.quotas.settle(receipt, used(30, nano_usd=500))
    assert (again.status, again.key_tallies) == ("duplicate", {})


async def test_the_versions_of_key_and_user_tell_that_one_has_changed(rig: Rig) -> None:
    record = await made(rig)
    before = await rig.virtual_keys.versions(record.key_id, "alice")
    assert before == (record.version, "0")
    await rig.virtual_keys.update(record, replace(record, blocked=True))
    await rig.users.create(UserRecord("alice"))
    key, user = await rig.virtual_keys.versions(record.key_id, "alice")
    assert key not in (record.version, "0")
    assert user != "0"
    assert await rig.virtual_keys.versions("nobody", "nobody") == ("0", "0")
