"""A worker under load while its store is frozen, killed under it, and the worker itself killed: no request is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.outage_rig import USED, StoreProcess, World

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    process = StoreProcess(tmp_path)
    yield process
    process.stop()


async def told(world: World) -> None:
    await world.eventually(lambda: world.core.exchange.watch.store_is_there and not world.core.exchange.watch.is_behind)


async def wave(world: World, users: list[str | None], served: Counter[str | None], statuses: Counter[int]) -> None:
    """One request of each user, all at once."""
    replies = await asyncio.gather(*(world.ask(user) for user in users))
    for user, reply in zip(users, replies, strict=True):
        statuses[reply.status] += 1
        served[user] += reply.status == 200


async def counts_equal(world: World, served: Counter[str | None]) -> None:
    for user, requests in served.items():
        day = await world.day(user)
        assert (day.requests_used, day.tokens_used) == (requests, requests * USED.total_tokens), user
        assert (day.requests_held, day.tokens_held, day.nano_usd_held) == (0, 0, 0), user


async def test_a_store_frozen_under_load_is_told_every_request_once_afterwards(
    store: StoreProcess, tmp_path: Path
) -> None:
    served: Counter[str | None] = Counter()
    statuses: Counter[int] = Counter()
    async with World(store.url, tmp_path, "t:") as world:
        users: list[str | None] = [None]
        for number in range(30):
            users += [await world.user(f"f{number}", "free"), await world.user(f"p{number}", "pro")]
        for round_ in range(30):
            if round_ == 5:
                store.freeze()
            if round_ == 20:
                store.thaw()
                await told(world)
            await wave(world, users, served, statuses)
        await told(world)
        await counts_equal(world, served)
    assert set(statuses) == {200, 503}
    assert all(served[user] == 30 for user in users if user is None or user.startswith("p"))


async def test_a_store_killed_and_started_again_in_the_middle_keeps_what_it_has_acknowledged(
    store: StoreProcess, tmp_path: Path
) -> None:
    """A killed server loses nothing that it has written to its file, which it does before it answers."""
    served: Counter[str | None] = Counter()
    statuses: Counter[int] = Counter()
    async with World(store.url, tmp_path, "t:") as world:
        users: list[str | None] = [await world.user(f"p{number}", "pro") for number in range(20)]
        for round_ in range(30):
            waves = asyncio.create_task(wave(world, users, served, statuses))
            if round_ % 10 == 4:
                store.kill()
            await waves
            if round_ % 10 == 8:
                store.start_again()
                await told(world)
        await told(world)
        await counts_equal(world, served)
    assert set(statuses) == {200}


WORKER = """
import asyncio, sys
from pathlib import Path
from tests.service.outage_rig import World

async def main(url, folder):
    async with World(url, Path(folder), "t:", jobs=False) as world:
        user = await world.user("paula", "pro")
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(1_000_000):
            reply = await world.ask(user)
            print(reply.status, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_worker_killed_while_it_writes_its_journal_loses_no_answered_request(
    store: StoreProcess, tmp_path: Path
) -> None:
    worker = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", WORKER, store.url, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin
    assert worker.stdout
    assert worker.stdout.readline() == "up\n"
    store.kill()
    worker.stdin.write("go\n")
    worker.stdin.flush()
    answered = [worker.stdout.readline().strip() for _ in range(40)]
    worker.send_signal(signal.SIGKILL)
    # Not `communicate`, which passes by the lines that `readline` has read ahead.
    answered += worker.stdout.read().split()
    worker.wait()
    assert set(answered) == {"200"}
    store.start_again()
    async with World(store.url, tmp_path, "t:") as heir:
        await heir.eventually(lambda: _none_left(tmp_path))
        requests = (await heir.day("paula")).requests_used
        # One may have been settled and not yet answered.
        assert len(answered) <= requests <= len(answered) + 1


HOLDER = """
import asyncio, sys
from pathlib import Path
from tests.service.outage_rig import World

async def main(url, folder):
    async with World(url, Path(folder), "t:", jobs=False) as world:
        user = await world.user("paula", "pro")
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print((await world.ask(user)).status, flush=True)
        world.provider.gate.clear()
        asking = asyncio.create_task(world.ask(user))
        await world.eventually(lambda: len(world.provider.served) == 2)
        print(world.provider.served[1].admission.reservation.admitted.receipt.prompt_tokens, flush=True)
        await asking

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_worker_killed_with_a_request_in_flight_that_no_store_knows_leaves_it_to_be_charged(
    store: StoreProcess, tmp_path: Path
) -> None:
    worker = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLDER, store.url, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin
    assert worker.stdout
    assert worker.stdout.readline() == "up\n"
    # Given a store that does not answer: one request is served without it, another one is under way
    store.freeze()
    worker.stdin.write("go\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "200\n"
    prompt_tokens = int(worker.stdout.readline())
    # When the worker is killed, and what is no journal lies beside those that it leaves
    worker.kill()
    worker.wait()
    directory = tmp_path / "state" / "journal"
    os.mkfifo(directory / "0.journal")
    (directory / "1.journal").mkdir()
    (directory / "2.journal").symlink_to("nowhere")
    store.thaw()
    async with World(store.url, tmp_path, "t:") as heir:
        await heir.eventually(lambda: len(list(directory.glob("*.journal"))) == 1)
        # Then the one is charged as it was used, the other as a sweep would charge it
        day = await heir.day("paula")
        assert (day.requests_used, day.tokens_used) == (2, USED.total_tokens + prompt_tokens)
        assert day.requests_held == 0
    assert sorted(path.name for path in directory.iterdir()) == [f"{number}.unusable" for number in range(3)]


def _none_left(folder: Path) -> bool:
    """Whether only the living worker's own file is there."""
    return len(list((folder / "state" / "journal").iterdir())) == 1
