"""A Redis Cluster of three masters and three replicas: everything works, and goes on when nodes move, stall or die."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Refused
from scalix.store.base import StoreUnavailable, UserRecord
from scalix.store.connection.deadline import CALL_TIMEOUT_MS
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_users import UserStore
from tests.store.servers import Cluster, Server, calm_s, running
from tests.store.stores import ask, limits, redis_rig, used
from tests.store.test_quota_model import drive

USERS = [f"user:{number}" for number in range(60)]
LATEST_ANSWER_S = 2 * CALL_TIMEOUT_MS / 1000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(Cluster(tmp_path_factory.mktemp("cluster"), replicas=1)) as made:
        yield made


@pytest.fixture
async def store(cluster: Cluster, key_prefix: str) -> AsyncIterator[QuotaStore]:
    client = connect(cluster.url)
    yield QuotaStore(StoreSession(client, Keys(key_prefix)))
    await client.aclose()


def owner(cluster: Cluster, slot: int) -> Server:
    """The master that has the slot, by its own account."""
    for node in cluster.nodes:
        if node.process is None:
            continue
        for first, last, (_, port, *_), *_ in node.admin.execute_command("CLUSTER SLOTS"):
            if first <= slot <= last:
                return next(node for node in cluster.nodes if node.port == port)
    raise AssertionError(f"nobody has slot {slot}")


def slot_of(prefix: str, subject: str) -> int:
    return int(key_slot(Keys(prefix).windows(subject).encode()))


@pytest.mark.parametrize("subject", ["user:alice", "user:{x}", "user:}{", "user:{}", "user:a b", "user:ü{"])
def test_all_keys_of_a_subject_are_in_one_slot(subject: str) -> None:
    keys = Keys("scalix:")
    names = [
        keys.windows(subject),
        keys.in_flight(subject),
        keys.leases(subject),
        keys.record(subject),
        keys.tombstone(subject, "r1"),
        keys.events(subject, 0),
        keys.shadow(subject),
    ]
    assert len({key_slot(name.encode()) for name in names}) == 1


def test_the_cluster_does_what_the_model_does(cluster: Cluster, key_prefix: str) -> None:
    drive(lambda number: redis_rig(cluster.url, f"{key_prefix}{number}:"), sequences=4, steps=30, repeatable=True)


async def test_requests_of_users_in_all_parts_are_admitted_settled_released_and_swept(
    cluster: Cluster, store: QuotaStore, key_prefix: str
) -> None:
    given = limits(requests={"hour": 2})
    decisions = await asyncio.gather(*(store.admit(ask(f"r{n}", given, subject=USERS[n % 60])) for n in range(240)))
    admitted = [decision for decision in decisions if isinstance(decision, Admitted)]
    assert len(admitted) == 120
    assert {owner(cluster, slot_of(key_prefix, user)).port for user in USERS} == {node.port for node in cluster.masters}
    await store.renew([decision.receipt for decision in admitted], 60_000)
    await asyncio.gather(*(store.settle(decision.receipt, used(5)) for decision in admitted[:60]))
    assert all(await asyncio.gather(*(store.release(d.receipt.request_id, d.receipt.subject) for d in admitted[60:])))
    assert await store.sweep() == 0
    tallies = await asyncio.gather(*(store.tallies(user) for user in USERS))
    assert sum(windows[Window.DAY].requests_used for _, windows in tallies) == 60
    assert sum(windows[Window.DAY].requests_held for _, windows in tallies) == 0


async def test_records_are_written_read_and_deleted_on_every_node(cluster: Cluster, key_prefix: str) -> None:
    client = connect(cluster.url)
    session = StoreSession(client, Keys(key_prefix))
    users = UserStore(session)
    await asyncio.gather(*(users.create(UserRecord(f"u{number}", tier="pro")) for number in range(30)))
    assert [(await users.get(f"u{number}")).tier for number in range(30)] == ["pro"] * 30
    assert len({name async for name in session.names_like("*:u:*")}) == 30
    assert all(await asyncio.gather(*(users.delete(f"u{number}") for number in range(30))))
    await client.aclose()


async def test_nodes_that_have_lost_the_scripts_get_them_again(cluster: Cluster, store: QuotaStore) -> None:
    for node in cluster.masters:
        node.admin.script_flush()
    decisions = await asyncio.gather(*(store.admit(ask("r1", limits(), subject=user)) for user in USERS))
    assert all(isinstance(decision, Admitted) for decision in decisions)


async def test_a_slot_on_its_way_to_another_node_is_followed(
    cluster: Cluster, store: QuotaStore, key_prefix: str
) -> None:
    subject = USERS[0]
    slot = slot_of(key_prefix, subject)
    source = owner(cluster, slot)
    target = next(node for node in cluster.masters if node is not source)
    source_id, target_id = (node.admin.execute_command("CLUSTER", "MYID") for node in (source, target))
    given = limits(requests={"day": 1})
    client = connect(cluster.url)
    name = Keys(key_prefix).tombstone(subject, "r0")
    assert await client.get(name) is None

    target.admin.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.admin.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    # A command with one key is served by the new node already, a script with several when the whole slot has moved.
    await client.set(name, "1", px=60_000)
    assert target.admin.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
    with pytest.raises(StoreUnavailable):
        await store.admit(ask("r1", given, subject=subject))
    names = source.admin.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
    if names:
        source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *names)
    for node in (target, source):
        node.admin.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    first = await store.admit(ask("r2", given, subject=subject))
    assert isinstance(first, Admitted)
    assert isinstance(await store.admit(ask("r3", given, subject=subject)), Refused)
    assert (await store.settle(first.receipt, used(1))).status == "settled"
    assert await client.get(name) == "1"
    await client.aclose()


async def test_a_stalled_node_holds_up_nobody_but_its_own_users(
    cluster: Cluster, store: QuotaStore, key_prefix: str
) -> None:
    await asyncio.gather(*(store.admit(ask("r1", limits(), subject=user)) for user in USERS))
    stalled = owner(cluster, slot_of(key_prefix, USERS[1]))
    assert stalled.process is not None
    theirs = [user for user in USERS if owner(cluster, slot_of(key_prefix, user)) is stalled]
    others = [user for user in USERS if user not in theirs]
    os.kill(stalled.process.pid, signal.SIGSTOP)
    try:
        started_s = calm_s()
        waiting = asyncio.gather(
            *(store.admit(ask("r2", limits(), subject=user)) for user in theirs), return_exceptions=True
        )
        decisions = await asyncio.gather(*(store.admit(ask("r2", limits(), subject=user)) for user in others))
        assert all(isinstance(decision, Admitted) for decision in decisions)
        assert calm_s() - started_s < CALL_TIMEOUT_MS / 1000
        assert all(isinstance(answer, StoreUnavailable) for answer in await waiting)
        assert calm_s() - started_s < LATEST_ANSWER_S
    finally:
        os.kill(stalled.process.pid, signal.SIGCONT)
    async with asyncio.timeout(5):
        for user in theirs:
            await admitted_at_last(store, "r3", user)


async def admitted_at_last(store: QuotaStore, request_id: str, subject: str) -> Admitted:
    """Ask until the store takes it; every single answer comes in time."""
    while True:
        asked_s = calm_s()
        try:
            decision = await store.admit(ask(request_id, limits(), subject=subject))
            assert isinstance(decision, Admitted)
            return decision
        except StoreUnavailable:
            assert calm_s() - asked_s < LATEST_ANSWER_S
            await asyncio.sleep(0.02)


async def test_a_killed_master_is_replaced_by_its_replica_and_the_counts_go_on(
    cluster: Cluster, store: QuotaStore, key_prefix: str
) -> None:
    first = await asyncio.gather(*(store.admit(ask("r1", limits(), subject=user)) for user in USERS))
    for node in cluster.masters:
        # On loopback the replica has it within a moment; WAIT makes sure.
        node.admin.execute_command("WAIT", 1, 1_000)
    victim = owner(cluster, slot_of(key_prefix, USERS[2]))
    victim.kill()
    async with asyncio.timeout(20):
        await asyncio.gather(*(admitted_at_last(store, "r2", user) for user in USERS))
    assert owner(cluster, slot_of(key_prefix, USERS[2])) is not victim
    for decision in first:
        assert isinstance(decision, Admitted)
        assert (await store.settle(decision.receipt, used(7))).status == "settled"
    tallies = [(await store.tallies(user))[1][Window.DAY] for user in USERS]
    assert {(tally.requests_used, tally.tokens_used, tally.requests_held) for tally in tallies} == {(1, 7, 1)}
    # A client that is made now, with the address of the dead node gone, finds the others by those it is given.
    survivor = next(node for node in cluster.nodes if node.process is not None)
    client = connect(survivor.url)
    assert (await QuotaStore(StoreSession(client, Keys(key_prefix))).tallies(USERS[2]))[1][Window.DAY] == tallies[2]
    await client.aclose()
