"""Slots of a Redis Cluster move to other nodes while requests end, users are counted and days are added up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from redis.crc import key_slot

from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Admitted, Receipt
from scalix.store.base import StoreUnavailable
from tests.store.ledger_rig import OPEN
from tests.store.servers import SLOTS, Cluster, Server, running
from tests.store.stores import ask
from tests.store.test_today import Rig
from tests.store.today_truth import agrees

USERS = 40


async def test_figures_are_the_events_while_slots_move_and_after(tmp_path: Path) -> None:
    with running(Cluster(tmp_path / "cluster")) as cluster:
        rig = Rig(cluster.url, "scalix:")
        try:
            for number in range(USERS):
                await rig.served(f"before-{number}", f"user:u{number}", "free")
            rig.clock.advance(hours=24)
            yesterday = (await rig.today()).series[-2]
            day, refused, number, waiting = rig.clock.now_ms // DAY_MS, 0, 0, list[asyncio.Task[int]]()
            async for is_between in _moving(cluster, rig):
                # What is half moved refuses scripts, as they name several keys; a sum must not be kept without it.
                await rig.client.delete(rig.keys.day_figures_turn())
                await rig.client.hdel(rig.keys.day_figures(), str(day - 1))
                if is_between:
                    waiting += [asyncio.create_task(_told_at_last(rig, n)) for n in range(number, number + 6)]
                    number += 6
                refused += await _tried(rig.days.add_up())
                try:
                    assert (await rig.today()).series[-2] == yesterday
                except StoreUnavailable:
                    refused += 1
            refused += sum(await asyncio.gather(*waiting))
            print(f"{number} requests, {refused} calls refused meanwhile")
            assert number > USERS
            assert refused
            for _ in range(2):
                agrees(await rig.today(), await rig.truth(), day)
            for one in (day - 1, day):
                assert (await rig.verify(day=one)).differences == []
            events = (await rig.truth()).events
            assert len(events) == len({event.request_id for event in events}) == USERS + number
        finally:
            await rig.close()


async def _told_at_last(rig: Rig, number: int) -> int:
    """Every request is asked and told again until the store takes it; how often it did not."""
    failures, charge, receipt = 0, rig.charge_of(("free", "pro")[number % 2]), None
    while True:
        try:
            if receipt is None:
                receipt = await _admitted(rig, number)
            await rig.quotas.settle(receipt, charge)
            return failures
        except StoreUnavailable:
            failures += 1
            await asyncio.sleep(0.005)


async def _admitted(rig: Rig, number: int) -> Receipt:
    tier = ("free", "pro")[number % 2]
    decision = await rig.quotas.admit(ask(f"during-{number}", OPEN, subject=f"user:u{number % USERS}", tier=tier))
    assert isinstance(decision, Admitted)
    return decision.receipt


async def _tried(call: Any) -> int:
    try:
        await call
    except StoreUnavailable:
        return 1
    return 0


async def _moving(cluster: Cluster, rig: Rig) -> AsyncIterator[bool]:
    """Move shards of the first node to the second, one by one, as `redis-cli --cluster reshard` does: half of each's
    keys (True), then the others (False)."""
    source, target = cluster.masters[:2]
    source_id, target_id = (node.admin.execute_command("CLUSTER", "MYID") for node in (source, target))
    slots = {slot for user in range(USERS) if (slot := _slot(rig, user)) < SLOTS // 3}
    for slot in sorted(slots):
        target.admin.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.admin.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        _move_keys(source, target, slot, source.admin.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) // 2)
        yield True
        while left := source.admin.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot):
            _move_keys(source, target, slot, left)
        for node in (target, source, cluster.masters[2]):
            node.admin.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        yield False


def _slot(rig: Rig, user: int) -> int:
    return int(key_slot(rig.keys.windows(f"user:u{user}").encode()))


def _move_keys(source: Server, target: Server, slot: int, count: int) -> None:
    names = source.admin.execute_command("CLUSTER", "GETKEYSINSLOT", slot, count)
    source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *names)
