"""The daily removal of what has no end of its own: once a day over all processes, each kind by its own age."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Admitted, Receipt
from scalix.domain.policy import Policy, Tier
from scalix.domain.privacy import PrivacySettings
from scalix.service.audit.audit import Actor
from scalix.service.ledger.retention import ExpiredKeys, RetentionJob
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.privacy.redis_retention import RetentionStore
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_keys import KeyStore
from tests.service.memory_trail import MemoryTrail
from tests.store.stores import NOON_MS, SUBJECT, Clock, Rig, ask, key_of, limits, redis_rig, used

DAY_H = 24
OPERATOR = Actor("operator:master")


@dataclass
class World:
    """A store, and what removes from it."""

    rig: Rig
    keys: Keys
    store: RetentionStore
    trail: MemoryTrail

    @property
    def clock(self) -> Clock:
        return self.rig.clock

    @property
    def virtual_keys(self) -> KeyStore:
        assert isinstance(self.rig.virtual_keys, KeyStore)
        return self.rig.virtual_keys

    def expired_keys(self, days: int) -> ExpiredKeys:
        privacy = PrivacySettings(expired_keys_days=days)
        policy = PolicySource(Policy({"free": Tier("free")}, "free", privacy=privacy))
        return ExpiredKeys(self.virtual_keys, policy, self.trail, forget=lambda record: None, now_ms=self.clock)


async def no_pause(_: float) -> None:
    pass


@pytest.fixture
async def world(store_url: str, key_prefix: str) -> AsyncIterator[World]:
    rig = redis_rig(store_url, key_prefix)
    keys = Keys(key_prefix)
    yield World(rig, keys, RetentionStore(rig.session, sleep=no_pause), MemoryTrail())
    await rig.close()


def counting(counts: list[str], name: str) -> Any:
    async def removal() -> int:
        counts.append(name)
        return 1

    return removal


async def test_of_many_processes_one_does_the_work_of_a_day(world: World) -> None:
    done: list[str] = []
    jobs = [RetentionJob(world.store, world.trail, {"things": counting(done, str(number))}) for number in range(3)]
    for job in jobs:
        await job.run_daily()
    assert done == ["0"]
    world.clock.advance(hours=11)
    await jobs[1].run_daily()
    assert done == ["0"]
    await world.rig.client.delete(world.keys.retention_run())  # its end comes with the day's, by the server's clock
    world.clock.advance(hours=2)
    await jobs[1].run_daily()
    assert done == ["0", "1"]


async def test_the_claim_of_a_day_ends_with_it(world: World) -> None:
    assert await world.store.claim_today()
    assert not await world.store.claim_today()
    world.clock.advance(hours=13)
    assert await world.store.claim_today()
    assert await world.rig.client.pttl(world.keys.retention_run()) > 0


async def test_nothing_is_removed_on_the_word_of_a_clock_that_has_leapt(world: World) -> None:
    assert await world.store.claim_today()
    # Given a clock that is forty days ahead for a day, and back on the next
    world.clock.advance(hours=40 * 24)
    assert not await world.store.claim_today()
    world.clock.advance(hours=-39 * 24)
    assert not await world.store.claim_today()
    # Then the work goes on with the day after
    world.clock.advance(hours=24)
    assert await world.store.claim_today()


async def test_a_day_whose_work_failed_is_tried_again_and_no_kind_keeps_the_others(world: World) -> None:
    done: list[str] = []
    failing = True

    async def broken() -> int:
        if failing:
            raise StoreUnavailable("the store is away")
        return 0

    job = RetentionJob(world.store, world.trail, {"first": broken, "second": counting(done, "second")})
    with pytest.raises(StoreUnavailable):
        await job.run_daily()
    assert done == ["second"]
    failing = False
    await job.run_daily()
    assert done == ["second", "second"]


async def test_an_operator_may_ask_for_it_at_any_time(world: World) -> None:
    done: list[str] = []
    job = RetentionJob(world.store, world.trail, {"things": counting(done, "x")})
    assert [await job.run(OPERATOR), await job.run(OPERATOR)] == [{"things": 1}, {"things": 1}]
    assert [act.name for act in world.trail.acts] == ["retention.run"] * 2


async def test_keys_go_when_their_time_was_over_long_ago(world: World) -> None:
    now_ms = world.clock.now_ms
    for number, expires_ms in enumerate([None, now_ms - 1, now_ms + 86_400_000, now_ms - 31 * 86_400_000]):
        await world.virtual_keys.create(key_of("alice", number, expires_ms=expires_ms))
    assert await world.expired_keys(30)() == 1
    assert [act.object for act in world.trail.acts] == ["key:k3"]
    assert world.trail.acts[0].name == "key.purge"
    assert sorted(record.key_id for record in (await world.virtual_keys.page(0, 10))[1]) == ["k0", "k1", "k2"]
    world.clock.advance(hours=32 * DAY_H)
    assert await world.expired_keys(30)() == 2
    assert [record.key_id for record in (await world.virtual_keys.page(0, 10))[1]] == ["k0"]


async def test_of_hundreds_of_expired_keys_none_is_passed_over(world: World) -> None:
    for number in range(250):
        record = key_of("alice", number, alias=f"a{number}", expires_ms=1)
        await world.virtual_keys.create(replace(record, digest=f"{number:064x}"))
    assert await world.expired_keys(30)() == 250
    assert (await world.virtual_keys.page(0, 10))[0] == 0


async def test_credits_are_forgotten_by_age_and_balances_are_not(world: World) -> None:
    await world.rig.balances.credit(SUBJECT, 5, "old")
    world.clock.advance(hours=400 * DAY_H)
    await world.rig.balances.credit(SUBJECT, 6, "new")
    assert await world.store.remove_credits(401) == 0
    world.clock.advance(hours=2 * DAY_H)
    assert await world.store.remove_credits(401) == 1
    assert list(await world.rig.client.hkeys(world.keys.credits(SUBJECT))) == ["new"]
    balance = await world.rig.balances.balance(SUBJECT)
    assert balance is not None
    assert balance.nano_usd == 11


async def test_what_leads_to_no_key_any_more_is_removed_and_what_is_being_made_is_not(world: World) -> None:
    client, keys = world.rig.client, world.keys
    record = await world.virtual_keys.create(key_of("alice", 1))
    for number, made_ms in ((2, world.clock.now_ms - 120_000), (3, world.clock.now_ms)):
        await client.set(keys.secret(f"{number}" * 64), f"k{number} alice")
        await client.zadd(keys.key_list(), {f"k{number} alice": made_ms})
    await client.set(keys.alias("gone"), "k4 alice")
    assert await world.store.remove_dead_pointers() == 2
    assert await client.exists(keys.secret("2" * 64), keys.alias("gone")) == 0
    assert await client.exists(keys.secret("3" * 64), keys.secret(record.digest)) == 2
    assert await client.zscore(keys.key_list(), "k2 alice") is None


async def test_files_are_removed_at_each_machine_whoever_does_the_work_of_the_day(world: World) -> None:
    done: list[str] = []
    jobs = [
        RetentionJob(
            world.store,
            world.trail,
            {"things": counting(done, f"things {number}")},
            of_this_machine={"files": counting(done, f"files {number}")},
        )
        for number in range(2)
    ]
    for job in jobs:
        await job.run_daily()
    assert done == ["files 0", "things 0", "files 1"]
    assert await jobs[1].run(OPERATOR) == {"things": 1, "files": 1}


async def test_a_process_that_ends_in_the_middle_leaves_the_work_to_another(world: World) -> None:
    done: list[str] = []
    begun = asyncio.Event()

    async def endless() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    task = asyncio.create_task(RetentionJob(world.store, world.trail, {"things": endless}).run_daily())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await RetentionJob(world.store, world.trail, {"things": counting(done, "again")}).run_daily()
    assert done == ["again"]


RETENTION = Retention(events_days=3, hours_days=5, days_days=40)


async def test_books_go_when_their_time_is_over_and_windows_a_month_after_their_month(world: World) -> None:
    receipts = [await _served(world, f"r{number}", f"user:u{number}") for number in range(2)]
    kinds = ("e", "s", "a", "A", "rt", "rc", "p", "t", "ei")

    async def left() -> tuple[str, ...]:
        names = world.keys.books(receipts[0].subject, receipts[0].admitted_ms)[:-1]  # the last is of many events
        there = [kind for kind, name in zip(kinds, names, strict=True) if await world.rig.client.exists(name)]
        return (*there, *["w"] * await world.rig.client.exists(world.keys.windows(receipts[0].subject)))

    # By days since the admission, at noon of the 26th of February
    hours = "e ei a rt rc t"
    ends = {0: "", 3: "", 4: "e ei", 5: "e ei", 6: hours, 33: hours, 36: f"{hours} w", 43: f"{hours} w s A p"}
    for day, gone in ends.items():
        passed_ms = NOON_MS + day * DAY_MS - world.clock.now_ms
        world.clock.now_ms += passed_ms
        for name in await world.rig.client.keys(f"{world.keys.prefix}*"):  # the server's own clock stands still
            await world.rig.client.pexpire(name, await world.rig.client.pttl(name) - passed_ms)
        if day == 36:
            await _served(world, "again", "user:u1")  # who comes back keeps their windows
        await world.store.remove_books(RETENTION)
        assert set(await left()) == {*kinds, "w"} - set(gone.split()), day
    assert await world.rig.client.exists(world.keys.windows("user:u1"))


async def _served(world: World, request_id: str, subject: str) -> Receipt:
    quotas = QuotaStore(StoreSession(world.rig.client, world.keys, clock=world.clock), retention=lambda: RETENTION)
    decision = await quotas.admit(ask(request_id, limits(), subject=subject))
    assert isinstance(decision, Admitted)
    detail = Detail("free", "m", cost_nano_usd=3)
    await quotas.settle(decision.receipt, replace(used(5), detail=detail))
    return decision.receipt
