"""What is gone by its age is no difference, is not made good by a repair, and is no zero; and it does go."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Receipt
from scalix.store.privacy.redis_retention import RetentionStore
from tests.store.ledger_rig import TODAY
from tests.store.test_today import Rig


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    rig = Rig(store_url, key_prefix)
    yield rig
    await rig.close()


async def test_numbers_of_users_that_are_gone_by_their_age_are_no_difference(rig: Rig) -> None:
    rig.retention = Retention(days_days=10)
    people = rig.names("user:ann").people
    for days in (0, 11):  # by the second day the user is still known
        rig.clock.advance(hours=24 * days)
        await rig.served(days, "user:ann", "free")
    assert await rig.client.hget(people, str(TODAY))
    await RetentionStore(rig.session).remove_books(rig.retention)
    assert await rig.client.hget(people, str(TODAY)) is None
    assert (await rig.verify()).differences == []


async def test_of_a_day_without_any_event_nothing_is_written(rig: Rig) -> None:
    """They were kept for less long than now, or were in a file that is lost: that says nothing against the sums."""
    subjects = await rig.a_day(users=3)
    names = [rig.names(subject) for subject in subjects]
    for one in names:
        await rig.client.delete(one.events, one.in_time)
    before = [await rig.client.hgetall(one.days) for one in names]
    found = await rig.repair()
    assert (found.mended, len(found.left)) == (0, len(found.differences))
    assert {one.why for one in found.left} == {"there is no event of that day"}
    assert [await rig.client.hgetall(one.days) for one in names] == before


async def test_of_a_user_without_any_event_of_that_day_nothing_is_written(rig: Rig) -> None:
    subjects = await rig.a_day(users=2)
    names = rig.names(subjects[0])
    await rig.client.delete(names.events)
    before = [await rig.client.hgetall(name) for name in (names.windows, names.summaries, names.people)]
    found = await rig.repair(subjects[0])
    assert found.differences
    assert (found.mended, {one.why for one in found.left}) == (0, {"there is no event of that day"})
    assert [await rig.client.hgetall(name) for name in (names.windows, names.summaries, names.people)] == before


async def test_of_days_that_are_kept_no_longer_nobody_knows_how_many_there_were(rig: Rig) -> None:
    await rig.served("one", "user:ann", "free")
    long_ago = await rig.today(day="2024-06-01")
    assert (long_ago.day.active_users, long_ago.day.limited_users, long_ago.known_from) == (None, None, None)
    assert (await rig.today(day="2026-02-20")).day.active_users == 0


async def test_what_is_to_be_kept_for_less_long_goes_with_the_next_run(rig: Rig) -> None:
    receipt = await rig.served("one", "user:ann", "free")
    store = RetentionStore(rig.session)
    await _let_pass(rig, 10 * DAY_MS)
    await store.remove_books(rig.retention)
    assert len(await _books_of(rig, receipt)) == 9, "all but the index of a user's many events"
    await store.remove_books(Retention(events_days=5, hours_days=5))
    month_and_people = {"s", "A", "p"}
    assert {name.split("}:")[1].split(":")[0] for name in await _books_of(rig, receipt)} == month_and_people


async def test_what_comes_after_its_book_has_gone_is_known_for_a_day(rig: Rig) -> None:
    receipt = await rig.served("one", "user:ann", "free")
    store = RetentionStore(rig.session)
    await _let_pass(rig, 50 * DAY_MS)
    await store.remove_books(rig.retention)
    late = replace(receipt, request_id="late")
    for status in ("settled", "duplicate"):
        assert (await rig.quotas.settle(late, rig.charge_of("free"))).status == status
        await store.remove_books(rig.retention)
    await _let_pass(rig, DAY_MS + 1)
    await store.remove_books(rig.retention)
    assert {name.split("}:")[1].split(":")[0] for name in await _books_of(rig, receipt)} == {"s", "A", "p"}


async def _books_of(rig: Rig, receipt: Receipt) -> list[str]:
    names = rig.keys.books(receipt.subject, receipt.admitted_ms)
    return [name for name in names if await rig.client.exists(name)]


async def _let_pass(rig: Rig, passed_ms: int) -> None:
    """The server's own clock stands still."""
    rig.clock.now_ms += passed_ms
    for name in await rig.client.keys(f"{rig.keys.prefix}*"):
        await rig.client.pexpire(name, await rig.client.pttl(name) - passed_ms)
