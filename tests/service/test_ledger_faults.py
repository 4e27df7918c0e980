"""Whatever breaks under settlements: afterwards `ledger verify` finds nothing, and each request is there once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.domain.limits.calendar import DAY_MS
from tests.service.cutting_proxy import CuttingProxy
from tests.service.outage_rig import USED, StoreProcess, World
from tests.service.test_outage import FAULTS, Fault, recovered

PREFIX = "t:"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    process = StoreProcess(tmp_path)
    yield process
    process.stop()


def ids_of(store: StoreProcess) -> Counter[str]:
    """How often each request is in the ledger."""
    with store.admin() as client:
        found: Counter[str] = Counter()
        for name in client.scan_iter(f"{PREFIX}{{s*:e:*"):
            found.update(client.hkeys(name))
        return found


async def agrees(world: World, store: StoreProcess, requests: int) -> None:
    """Counters, sums and events say the same, and have so many requests, each once."""
    ledger = world.core.ledger.administration
    found = await ledger.verify({})
    assert (found["differences"], found["moving"]) == ([], [])
    ids = ids_of(store)
    assert set(ids.values()) == {1}
    assert len(ids) == found["events"] == requests


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
async def test_a_store_that_breaks_under_settlements_agrees_with_itself_afterwards(
    store: StoreProcess, tmp_path: Path, fault: Fault
) -> None:
    break_it, mend_it = fault
    async with World(store.url, tmp_path, PREFIX) as world:
        users = [await world.user(f"p{number}", "pro") for number in range(10)]
        served = 0
        for round_ in range(12):
            if round_ == 4:
                world.provider.gate.clear()
            asking = [asyncio.create_task(world.ask(user)) for user in users]
            if round_ == 4:
                # They are in flight when it breaks, and are settled while it is away.
                await world.eventually(lambda: len(world.provider.served) == 50)
                break_it(store)
                world.provider.gate.set()
            replies = await asyncio.gather(*asking)
            served += sum(reply.status == 200 for reply in replies)
            if round_ == 8:
                mend_it(store)
                await recovered(world)
        assert served == 120
        await recovered(world)
        await agrees(world, store, 120)


@pytest.mark.parametrize("script", ["settle", "admit"])
async def test_an_answer_lost_after_the_script_has_run_counts_nothing_twice(
    store: StoreProcess, tmp_path: Path, script: str
) -> None:
    path = store.url.removeprefix("unix://").partition("?")[0]
    async with CuttingProxy(path) as proxy, World(proxy.url, tmp_path, PREFIX) as world:
        users = [await world.user(f"p{number}", "pro") for number in range(5)]
        assert (await world.ask(users[0])).status == 200
        served = 1
        for _ in range(6):
            proxy.cut(script, 1)
            replies = await asyncio.gather(*(world.ask(user) for user in users))
            served += sum(reply.status == 200 for reply in replies)
            await recovered(world)
        assert proxy.cuts == 6
        assert served == 31
        await agrees(world, store, 31)
        for user in users[1:]:
            day = await world.day(user)
            assert (day.requests_used, day.tokens_used, day.requests_held) == (6, 6 * USED.total_tokens, 0)


async def test_what_was_spoiled_while_the_store_was_away_is_mended_when_it_is_back(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, PREFIX) as world:
        user = await world.user("paula", "pro")
        for _ in range(5):
            await world.ask(user)
        with store.admin() as client:
            (name,) = client.scan_iter(f"{PREFIX}{{s*:w:user:paula")
            day = next(field for field in client.hkeys(name) if field.startswith("d"))
            client.hset(name, day, "1 1 1 0 0 0")
        store.kill()
        assert (await world.ask(user)).status == 200
        store.start_again()
        await recovered(world)
        assert (await world.core.ledger.administration.verify({}))["difference_count"] == 1
        found = await world.core.ledger.check.repair(int((await world.core.ledger.books.now_ms()) // DAY_MS))
        assert (found.left, found.mended) == ([], 1)
        await agrees(world, store, 6)
