"""The store says when it gets full, once, and lets old events go to files before it is."""

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.service.ledger.store_memory import StoreMemory
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_memory import RedisMemory, ServerMemory
from tests.store.servers import Server, free_ports, running

MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(Server(tmp_path / "store", free_ports(1)[0])) as server:
        yield server


def fill(server: Server, to_bytes: int) -> None:
    while server.admin.info("memory")["used_memory"] < to_bytes:
        server.admin.set(f"filling-{secrets.token_hex(8)}", "x" * 200_000)


async def test_a_filling_store_is_told_once_for_each_mark_and_archived_early(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    archived = 0

    async def archive_early() -> None:
        nonlocal archived
        archived += 1

    client = connect(server.url, timeout_ms=5_000)
    memory = StoreMemory(RedisMemory(StoreSession(client, Keys(""), timeout_ms=5_000)), archive_early=archive_early)
    try:
        server.admin.config_set("maxmemory", 60 * MIB)
        await memory.look()
        assert (memory.alarm_percent, caplog.records) == (0, [])
        fill(server, 50 * MIB)
        await memory.look()
        await memory.look()
        assert 80 <= memory.alarm_percent < 90
        (told,) = caplog.records
        assert told.levelno == logging.ERROR
        assert f"the store is {memory.alarm_percent} % full" in told.getMessage()
        assert "MiB of its maxmemory" in told.getMessage()
        assert archived == 0
        fill(server, 55 * MIB)
        assert (await memory.read()).percent >= 90
        assert archived == 0  # whoever only asks has not to wait for it
        await memory.look()
        await memory.look()
        assert (len(caplog.records), archived) == (2, 2)
        assert "events of past days go to files now" in caplog.records[-1].getMessage()
        server.admin.delete(*server.admin.keys("filling-*"))
        await memory.look()
        assert (memory.alarm_percent, len(caplog.records)) == (0, 3)
        assert "there is room again" in caplog.records[-1].getMessage()
    finally:
        await client.aclose()


async def test_without_maxmemory_it_is_the_machines_or_the_containers_memory(server: Server) -> None:
    client = connect(server.url, timeout_ms=5_000)
    try:
        machine = await RedisMemory(StoreSession(client, Keys(""))).fullest()
        assert machine.limit_bytes == server.admin.info("memory")["total_system_memory"]
        assert not machine.is_configured
        contained = await RedisMemory(StoreSession(client, Keys("")), machine_bytes=lambda: 64 * MIB).fullest()
        assert contained.limit_bytes == 64 * MIB
    finally:
        await client.aclose()


def test_where_nothing_is_known_of_a_limit_nothing_is_full() -> None:
    assert ServerMemory(10**9, 0, False).percent == 0
