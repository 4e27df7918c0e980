"""Turns of self-service: one act at a time, so much within an hour, and a dead process holds nobody up for long."""

from collections.abc import AsyncIterator

import pytest

from scalix.store.records.redis_turns import TURN_MS, TurnStore
from tests.store.stores import SUBJECT, Rig, redis_rig

HOUR_MS = 3_600_000


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    made = redis_rig(store_url, key_prefix)
    yield made
    await made.close()


async def test_one_act_of_a_user_at_a_time(rig: Rig) -> None:
    turns = TurnStore(rig.session)
    assert await turns.take(SUBJECT, 1, 60) == 0
    assert await turns.take(SUBJECT, 1, 60) == -1
    assert await turns.take("user:bob", 1, 60) == 0
    await turns.end(SUBJECT)
    assert await turns.take(SUBJECT, 1, 60) == 0


async def test_a_turn_whose_process_died_is_over_after_a_minute(rig: Rig) -> None:
    turns = TurnStore(rig.session)
    assert await turns.take(SUBJECT, 1, 60) == 0
    rig.clock.now_ms += TURN_MS
    assert await turns.take(SUBJECT, 1, 60) == 0


async def test_so_much_within_an_hour_of_the_first_act(rig: Rig) -> None:
    turns = TurnStore(rig.session)
    for weight in (30, 29):
        assert await turns.take(SUBJECT, weight, 60) == 0
        await turns.end(SUBJECT)
    rig.clock.now_ms += HOUR_MS // 2
    assert await turns.take(SUBJECT, 2, 60) == HOUR_MS // 2
    assert await turns.take(SUBJECT, 1, 60) == 0
    await turns.end(SUBJECT)
    rig.clock.now_ms += HOUR_MS // 2
    assert await turns.take(SUBJECT, 60, 60) == 0


async def test_what_is_kept_names_nobody_and_ends(rig: Rig, key_prefix: str) -> None:
    turns = TurnStore(rig.session)
    await turns.take(SUBJECT, 1, 60)
    await turns.end(SUBJECT)
    (name,) = [name async for name in rig.session.names_like("*:p:*")]
    assert "alice" not in name
    assert 0 < await rig.client.pttl(name) <= HOUR_MS


async def test_a_turn_goes_on_beyond_the_end_of_the_hour_that_it_was_taken_in(rig: Rig) -> None:
    turns = TurnStore(rig.session)
    assert await turns.take(SUBJECT, 60, 60) == 0
    await turns.end(SUBJECT)
    rig.clock.now_ms += HOUR_MS - 1
    assert await turns.take(SUBJECT, 0, 60) == 0
    rig.clock.now_ms += 1
    assert await turns.take(SUBJECT, 1, 60) == -1
    (name,) = [name async for name in rig.session.names_like("*:p:*")]
    assert await rig.client.pttl(name) > TURN_MS - 10_000
    await turns.end(SUBJECT)
    assert await turns.take(SUBJECT, 1, 60) == 0
