"""`ledger verify` names every counter, sum and event that was spoiled, and `repair` mends what events can tell."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from scalix.domain.ledger.ledger_check import kept_parts
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import Charge, Outcome
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.records.redis_users import UserStore
from tests.store.ledger_rig import PACE_S, TODAY, LedgerRig, Names, parts

Spoil = Callable[[LedgerRig, str, Names], Awaitable[object]]


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


async def first(rig: LedgerRig, key: str) -> tuple[str, str]:
    """A field of a hash and its text."""
    fields: dict[str, str] = await rig.client.hgetall(key)
    return next(iter(sorted(fields.items())))


async def one_more(rig: LedgerRig, key: str, position: int) -> None:
    field, text = await first(rig, key)
    words = text.split(" ")
    words[position] = str(int(words[position]) + 1)
    await rig.client.hset(key, field, " ".join(words))


async def window_raised(rig: LedgerRig, subject: str, names: Names) -> None:
    text = await rig.client.hget(names.windows, f"d{TODAY}")
    words = text.split(" ")
    await rig.client.hset(names.windows, f"d{TODAY}", " ".join([str(int(words[0]) + 7), *words[1:]]))


async def window_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hdel(names.windows, f"h{TODAY * 24 + 12}")


async def all_windows_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.delete(names.windows)


async def window_of_rubbish(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hset(names.windows, f"d{TODAY}", "rubbish")


async def summary_changed(rig: LedgerRig, subject: str, names: Names) -> None:
    await one_more(rig, names.summaries, 4)


async def summary_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hdel(names.summaries, (await first(rig, names.summaries))[0])


async def hour_changed(rig: LedgerRig, subject: str, names: Names) -> None:
    await one_more(rig, names.hours, 8)


async def hours_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.delete(names.hours)


async def day_changed(rig: LedgerRig, subject: str, names: Names) -> None:
    await one_more(rig, names.days, 9)


async def day_invented(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hset(names.days, f"{TODAY} gpt-9 openai free success -", "1 1 5 3 2 0 0 9 9 9 12")


async def token_rank_changed(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.zincrby(names.tokens, 1, subject)


async def cost_rank_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.zrem(names.cost, subject)


async def first_bytes_changed(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hincrby(names.first_bytes, "n", 1)


async def first_bytes_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.delete(names.first_bytes)


async def person_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hdel(names.people, subject)


async def person_there_less(rig: LedgerRig, subject: str, names: Names) -> None:
    text = await rig.client.hget(names.people, subject)
    await rig.client.hset(names.people, subject, text.rpartition(" ")[0])


async def person_of_rubbish(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hset(names.people, subject, "rubbish")


async def people_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.hdel(names.people, str(TODAY))


async def people_more(rig: LedgerRig, subject: str, names: Names) -> None:
    text = await rig.client.hget(names.people, str(TODAY))
    await rig.client.hset(names.people, str(TODAY), f"{text} h,1h,-=3")


async def everybody_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.delete(names.people)


async def place_lost(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.zrem(names.in_time, f"{(await first(rig, names.events))[0]} {subject}")


async def place_of_nothing(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.zadd(names.in_time, {f"nothing {subject}": TODAY * DAY_MS})


async def place_moved(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.zincrby(names.in_time, 1, f"{(await first(rig, names.events))[0]} {subject}")


async def own_places(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.zadd(rig.keys.events_in_time(subject, TODAY), {"nothing": TODAY * DAY_MS})


async def event_deleted(rig: LedgerRig, subject: str, names: Names) -> None:
    events = await rig.client.hgetall(names.events)
    counted = next(request_id for request_id, text in events.items() if text.startswith(("success ", "client_")))
    await rig.client.hdel(names.events, counted)


async def all_events_deleted(rig: LedgerRig, subject: str, names: Names) -> None:
    await rig.client.delete(names.events)


async def event_twice(rig: LedgerRig, subject: str, names: Names) -> None:
    events = await rig.client.hgetall(names.events)
    request_id, text = next(pair for pair in events.items() if pair[1].startswith(("success ", "client_")))
    await rig.client.hset(names.events, f"{request_id}-again", text)


EVERYBODYS = {"hours", "days"}
SUMS = {"windows", "summaries", "hours", "days", "tokens", "cost", "first_bytes"}
OF_EVENTS = SUMS | {"in_time"}


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (window_raised, {"windows"}),
        (window_lost, {"windows"}),
        (all_windows_lost, {"windows"}),
        (window_of_rubbish, {"windows"}),
        (summary_changed, {"summaries"}),
        (summary_lost, {"summaries"}),
        (hour_changed, {"hours"}),
        (hours_lost, {"hours"}),
        (day_changed, {"days"}),
        (day_invented, {"days"}),
        (token_rank_changed, {"tokens"}),
        (cost_rank_lost, {"cost"}),
        (first_bytes_changed, {"first_bytes"}),
        (first_bytes_lost, {"first_bytes"}),
        (person_lost, {"person", "people"}),
        (person_there_less, {"person", "people"}),
        (person_of_rubbish, {"person", "people"}),
        (people_lost, {"people"}),
        (people_more, {"people"}),
        (everybody_lost, {"person"}),
        (place_lost, {"in_time"}),
        (place_of_nothing, {"in_time"}),
        (place_moved, {"in_time"}),
        (own_places, {"events_in_time"}),
        (event_deleted, OF_EVENTS),
        (all_events_deleted, {*OF_EVENTS, "person"}),
        (event_twice, OF_EVENTS),
    ],
)
async def test_what_was_spoiled_is_named_and_mended(rig: LedgerRig, spoil: Spoil, named: set[str]) -> None:
    subjects = await rig.a_day()
    assert (await rig.verify()).differences == []
    names = rig.names(subjects[2])
    await spoil(rig, subjects[2], names)
    found = await rig.verify()
    assert parts(found.differences) == named
    shard = names.hours.split("{")[1].split("}")[0]
    assert {difference.where for difference in found.differences} <= {subjects[2], shard}
    mended = await rig.repair()
    assert (mended.left, mended.mended >= len(named)) == ([], True)
    assert (await rig.verify()).differences == []
    for name in (*names.of_sums, names.first_bytes, names.people):
        assert await rig.client.exists(name) == 0 or await rig.client.pttl(name) > 0, name


async def test_the_same_request_under_two_users_and_a_text_that_is_no_event_are_named_and_left(rig: LedgerRig) -> None:
    subjects = await rig.a_day(users=300, requests=2)
    shards = [rig.names(subject).hours for subject in subjects]
    one, other = next(
        (a, b) for a in range(len(subjects)) for b in range(a) if shards[a] == shards[b]
    )  # of 300 users two share a shard
    request_id, text = await first(rig, rig.names(subjects[one]).events)
    await rig.client.hset(rig.names(subjects[other]).events, request_id, text)
    await rig.client.hset(rig.names(subjects[0]).events, "odd", "no event")
    await rig.client.hset(rig.names(subjects[1]).events, "old", text.replace(text.split(" ")[5], "1000"))
    why = {difference.why for difference in (await rig.verify()).differences if difference.part is None}
    assert why == {
        "the request is in the ledger twice",
        "the event can't be read",
        "the event is of another day",
    }
    left = (await rig.repair()).left
    assert {difference.why for difference in left} >= why


async def test_sums_that_are_kept_for_less_long_than_events_are_not_missed(rig: LedgerRig) -> None:
    rig.retention = Retention(hours_days=3, days_days=5)
    subjects = await rig.a_day()
    of_people = {"person", "people"}
    by_days = {3: SUMS - {"windows"} | of_people, 4: {"days", "summaries", *of_people}, 40: set[str]()}
    for days, left in by_days.items():
        rig.clock.now_ms = (TODAY + days) * DAY_MS
        assert (await rig.verify()).differences == []
        assert kept_parts(TODAY, TODAY + days, rig.retention) - {"windows", "in_time", "events_in_time"} == left
    # What is gone by its age is not missed, what is gone too early is.
    names = rig.names(subjects[0])
    rig.clock.now_ms = (TODAY + 4) * DAY_MS
    await rig.client.delete(names.hours, names.tokens, names.days)
    assert parts((await rig.verify()).differences) == {"days"}


async def test_one_user_is_checked_and_mended_alone(rig: LedgerRig) -> None:
    subjects = await rig.a_day()
    for subject in subjects[:2]:
        await window_raised(rig, subject, rig.names(subject))
    found = await rig.verify(subjects[0])
    assert {difference.where for difference in found.differences} == {subjects[0]}
    assert found.subjects == 1
    await rig.repair(subjects[0])
    assert {difference.where for difference in (await rig.verify()).differences} == {subjects[1]}


async def test_what_is_reserved_stays_when_a_window_is_mended(rig: LedgerRig) -> None:
    (subject,) = await rig.a_day(users=1)
    receipt = await rig.admit("in-flight", subject)
    await window_raised(rig, subject, rig.names(subject))
    before = (await rig.client.hget(rig.names(subject).windows, f"d{TODAY}")).split(" ")
    await rig.repair()
    after = (await rig.client.hget(rig.names(subject).windows, f"d{TODAY}")).split(" ")
    assert (int(after[0]), after[3:]) == (int(before[0]) - 7, before[3:])
    await rig.quotas.settle(receipt, rig.charge())
    assert (await rig.verify()).differences == []


async def test_sweeps_late_settlements_releases_and_resets_leave_nothing_that_differs(rig: LedgerRig) -> None:
    subjects = await rig.a_day()
    swept = [await rig.admit(f"swept-{number}", subject, lease_ms=1_000) for number, subject in enumerate(subjects)]
    rig.clock.advance(seconds=5)
    assert await rig.quotas.sweep() == len(swept)
    assert (await rig.verify()).differences == []
    for receipt in swept[:2]:
        assert (await rig.quotas.settle(receipt, rig.charge())).status == "replaced"
        assert (await rig.quotas.settle(receipt, rig.charge())).status == "duplicate"
    assert await rig.quotas.release("swept-2", subjects[2])
    assert (await rig.verify()).differences == []
    await rig.quotas.reset(subjects[3], [(metric, window) for metric in Metric for window in Window])
    await rig.settle("after-reset", subjects[3])
    _, tallies = await rig.quotas.tallies(subjects[4])
    assert await rig.quotas.raise_to(subjects[5], rig.clock.now_ms, tallies)
    assert (await rig.verify()).differences == []


async def test_what_a_gateway_of_before_has_swept_is_missed_nowhere_also_when_it_is_settled_after_all(
    rig: LedgerRig,
) -> None:
    names = rig.names("user:u")
    await rig.settle("r0", "user:u")
    late = await rig.admit("late", "user:u")
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 1
    # One that knows nothing of first bytes and people writes the same event, as of its version.
    text = await rig.client.hget(names.events, "late")
    assert text.endswith(" v4")
    await rig.client.hset(names.events, "late", text.replace(" v4", " v3"))
    await rig.client.hincrby(names.first_bytes, "n", -1)
    assert (await rig.verify()).differences == []
    await rig.quotas.settle(late, rig.charge())
    assert await rig.client.hget(names.first_bytes, "n") == "2"


async def test_a_deleted_user_leaves_nothing_that_differs_also_when_they_come_back(rig: LedgerRig) -> None:
    subjects = await rig.a_day()
    await rig.admit("late", subjects[0])
    users = UserStore(rig.session)
    await users.delete(subjects[0].removeprefix("user:"))
    assert (await rig.verify()).differences == []
    await rig.settle("again", subjects[0])
    assert (await rig.verify()).differences == []


async def test_users_who_were_erased_leave_nothing_that_differs_also_when_they_come_back(rig: LedgerRig) -> None:
    subjects = await rig.a_day()
    late = await rig.admit("late", subjects[0])
    erasure = ErasureStore(rig.session, rig.pseudonyms)
    for subject in subjects[:3]:
        await erasure.erase(subject.removeprefix("user:"))
    assert (await rig.verify()).differences == []
    rig.clock.advance(seconds=1)
    await rig.quotas.settle(late, rig.charge())
    await rig.settle("back", subjects[1])
    assert (await rig.verify()).differences == []
    # In their shards sums may be more than the events, and not less.
    await rig.client.delete(rig.names(subjects[1]).hours)
    assert parts((await rig.verify()).differences) == {"hours"}
    assert (await rig.repair()).left == []
    assert (await rig.verify()).differences == []


async def test_a_midnight_between_admission_and_settlement_leaves_nothing_that_differs(rig: LedgerRig) -> None:
    subjects = await rig.a_day()
    over_night = [await rig.admit(f"night-{subject}", subject) for subject in subjects]
    rig.clock.advance(hours=13)
    for subject, receipt in zip(subjects, over_night, strict=True):
        await rig.settle(f"morning-{subject}", subject)
        await rig.quotas.settle(receipt, rig.charge())
    assert (await rig.verify(day=TODAY)).differences == []
    assert (await rig.verify(day=TODAY + 1)).differences == []
    assert (await rig.verify(day=TODAY + 1)).events == len(subjects)


async def test_settlements_during_the_run_are_no_differences_and_are_mended_around(rig: LedgerRig) -> None:
    subjects = await rig.a_day(users=20)
    going = True
    settled = 0

    async def traffic(number: int) -> None:
        nonlocal settled
        while going:
            subject = rig.random.choice([*subjects, f"user:new-{number}-{settled}"])
            await rig.settle(f"traffic-{number}-{settled}", subject)
            settled += 1
            await asyncio.sleep(PACE_S)

    tasks = [asyncio.create_task(traffic(number)) for number in range(4)]
    try:
        for _ in range(3):
            assert (await rig.verify()).differences == []
        for subject in subjects[:5]:
            await window_raised(rig, subject, rig.names(subject))
            await summary_lost(rig, subject, rig.names(subject))
        await hour_changed(rig, subjects[0], rig.names(subjects[0]))
        found = await rig.verify()
        assert {difference.where for difference in found.differences} >= set(subjects[:5])
        assert (await rig.repair()).left == []
        assert (await rig.verify()).differences == []
    finally:
        going = False
        await asyncio.gather(*tasks)
    assert settled > 20
    assert (await rig.verify()).differences == []


async def test_a_request_that_cost_nothing_is_in_the_sums_of_a_user_in_no_ranking(rig: LedgerRig) -> None:
    await rig.settle("failed", "user:ann", Charge(Outcome.PROVIDER_FAILED, 0, 0, 0))
    found = await rig.verify()
    assert (found.differences, found.events) == ([], 1)
    await hour_changed(rig, "user:ann", rig.names("user:ann"))
    assert parts((await rig.verify()).differences) == {"hours"}
    await rig.repair()
    assert (await rig.verify()).differences == []
