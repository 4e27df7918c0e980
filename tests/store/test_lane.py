"""Calls that share connections: each gets its own answer, error and deadline, and connections stay few."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import ResponseError

from scalix.domain.limits.quota import Admitted
from scalix.store.base import StoreUnavailable
from scalix.store.connection.calls import in_time
from scalix.store.connection.deadline import CALL_TIMEOUT_MS
from scalix.store.connection.lane import Lane
from scalix.store.connection.redis_client import CONNECTIONS, StoreClient, connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from tests.store.servers import Server, calm_s, free_ports, running
from tests.store.stores import ask, limits

LATEST_ANSWER_S = 2 * CALL_TIMEOUT_MS / 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("server"), free_ports(1)[0])) as made:
        yield made


@pytest.fixture
async def client(server: Server) -> AsyncIterator[StoreClient]:
    made = connect(server.url)
    yield made
    await made.aclose()


def connections(server: Server) -> int:
    """Those of others than the test's own administrator."""
    return int(server.admin.info("clients")["connected_clients"]) - 1


async def test_five_hundred_admissions_at_once_share_a_few_connections(
    server: Server, client: StoreClient, key_prefix: str
) -> None:
    store = QuotaStore(StoreSession(client, Keys(key_prefix)))
    for turn in range(3):
        asks = [ask(f"{turn}-{number}", limits(), subject=f"user:{number}") for number in range(500)]
        decisions = await asyncio.gather(*(store.admit(one) for one in asks))
        assert all(isinstance(decision, Admitted) for decision in decisions)
        assert connections(server) <= CONNECTIONS


async def test_calls_made_in_one_turn_go_out_in_one_write(server: Server, client: StoreClient, key_prefix: str) -> None:
    await client.ping()
    before = server.admin.info("stats")["total_reads_processed"]
    await asyncio.gather(*(client.set(f"{key_prefix}{number}", number) for number in range(100)))
    # One of them is the administrator's own.
    assert server.admin.info("stats")["total_reads_processed"] - before <= 3


async def test_each_call_gets_its_own_answer_or_error(client: StoreClient, key_prefix: str) -> None:
    await client.set(f"{key_prefix}text", "a")
    answers = await asyncio.gather(
        client.get(f"{key_prefix}text"),
        client.hgetall(f"{key_prefix}text"),
        client.hgetall(f"{key_prefix}none"),
        client.evalsha("0" * 40, 0),
        client.get(f"{key_prefix}text"),
        return_exceptions=True,
    )
    assert answers[0] == answers[4] == "a"
    assert answers[2] == {}
    assert isinstance(answers[1], ResponseError)
    assert isinstance(answers[3], ResponseError)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_a_caller_who_gives_up_takes_nobody_along(client: StoreClient, key_prefix: str, turns: int) -> None:
    tasks = [asyncio.ensure_future(client.incr(f"{key_prefix}{number}")) for number in range(20)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[1::2] == [1] * 10
    assert await client.get(f"{key_prefix}1") == "1"


async def test_the_first_caller_who_gives_up_does_not_stop_the_look_at_the_server(client: StoreClient) -> None:
    tasks = [asyncio.ensure_future(client.ping()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert (await asyncio.gather(*tasks, return_exceptions=True))[1:] == [True, True]


async def test_a_stalled_server_keeps_nobody_longer_than_allowed_and_is_found_again(
    server: Server, client: StoreClient, key_prefix: str
) -> None:
    store = QuotaStore(StoreSession(client, Keys(key_prefix)))
    await store.admit(ask("r0", limits()))
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        started_s = calm_s()
        calls = (store.admit(ask(f"r{number}", limits(), subject=f"user:{number}")) for number in range(300))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert calm_s() - started_s < LATEST_ANSWER_S
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    async with asyncio.timeout(5):
        while True:
            try:
                await store.admit(ask("later", limits()))
                break
            except StoreUnavailable:
                await asyncio.sleep(0.01)
    assert connections(server) <= CONNECTIONS


async def test_connections_that_the_server_has_closed_are_replaced_unseen(server: Server, client: StoreClient) -> None:
    await asyncio.gather(*(client.ping() for _ in range(300)))
    server.admin.client_kill_filter(_type="normal", skipme=True)
    for _ in range(3):
        # A turn of the loop, in which it hears of it.
        await asyncio.sleep(0)
    assert all(await asyncio.gather(*(client.ping() for _ in range(300))))


async def test_a_client_made_while_the_server_is_away_works_once_it_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path, free_ports(1)[0])
    client = connect(server.url)
    with pytest.raises(StoreUnavailable):
        async with in_time():
            await client.ping()
    with running(server):
        assert await client.ping()
    with pytest.raises(StoreUnavailable):
        await client.ping()
    await client.aclose()


async def test_no_more_calls_wait_than_allowed(server: Server) -> None:
    pool: Any = redis.asyncio.ConnectionPool.from_url(server.url)
    lane = Lane(pool.make_connection, {}, timeout_ms=CALL_TIMEOUT_MS, connections=1, most_waiting=5)
    calls = [lane.call(("PING",), {}) for _ in range(5)]
    with pytest.raises(StoreUnavailable, match="too many"):
        lane.call(("PING",), {})
    calls[0].cancel()
    calls[0] = lane.call(("PING",), {})
    assert len(await asyncio.gather(*calls)) == 5
    await lane.aclose()


async def test_a_closed_client_takes_no_calls_and_leaves_none_waiting(server: Server) -> None:
    client = connect(server.url)
    await client.ping()
    waiting = asyncio.ensure_future(client.ping())
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await client.ping()


async def test_answers_to_a_batch_come_in_order(client: StoreClient, key_prefix: str) -> None:
    batch = StoreSession(client, Keys(key_prefix), timeout_ms=5_000).batch()
    for number in range(300):
        batch.set(f"{key_prefix}{number}", number)
    assert len(batch) == 300
    assert all(await batch.execute())
    for number in range(300):
        batch.get(f"{key_prefix}{number}")
    assert await batch.execute() == [str(number) for number in range(300)]


async def test_a_look_at_all_names_waits_no_longer_than_its_session(server: Server, key_prefix: str) -> None:
    client = connect(server.url, timeout_ms=60_000)
    session = StoreSession(client, Keys(f"{key_prefix}[a]*"), timeout_ms=60_000)
    await asyncio.gather(*(session.set(f"{key_prefix}[a]*key:{number}", 1) for number in range(3_000)))
    await session.set(f"{key_prefix}akey:other", 1)
    assert len({name async for name in session.names_like("key:*")}) == 3_000
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            _ = [name async for name in session.within(50).names_like("key:*")]
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    await client.aclose()
