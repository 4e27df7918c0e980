"""Connections to the store that lost their other end without a word, as firewalls and dead machines leave them."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest

from scalix.store.base import StoreUnavailable
from scalix.store.connection import lane, wire
from scalix.store.connection.breaker import Breaker, guarded
from scalix.store.connection.redis_client import CONNECTIONS, StoreClient, connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from tests.store.servers import Server, calm_s, free_ports, running
from tests.store.silent_relay import SilentRelay


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("server"), free_ports(1)[0])) as made:
        yield made


@pytest.fixture
async def relay(server: Server) -> AsyncIterator[SilentRelay]:
    async with SilentRelay(server.port) as made:
        yield made


@pytest.fixture
async def client(relay: SilentRelay) -> AsyncIterator[StoreClient]:
    made = connect(relay.url)
    yield made
    await made.aclose()


async def all_opened(client: StoreClient, relay: SilentRelay) -> None:
    """Have every connection opened that calls at once may use."""
    while relay.connections < CONNECTIONS:
        await asyncio.gather(*(client.ping() for _ in range(CONNECTIONS * lane.MOST_TOGETHER + 1)))


def open_to(relay: SilentRelay) -> int:
    """How many sockets of this process are connected to the relay, or wait to be closed."""
    port = int(relay.address.rpartition(":")[2])
    return sum(bool(one.raddr) and one.raddr.port == port for one in psutil.Process(os.getpid()).net_connections("tcp"))


async def test_connections_that_went_silent_while_nobody_used_them_cost_no_call(
    client: StoreClient, relay: SilentRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_opened(client, relay)
    relay.fall_silent()
    monkeypatch.setattr(wire, "LONGEST_REST_S", 0.0)
    assert all(await asyncio.gather(*(client.ping() for _ in range(CONNECTIONS * lane.MOST_TOGETHER))))


async def test_after_the_first_call_that_got_no_answer_no_other_silent_connection_is_used(
    client: StoreClient, relay: SilentRelay
) -> None:
    await all_opened(client, relay)
    relay.fall_silent()
    with pytest.raises(StoreUnavailable):
        await client.ping()
    assert all(await asyncio.gather(*(client.ping() for _ in range(CONNECTIONS * lane.MOST_TOGETHER))))


async def test_a_peer_that_reads_nothing_any_more_keeps_no_socket_of_ours(
    client: StoreClient, relay: SilentRelay, key_prefix: str
) -> None:
    session = StoreSession(client, Keys(key_prefix))
    for _ in range(5):
        await session.ping()
        relay.fall_silent()
        with pytest.raises(StoreUnavailable):
            await session.set(f"{key_prefix}large", "x" * 30_000_000)
    await session.ping()
    assert open_to(relay) <= CONNECTIONS


async def test_a_close_does_not_wait_for_a_peer_that_is_silent(
    client: StoreClient, relay: SilentRelay, key_prefix: str
) -> None:
    await client.ping()
    relay.fall_silent()
    waiting = asyncio.ensure_future(client.set(f"{key_prefix}large", "x" * 30_000_000))
    await asyncio.sleep(0.05)
    started_s = calm_s()
    await client.aclose()
    assert calm_s() - started_s < 0.1
    with pytest.raises(StoreUnavailable):
        await waiting
    assert open_to(relay) == 0


async def test_a_breaker_that_opened_for_silent_connections_closes_with_the_first_new_one(
    client: StoreClient, relay: SilentRelay, key_prefix: str
) -> None:
    breaker = Breaker()
    store = guarded(StoreSession(client, Keys(key_prefix)), breaker)
    await all_opened(client, relay)
    relay.fall_silent()
    answers = await asyncio.gather(*(store.time_ms() for _ in range(1_000)), return_exceptions=True)
    assert any(isinstance(answer, StoreUnavailable) for answer in answers)
    assert not breaker.is_closed
    with breaker.probe():
        assert await store.time_ms()
    assert breaker.is_closed
