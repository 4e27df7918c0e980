"""Refusals without a round trip, over a real store and two instances."""

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.limits_rig import Instance
from tests.service.outage_rig import PROMPT

Pair = tuple[Instance, Instance]


@pytest.fixture
async def pair(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Pair]:
    instances = Instance(store_url, tmp_path, key_prefix, "a"), Instance(store_url, tmp_path, key_prefix, "b")
    yield instances
    for instance in instances:
        await instance.close()


async def used_up(instance: Instance, user: str) -> None:
    """A user of the tier `pro`, whose five requests are used, and who has gone on asking."""
    await instance.http.post("/user/new", json={"user_id": user, "tier": "pro"})
    assert [(await instance.ask(user)).status_code for _ in range(7)] == [200] * 5 + [429] * 2


async def store_calls(instance: Instance) -> int:
    stats = await instance.core.store.client.info("commandstats")
    return sum(entry["calls"] for name, entry in stats.items() if "eval" in name)


async def test_who_goes_on_asking_is_refused_without_a_round_trip_and_with_the_same_answer(pair: Pair) -> None:
    a, _ = pair
    await used_up(a, "alice")
    from_store = await a.ask("alice")
    before = await store_calls(a)
    answers = [await a.ask("alice") for _ in range(20)]
    assert await store_calls(a) - before <= 4  # one more every half second
    assert {answer.status_code for answer in answers} == {429}
    assert {answer.json()["error"]["message"].split("Try")[0] for answer in answers} == {
        from_store.json()["error"]["message"].split("Try")[0]
    }
    assert answers[0].headers.keys() == from_store.headers.keys()
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "0"
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert (await a.ask("bob")).status_code == 200


async def test_a_new_tier_or_a_reset_on_the_same_instance_holds_at_once(pair: Pair) -> None:
    a, _ = pair
    for user in ("alice", "bob"):
        await used_up(a, user)
        assert (await a.ask(user)).status_code == 429
    await a.http.post("/user/update", json={"user_id": "alice", "tier": "open"})
    assert (await a.ask("alice")).status_code == 200
    await a.http.post("/user/reset", json={"user_id": "bob", "windows": "all"})
    assert (await a.ask("bob")).status_code == 200


async def test_what_another_instance_changes_is_seen_within_half_a_second(pair: Pair) -> None:
    a, b = pair
    await used_up(a, "alice")
    await b.http.post("/user/update", json={"user_id": "alice", "tier": "open"})
    began_s = time.monotonic()
    while (await a.ask("alice")).status_code == 429:
        assert time.monotonic() - began_s < 0.5 + 1


async def test_refused_callers_hold_none_of_what_they_sent(pair: Pair) -> None:
    # Given twelve callers who are known to be refused
    a, _ = pair
    users = [f"user-{number}" for number in range(12)]
    for user in users:
        await used_up(a, user)
    tracemalloc.start()
    # When each sends a mebibyte, and is refused by what is known
    for user in users:
        body = {**PROMPT, "user": user, "messages": [{"role": "user", "content": "x" * 2**20}]}
        for _ in range(3):
            assert (await a.http.post("/v1/chat/completions", json=body)).status_code == 429
    del body
    gc.collect()
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then nothing of it is kept
    assert held_bytes < 2**21
