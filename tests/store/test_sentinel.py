"""A master, a replica and three Sentinels: the store is found, and followed when it becomes another server."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from scalix.domain.limits.quota import Admitted
from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import StoreClient, connect
from scalix.store.connection.sentinel_url import SentinelUrl
from scalix.store.connection.server_check import StoreUnreachable, StoreUnusable, check_server, redacted
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from tests.store.sentinels import OF_SENTINELS, PASSWORD, SERVICE, Watched
from tests.store.servers import Server, free_ports, running, wait_for
from tests.store.stores import ask, limits

# From the moment at which a Sentinel names another server.
FOLLOWED_WITHIN_S = 2.0


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """For tests after which the master is the same as before."""
    with running(Watched(tmp_path_factory.mktemp("sentinel"))) as made:
        yield made


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with running(Watched(tmp_path / "sentinel")) as made:
        yield made


@asynccontextmanager
async def connected(watched: Watched) -> AsyncIterator[StoreClient]:
    client = connect(watched.url)
    try:
        yield client
    finally:
        await client.aclose()


async def served_again(session: StoreSession, name: str) -> int:
    """How many tries failed before the next one did not; each is bounded as calls are."""
    failed = 0
    while True:
        try:
            await session.set(name, "after")
        except StoreUnavailable:
            failed += 1
            await asyncio.sleep(0.05)
        else:
            return failed


async def test_the_master_is_found_and_does_what_a_server_does(calm: Watched, key_prefix: str) -> None:
    async with connected(calm) as client:
        store = QuotaStore(StoreSession(client, Keys(key_prefix)))
        decision = await store.admit(ask("r1", limits(requests={"hour": 2})))
        assert isinstance(decision, Admitted)
        assert len(await client.lanes()) == 1


async def test_a_write_to_a_server_that_is_no_master_any_more_is_an_error_until_there_is_one(
    calm: Watched, key_prefix: str
) -> None:
    async with connected(calm) as client:
        session, master = StoreSession(client, Keys(key_prefix)), calm.master()
        store, given = QuotaStore(session), limits(requests={"hour": 2})
        assert isinstance(await store.admit(ask("r1", given)), Admitted)
        # Unlike those of a server that a Sentinel demotes, its clients keep their connections.
        master.admin.execute_command("REPLICAOF", "127.0.0.1", free_ports(1)[0])
        with pytest.raises(StoreUnavailable) as fault:
            await store.admit(ask("r2", given))
        assert not fault.value.maybe_acted
        master.admin.execute_command("REPLICAOF", "NO", "ONE")
        await asyncio.wait_for(served_again(session, f"{key_prefix}after"), 20)
        assert isinstance(await store.admit(ask("r2", given)), Admitted)


async def followed(watched: Watched, session: StoreSession, name: str, before: Server) -> Server:
    """The next master, once it serves, which it does soon after the Sentinels have chosen it."""
    trying = asyncio.create_task(served_again(session, name))
    after = await asyncio.to_thread(watched.wait_for_another, before)
    switched_s = time.monotonic()
    assert await asyncio.wait_for(trying, 20) > 0
    assert time.monotonic() - switched_s < FOLLOWED_WITHIN_S
    assert after.admin.get(name) == "after"
    return after


async def test_a_master_that_is_killed_is_followed_to_the_next_one(watched: Watched, key_prefix: str) -> None:
    async with connected(watched) as client:
        session, before = StoreSession(client, Keys(key_prefix)), watched.master()
        await session.set(f"{key_prefix}before", "kept")
        wait_for(lambda: watched.other(before).admin.get(f"{key_prefix}before") == "kept", "the replica to have it")
        before.kill()
        await followed(watched, session, f"{key_prefix}after", before)
        assert await session.get(f"{key_prefix}before") == "kept"


@pytest.mark.operate
async def test_a_master_that_hangs_is_followed_to_the_next_one_and_not_back(watched: Watched, key_prefix: str) -> None:
    async with connected(watched) as client:
        session, before = StoreSession(client, Keys(key_prefix)), watched.master()
        await session.ping()
        assert before.process is not None
        before.process.send_signal(signal.SIGSTOP)
        after = await followed(watched, session, f"{key_prefix}after", before)
        before.process.send_signal(signal.SIGCONT)
        await session.set(f"{key_prefix}later", "late")
        assert after.admin.get(f"{key_prefix}later") == "late"
        wait_for(lambda: before.admin.info("replication")["role"] == "slave", "the one that is back to be a replica")
        await session.set(f"{key_prefix}last", "last")
        assert after.admin.get(f"{key_prefix}last") == "last"


async def test_a_fail_over_by_hand_is_followed_though_the_old_master_answers_on(
    watched: Watched, key_prefix: str
) -> None:
    async with connected(watched) as client:
        session, before, name = StoreSession(client, Keys(key_prefix)), watched.master(), f"{key_prefix}count"
        await session.ping()
        watched.admin(watched.ports[0]).execute_command("SENTINEL FAILOVER", SERVICE)
        after = await asyncio.to_thread(watched.wait_for_another, before)
        ends_s = time.monotonic() + FOLLOWED_WITHIN_S
        while not after.admin.exists(name):
            assert time.monotonic() < ends_s
            with suppress(StoreUnavailable):
                await session.incr(name)
            await asyncio.sleep(0.02)


def test_a_start_takes_the_master_that_the_sentinels_name(calm: Watched) -> None:
    assert check_server(calm.url).maxmemory_policy == "noeviction"
    assert redacted(calm.url) == calm.url.replace(f":{PASSWORD}@", "***@").partition("?")[0]
    # The first ones may be away.
    away = free_ports(1)[0]
    assert check_server(calm.url.replace("@", f"@127.0.0.1:{away},")).version


def test_what_is_wrong_with_sentinels_is_told_in_one_line_without_a_password(calm: Watched) -> None:
    away = free_ports(1)[0]
    for url, error, said in (
        (calm.url.replace(OF_SENTINELS, "wrong"), StoreUnusable, "correct REDIS_SENTINEL_USERNAME and"),
        (calm.url.partition("?")[0], StoreUnusable, "requires a password; set REDIS_SENTINEL_PASSWORD"),
        (calm.url.replace(SERVICE, "another"), StoreUnusable, "watches no service of the name another"),
        (calm.url.replace(f":{PASSWORD}@", ""), StoreUnusable, "requires a password"),
        (f"redis+sentinel://127.0.0.1:{away}/{SERVICE}", StoreUnreachable, "can't be reached: connection refused"),
        (
            f"redis+sentinel://127.0.0.1:{calm.servers[0].port}/{SERVICE}?sentinel_password={PASSWORD}",
            StoreUnusable,
            "is no Sentinel",
        ),
    ):
        with pytest.raises(error) as wrong:
            check_server(url)
        assert said in str(wrong.value), url
        assert PASSWORD not in str(wrong.value)
        assert OF_SENTINELS not in str(wrong.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h/s", "does not begin with"),
        ("redis+sentinel:///s", "names no Sentinel"),
        ("redis+sentinel://h:1", "does not name the service"),
        ("redis+sentinel://h:1/s/x", "no database number"),
        ("redis+sentinel://h:0/s", "a port in it is none"),
        ("redis+sentinel://h:1,:2/s", "a host in it is none"),
    ],
)
def test_an_address_of_sentinels_that_is_none_is_told(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SentinelUrl.parse(url)


def test_an_address_of_sentinels_is_read_in_all_its_parts() -> None:
    found = SentinelUrl.parse("rediss+sentinel://u:p%40@a:1,[::1]:2,c/svc/3?sentinel_password=x%2Fy&ssl_ca_certs=/ca")
    assert found.nodes == (("a", 1), ("::1", 2), ("c", 26_379))
    assert found.server(("::9", 5)) == "rediss://u:p%40@[::9]:5/3?ssl_ca_certs=%2Fca"
    assert found.sentinel(("a", 1)) == "rediss://:x%2Fy@a:1?ssl_ca_certs=%2Fca"
    assert found.shown == "rediss+sentinel://***@a:1,[::1]:2,c:26379/svc/3"
