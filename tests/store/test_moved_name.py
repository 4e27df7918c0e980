"""A store whose name leads to another address than before, as after a fail-over by DNS: it is followed by itself."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from scalix.store.base import StoreUnavailable
from scalix.store.connection.calls import in_time
from scalix.store.connection.redis_client import CONNECTIONS, StoreClient, connect
from tests.store.servers import Server, calm_s, free_ports, running

NAME = "store.test"


class At(Server):
    """A server on another address of this machine, at the same port."""

    def __init__(self, directory: Path, address: str, port: int) -> None:
        super().__init__(directory, port, "--bind", address)
        self.address = address
        self.admin.connection_pool.connection_kwargs["host"] = address


class Names:
    """What the resolver says: the address of `NAME`, after waiting for `hangs` where that is set."""

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.hangs: asyncio.Event | None = None
        self.asked = 0

    async def look_up(self, host: Any, port: Any, **more: Any) -> list[Any]:
        assert host == NAME
        self.asked += 1
        if self.hangs is not None:
            await self.hangs.wait()
        return [(2, 1, 6, "", (self.address, port))]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[At, At]]:
    (port,) = free_ports(1)
    first, second = (At(tmp_path / address, address, port) for address in ("127.0.0.1", "127.0.0.2"))
    with running(first), running(second):
        yield first, second


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names()


@pytest.fixture
async def client(pair: tuple[At, At], names: Names, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StoreClient]:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.look_up)
    made = connect(f"redis://{NAME}:{pair[0].port}/0")
    yield made
    await made.aclose()


def killed(server: Server) -> None:
    server.kill()


def silent(server: Server) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("gone", [killed, silent])
async def test_a_name_that_leads_elsewhere_is_followed_after_one_failed_call(
    client: StoreClient, pair: tuple[At, At], names: Names, key_prefix: str, gone: Callable[[Server], None]
) -> None:
    await asyncio.gather(*(client.ping() for _ in range(1_000)))
    gone(pair[0])
    names.address = "127.0.0.2"
    with pytest.raises(StoreUnavailable):
        await client.ping()
    await asyncio.gather(*(client.set(f"{key_prefix}{number}", 1) for number in range(1_000)))
    assert len(pair[1].admin.keys(f"{key_prefix}*")) == 1_000


async def test_a_server_that_became_a_replica_is_left_for_where_the_name_leads(
    client: StoreClient, pair: tuple[At, At], names: Names, key_prefix: str
) -> None:
    await client.set(f"{key_prefix}1", 1)
    pair[0].admin.execute_command("REPLICAOF", "127.0.0.2", pair[1].port)
    names.address = "127.0.0.2"
    with pytest.raises(ResponseError, match="read only"):
        await client.set(f"{key_prefix}2", 2)
    await client.reconnect()  # as the watch of the store does at each look that fails
    await client.set(f"{key_prefix}2", 2)
    assert pair[1].admin.get(f"{key_prefix}2") == "2"


async def test_a_resolver_that_hangs_keeps_no_call_longer_than_a_store_that_does(
    client: StoreClient, pair: tuple[At, At], names: Names
) -> None:
    names.hangs = asyncio.Event()
    started_s = calm_s()
    answers = await asyncio.gather(*(client.ping() for _ in range(500)), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert calm_s() - started_s < 0.5
    assert names.asked <= CONNECTIONS
    names.hangs.set()
    assert await client.ping()


async def test_that_nobody_waits_any_more_for_a_first_look_that_fails_is_no_trace_in_the_log(
    client: StoreClient, names: Names
) -> None:
    names.hangs, told = asyncio.Event(), list[Any]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    with pytest.raises(StoreUnavailable):
        async with in_time(20):
            await client.ping()
    finding, client._finding = client._finding, None
    assert finding
    await asyncio.wait([finding])
    del finding
    gc.collect()
    assert told == []
