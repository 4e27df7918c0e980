"""The removal of what is too old, killed after each of its commands, and run again."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.base import StoreUnavailable
from scalix.store.privacy.redis_retention import RetentionStore
from tests.store.ledger_rig import TODAY
from tests.store.test_today import Rig
from tests.store.today_truth import agrees

KEPT = Retention(events_days=40, hours_days=40)


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    rig = Rig(store_url, key_prefix)
    yield rig
    await rig.close()


async def test_a_removal_killed_after_each_of_its_steps_loses_nothing_and_the_next_leaves_nothing_behind(
    rig: Rig,
) -> None:
    rig.retention = KEPT
    long_ago = TODAY - 500
    for day in (long_ago, long_ago + 1):
        rig.clock.now_ms = day * DAY_MS
        for user in ("user:ann", "user:gone"):
            await rig.served(f"{day}-{user}", user, "free")
    rig.clock.now_ms = (TODAY + 1) * DAY_MS - 1
    await rig.a_month(days=3, users=6)
    await rig.served("back", "user:ann", "free")
    today = rig.clock.now_ms // DAY_MS
    await rig.today()  # adds the days up, and keeps them
    await rig.figures_store.keep({long_ago: {}}, 400)
    store = RetentionStore(rig.session)
    before, truth = await _contents(rig), await rig.truth()
    await _copy(rig, before)
    with _cut_after(rig, None) as steps:
        await store.remove_books(KEPT)
    after = await _contents(rig)
    assert not [name for name in after if f":{long_ago}" in name or "gone" in name]
    assert len(steps) > 20
    for step in range(len(steps)):
        await _copy(rig, before, back=True)
        with pytest.raises(StoreUnavailable), _cut_after(rig, step):
            await store.remove_books(KEPT)
        cut = await _contents(rig)
        assert all(cut[name] == content for name, content in after.items() if before[name] == content)
        await store.remove_books(KEPT)
        assert await _contents(rig) == after
    rig.clock.now_ms = today * DAY_MS + 1
    await rig.client.unlink(*(f"copy-{name}" for name in before))
    assert (await rig.verify(day=today)).differences == []
    agrees(await rig.today(), truth, today)  # also that she is not new who was there long ago


@contextmanager
def _cut_after(rig: Rig, step: int | None) -> Iterator[list[str]]:
    """Nothing is sent after this one of the commands that have removed something; those that have."""
    removed = list[str]()
    execute = rig.client.execute_command

    async def cut(*words: Any, **options: Any) -> Any:
        answer = await execute(*words, **options)
        if words[0] in ("EVALSHA", "EVAL", "UNLINK", "HDEL") and answer:
            removed.append(words[0])
            if step is not None and len(removed) > step:
                raise StoreUnavailable("killed")
        return answer

    with patch.object(rig.client, "execute_command", cut):
        yield removed


async def _contents(rig: Rig) -> dict[str, Any]:
    found = dict[str, Any]()
    for name in {one async for one in rig.session.names_like("*")}:
        match await rig.client.type(name):
            case "hash":
                found[name] = await rig.client.hgetall(name)
            case "zset":
                found[name] = await rig.client.zrange(name, 0, -1, withscores=True)
            case _:
                found[name] = await rig.client.get(name)
    return found


async def _copy(rig: Rig, names: Iterable[str], *, back: bool = False) -> None:
    """With their ends, to names of no gateway's, or from there."""
    for name in names:
        places = (f"copy-{name}", name) if back else (name, f"copy-{name}")
        assert await rig.client.copy(*places, replace=True)
