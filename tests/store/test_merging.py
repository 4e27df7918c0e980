"""What every store promises of merging an address's use into a user's, over the memory store and a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Tally
from scalix.store.base import UserRecord
from scalix.store.keys import CLOCK_GRACE_MS
from scalix.store.quota.redis_quota import QuotaStore
from tests.store.memory.memory import MemoryStore
from tests.store.stores import SUBJECT, Rig, ask, limits, memory_rig, redis_rig, used

ADDRESS = "address:192.0.2.1"


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


def merging(rig: Rig) -> MemoryStore | QuotaStore:
    assert isinstance(rig.quotas, MemoryStore | QuotaStore)
    return rig.quotas


async def use(rig: Rig, subject: str, request_id: str, tokens: int) -> None:
    given = limits(requests={"minute": 100, "hour": 100})
    decision = await rig.quotas.admit(ask(request_id, given, subject=subject))
    assert isinstance(decision, Admitted)
    await rig.quotas.settle(decision.receipt, used(tokens, nano_usd=tokens * 3))


async def merge(rig: Rig) -> bool:
    return await merging(rig).raise_to(SUBJECT, *await rig.quotas.tallies(ADDRESS))


async def test_each_amount_of_each_window_is_the_greater_of_the_two(rig: Rig) -> None:
    await use(rig, SUBJECT, "u1", 70)
    rig.clock.advance(hours=1)
    await use(rig, ADDRESS, "a1", 20)
    await use(rig, ADDRESS, "a2", 30)
    assert await merge(rig)
    tallies = (await rig.quotas.tallies(SUBJECT))[1]
    assert tallies[Window.MINUTE] == tallies[Window.HOUR] == Tally(2, 50, 150)
    assert tallies[Window.DAY] == tallies[Window.MONTH] == Tally(2, 70, 210)


async def test_the_address_keeps_its_count(rig: Rig) -> None:
    await use(rig, ADDRESS, "a1", 20)
    before = await rig.quotas.tallies(ADDRESS)
    await merge(rig)
    assert await rig.quotas.tallies(ADDRESS) == before


async def test_a_user_starts_from_an_address_once_only(rig: Rig) -> None:
    await use(rig, ADDRESS, "a1", 20)
    assert await merge(rig)
    await use(rig, ADDRESS, "a2", 500)
    assert not await merge(rig)
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.DAY].tokens_used == 20


async def test_of_many_merges_at_once_one_is_done(rig: Rig) -> None:
    await use(rig, ADDRESS, "a1", 20)
    assert sorted(await asyncio.gather(*(merge(rig) for _ in range(20)))) == [False] * 19 + [True]


async def test_what_the_address_has_in_flight_counts_as_used(rig: Rig) -> None:
    await rig.quotas.admit(ask("a1", limits(requests={"hour": 5}), subject=ADDRESS))
    await merge(rig)
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.HOUR] == Tally(1, 110, 0)


async def test_what_the_user_has_in_flight_stays_held(rig: Rig) -> None:
    decision = await rig.quotas.admit(ask("u1", limits(requests={"hour": 5})))
    assert isinstance(decision, Admitted)
    await use(rig, ADDRESS, "a1", 20)
    await merge(rig)
    await rig.quotas.settle(decision.receipt, used(7))
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.HOUR] == Tally(2, 27, 60)


async def test_a_window_that_has_ended_in_between_is_left_out(rig: Rig) -> None:
    await use(rig, ADDRESS, "a1", 20)
    read_ms, tallies = await rig.quotas.tallies(ADDRESS)
    rig.clock.advance(hours=1)
    assert await merging(rig).raise_to(SUBJECT, read_ms, tallies)
    found = (await rig.quotas.tallies(SUBJECT))[1]
    assert Window.HOUR not in found
    assert found[Window.DAY].tokens_used == 20


async def test_an_address_without_use_changes_nothing_and_is_merged_all_the_same(rig: Rig) -> None:
    assert await merge(rig)
    assert (await rig.quotas.tallies(SUBJECT))[1] == {}
    assert not await merge(rig)


async def test_a_deleted_user_can_be_merged_again(rig: Rig) -> None:
    await use(rig, ADDRESS, "a1", 20)
    await rig.users.create(UserRecord("alice"))
    await merge(rig)
    await rig.users.delete("alice")
    assert await merge(rig)


async def test_no_key_of_a_merge_lives_for_ever(rig: Rig) -> None:
    await use(rig, ADDRESS, "a1", 20)
    await merge(rig)
    if rig.keys is not None:
        for key in (rig.keys.windows(SUBJECT), rig.keys.merged(SUBJECT)):
            assert 0 < await rig.client.pttl(key) < 401 * 86_400_000 + CLOCK_GRACE_MS


async def test_revoked_tokens_are_kept_in_the_record(rig: Rig) -> None:
    await rig.users.create(UserRecord("alice", tokens_valid_after_ms=1_700_000_000_123, revoked_tokens={"ab": 0}))
    found = await rig.users.get("alice")
    assert (found.tokens_valid_after_ms, found.revoked_tokens) == (1_700_000_000_123, {"ab": 0})
