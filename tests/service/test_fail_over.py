"""Gateways whose store fails over by Sentinel: an outage as any other, after which each request is counted once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.outage_rig import USED, World
from tests.store.sentinels import Watched
from tests.store.servers import running


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with running(Watched(tmp_path / "sentinel")) as made:
        yield made


async def told(world: World) -> None:
    """Return when the store has all that has happened while it was away."""
    watch = world.core.exchange.watch
    await world.eventually(lambda: watch.store_is_there and not watch.is_behind)


async def test_a_fail_over_under_requests_counts_each_of_them_once(watched: Watched, tmp_path: Path) -> None:
    served: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    async with World(watched.url, tmp_path / "one", "t:") as one, World(watched.url, tmp_path / "two", "t:") as two:
        users = [await one.user(f"p{number}", "pro") for number in range(10)]
        users += [await two.user(f"f{number}", "free") for number in range(10)]

        async def wave() -> None:
            asked = [(world, user) for world in (one, two) for user in users]
            replies = await asyncio.gather(*(world.ask(user) for world, user in asked))
            for (_, user), reply in zip(asked, replies, strict=True):
                statuses[reply.status] += 1
                served[user] += reply.status == 200

        for _ in range(5):
            await wave()
        # What had not reached the replica would be lost, as with every Redis.
        watched.wait_until_replicated()
        before = watched.master()
        before.kill()
        switched = asyncio.create_task(asyncio.to_thread(watched.wait_for_another, before))
        while not switched.done():
            await wave()
        await asyncio.gather(told(one), told(two))
        for _ in range(5):
            await wave()
        for user in users:
            day = await one.day(user)
            assert (day.requests_used, day.tokens_used) == (served[user], served[user] * USED.total_tokens), user
            assert (day.requests_held, day.tokens_held, day.nano_usd_held) == (0, 0, 0), user
        verified = [served[user] for user in users if user.startswith("p")]
    # Paid tiers went on meanwhile; the others waited for the store.
    assert set(statuses) == {200, 503}
    assert len(set(verified)) == 1
