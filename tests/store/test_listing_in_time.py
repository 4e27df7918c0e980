"""What gateways of the version before have written is listed by time by a job, once; what is erased is not sought."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.ledger import EVENT_VERSION, READ_WHOLE
from scalix.domain.ledger.people import LATE, numbers_of, numbers_text
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.policy import Policy, Tier
from scalix.service.ledger.in_time import ListingInTime
from scalix.service.policy_source import PolicySource
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_in_time import InTimeStore
from scalix.store.ledger.redis_requests import Place, RequestReader
from scalix.store.privacy.redis_erasure import ErasureStore
from tests.store.ledger_rig import TODAY, LedgerRig
from tests.store.test_today import Rig
from tests.store.today_truth import agrees


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


async def a_day(rig: LedgerRig) -> list[str]:
    subjects = [f"user:u{number} é|:{number}" for number in range(6)]
    for number in range(48):
        await rig.settle(f"r{number}", subjects[number % 6])
    return subjects


async def run(rig: LedgerRig) -> int:
    """The job, an hour after its last run."""
    await rig.client.delete(rig.keys.in_time_turn())
    return await job_over(rig, InTimeStore(rig.session)).run()


def job_over(rig: LedgerRig, store: InTimeStore) -> ListingInTime:
    return ListingInTime(store, FiguresStore(rig.session), PolicySource(Policy({"free": Tier("free")}, "free")))


async def as_before(rig: LedgerRig, subjects: list[str], day: int = TODAY) -> None:
    """The day as a gateway of the version before would have left it."""
    for subject in subjects:
        name = rig.keys.events(subject, day * DAY_MS)
        for request_id, text in (await rig.client.hgetall(name)).items():
            await rig.client.hset(name, request_id, text.replace(f" v{EVENT_VERSION}", " v3"))
        await rig.client.delete(rig.keys.in_time(shard_of(subject), day), rig.keys.events_in_time(subject, day))


async def listed(rig: LedgerRig) -> int:
    return len(await RequestReader(rig.session).newest(Place((TODAY + 1) * DAY_MS, ""), (TODAY - 20) * DAY_MS, 1_000))


async def test_days_of_before_are_listed_once_and_what_is_missing_there_is_no_difference(rig: LedgerRig) -> None:
    subjects = await a_day(rig)
    for number in range(READ_WHOLE + 1):
        await rig.settle(f"many-{number}", subjects[0])
    made = len(subjects) * 8 + READ_WHOLE + 1
    assert await listed(rig) == made
    await as_before(rig, subjects)
    assert (await rig.verify()).differences == []
    assert await listed(rig) == 0
    assert await run(rig) == made
    assert await listed(rig) == made
    assert await rig.client.zcard(rig.keys.events_in_time(subjects[0], TODAY)) == READ_WHOLE + 9
    for name in (rig.keys.in_time(shard_of(subjects[0]), TODAY), rig.keys.events_in_time(subjects[0], TODAY)):
        assert await rig.client.pttl(name) > 0
    assert (await rig.verify()).differences == []
    assert await run(rig) == 0


async def test_one_process_an_hour_looks_and_days_that_are_over_are_looked_at_once(rig: LedgerRig) -> None:
    subjects = await a_day(rig)
    rig.clock.now_ms += 3 * DAY_MS
    await run(rig)
    await as_before(rig, subjects)
    assert await run(rig) == 0  # nobody writes into it any more
    await rig.client.delete(rig.keys.in_time_looks())
    job = job_over(rig, InTimeStore(rig.session))
    assert await job.run() == 0  # it was another's turn
    assert await run(rig) == len(subjects) * 8


async def test_erased_users_leave_no_place_and_are_not_sought_every_hour(rig: LedgerRig) -> None:
    subjects = await a_day(rig)
    for number in range(READ_WHOLE + 1):
        await rig.settle(f"many-{number}", subjects[0])
    await ErasureStore(rig.session, rig.pseudonyms).erase(subjects[0].removeprefix("user:"))
    assert await rig.client.exists(rig.keys.events_in_time(subjects[0], TODAY)) == 0
    assert await listed(rig) == (len(subjects) - 1) * 8
    await run(rig)
    assert (await InTimeStore(rig.session).looked_at())[TODAY] == READ_WHOLE + 9
    store = InTimeStore(rig.session)
    store.build = None  # type: ignore[assignment, method-assign]
    await rig.client.delete(rig.keys.in_time_turn())
    await job_over(rig, store).run()


async def test_what_a_gateway_of_before_has_told_late_comes_into_a_day_that_was_added_up(
    store_url: str, key_prefix: str
) -> None:
    rig = Rig(store_url, key_prefix)
    receipt = await rig.served("in-time", "user:ann", "free")
    rig.clock.advance(hours=24)
    await rig.days.add_up()
    await rig.quotas.settle(replace(receipt, request_id="late"), rig.charge_of("free", cost_nano_usd=7))
    # As one of before would have left it: it neither lists the event nor notes that it came late.
    await rig.client.zrem(rig.names("user:ann").in_time, "late user:ann")
    people = rig.names("user:ann").people
    numbers = numbers_of(await rig.client.hget(people, str(TODAY)))
    await rig.client.hset(people, str(TODAY), numbers_text({**numbers, LATE: 0}))
    assert await run(rig) == 1
    agrees(await rig.today(), await rig.truth(), TODAY + 1)
    await rig.close()


async def test_what_a_gateway_of_before_puts_in_a_sweeps_place_comes_into_the_day_before_within_the_hour(
    store_url: str, key_prefix: str
) -> None:
    """The event is listed already, so that nothing is missing by which it would be noticed."""
    rig = Rig(store_url, key_prefix)
    receipt = await rig.admit("r1", "user:ann", tier="free", lease_ms=1_000)
    rig.clock.advance(seconds=5)
    assert await rig.quotas.sweep() == 1
    rig.clock.advance(hours=24)
    await rig.days.add_up()
    people = rig.names("user:ann").people
    before = await rig.client.hget(people, str(TODAY))
    assert (await rig.quotas.settle(receipt, rig.charge_of("free", cost_nano_usd=7))).status == "replaced"
    await rig.client.hset(people, str(TODAY), before)  # one of before does not note that it came late
    assert await run(rig) == 0
    agrees(await rig.today(), await rig.truth(), TODAY + 1)
    await rig.close()
