"""A server whose user may not do what managed servers forbid: `CONFIG`, `CLIENT`, `SCRIPT`, `ROLE` and their like."""

from collections.abc import Iterator

import pytest
import redis

from scalix.store.connection.redis_client import connect
from scalix.store.connection.server_check import check_server
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_memory import RedisMemory
from tests.store.servers import Server, free_ports, running
from tests.store.stores import redis_rig
from tests.store.test_quota_model import drive

RIGHTS = ("~*", "+@all", "-@admin", "-@dangerous", "+info", "-role", "-script", "-client")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Server(tmp_path_factory.mktemp("managed"), free_ports(1)[0])) as server:
        server.admin.execute_command("ACL", "SETUSER", "gateway", "on", ">password", *RIGHTS)
        yield server.url.replace("redis://", "redis://gateway:password@")


@pytest.mark.parametrize("command", ["CONFIG GET maxmemory", "CLIENT LIST", "SCRIPT FLUSH", "ROLE", "FLUSHALL"])
def test_the_user_may_not_do_what_managed_servers_forbid(url: str, command: str) -> None:
    with redis.Redis.from_url(url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


async def test_it_is_taken_at_the_start_and_its_memory_is_known(url: str, key_prefix: str) -> None:
    assert check_server(url).maxmemory_policy == "noeviction"
    client = connect(url)
    memory = await RedisMemory(StoreSession(client, Keys(key_prefix))).fullest()
    assert memory.used_bytes > 0
    await client.aclose()


def test_it_does_what_the_model_does(url: str, key_prefix: str) -> None:
    drive(lambda number: redis_rig(url, f"{key_prefix}{number}:"), sequences=4, steps=30, repeatable=True)
