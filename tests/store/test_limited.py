"""Who ran into which limit: everybody whom the counts count, once, by pages that read what they show."""

from collections.abc import AsyncIterator

import pytest

from scalix.domain.identity.subjects import SHARDS
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.queries import date_of
from scalix.service.usage.limited import LimitedUser
from scalix.store.privacy.redis_erasure import ErasureStore
from tests.store.counting import commands_of
from tests.store.test_today import Rig


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    rig = Rig(store_url, key_prefix)
    yield rig
    await rig.close()


async def everybody(rig: Rig, **query: str) -> list[LimitedUser]:
    found = list[LimitedUser]()
    cursor = ""
    while True:
        page = await rig.limited.page({"page_size": "3", **query, **({"cursor": cursor} if cursor else {})})
        assert len(page.users) <= 3
        found += page.users
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


async def test_the_users_are_those_whom_the_numbers_count(rig: Rig) -> None:
    await rig.a_month(days=12, users=60)
    day = rig.clock.now_ms // DAY_MS
    seen = 0
    for back in range(8):
        date = date_of(day - back)
        for limit in ("requests-hour", "requests-day"):
            users = await everybody(rig, day=date, limit=limit)
            hits = {
                (subject, tier) for of_day, name, subject, tier in rig.hits if (of_day, name) == (day - back, limit)
            }
            assert {one.subject for one in users} == {subject for subject, _ in hits}, (date, limit)
            assert {(one.subject, one.tier) for one in users} <= hits
            assert len({one.subject for one in users}) == len(users)
            seen += len(users)
        anybody = {subject for of_day, _, subject, _ in rig.hits if of_day == day - back}
        assert {one.subject for one in await everybody(rig, day=date)} == anybody
    assert seen > 10
    then = await rig.today()
    for hit in then.after_limit_hits or ():
        since = [one.since for one in await everybody(rig, day=then.limit_cohort_date, limit=hit.limit)]
        assert (since.count("upgraded"), since.count("came back"), since.count("left")) == (
            *(hit.upgraded, hit.came_back, hit.left),
        )


async def test_a_page_looks_through_no_shard_in_which_nobody_was_refused(rig: Rig) -> None:
    for number in range(300):
        await rig.served(number, f"user:u{number}", "free")
    for number in range(3):
        await rig.refused_by_limits(number, "user:ann", "free")
    with commands_of(rig.client) as sent:
        (ann,) = await everybody(rig)
    assert (ann.user_id, ann.limits) == ("ann", ["requests-hour"])
    names = [one.name for one in sent]
    assert (names.count("HGET"), names.count("EVALSHA")) == (SHARDS, 1)


async def test_an_erased_user_is_named_to_nobody_and_hides_no_other(rig: Rig) -> None:
    names = ("ann", "ben", "eve", "joe", "kim", "lea")
    for name in names:
        for number in range(8):
            await rig.refused_by_limits(f"{name}-{number}", f"user:{name}", "free")
    assert {one.user_id for one in await everybody(rig)} == {*names}
    await ErasureStore(rig.session, rig.pseudonyms).erase("ann")
    assert {one.user_id for one in await everybody(rig)} == {*names[1:]}
