"""What callers meet, and what is counted afterwards, when the store is frozen, killed, full, forbidden or replaced."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalix.domain.identity.key_secrets import secret_of
from scalix.domain.limits.quota import Ask, Charge, Decision, Receipt, Settled, Tally
from scalix.domain.tokens.output_cap import FLOOR_TOKENS
from scalix.service.administration.balances import Credit
from scalix.service.administration.key_administration import new_secret
from scalix.service.audit.audit import Actor
from scalix.service.exchange.calls import Call
from scalix.store.backup.redis_restore import RestoreStore
from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.connection.session import StoreSession
from scalix.store.journal.journal_entries import Release
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from tests.service.outage_rig import USED, USED_NANO_USD, StoreProcess, World
from tests.store.servers import Server

Fault = tuple[Callable[[StoreProcess], None], Callable[[StoreProcess], None]]


def uses(requests: int) -> Tally:
    """What so many requests count, with nothing held."""
    return Tally(requests, requests * USED.total_tokens, requests * USED_NANO_USD)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    process = StoreProcess(tmp_path)
    yield process
    process.stop()


def _deny_writes_by_memory(store: StoreProcess) -> None:
    with store.admin() as client:
        client.config_set("maxmemory", 1)


def _allow_memory(store: StoreProcess) -> None:
    with store.admin() as client:
        client.config_set("maxmemory", 0)


def _forbid_writes(store: StoreProcess) -> None:
    with store.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "-@write")


def _permit_writes(store: StoreProcess) -> None:
    with store.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "+@all")


FAULTS: dict[str, Fault] = {
    "frozen": (StoreProcess.freeze, StoreProcess.thaw),
    "killed": (StoreProcess.kill, StoreProcess.start_again),
    "out of memory": (_deny_writes_by_memory, _allow_memory),
    "writes forbidden": (_forbid_writes, _permit_writes),
}


@pytest.fixture(params=list(FAULTS))
def fault(request: pytest.FixtureRequest) -> Fault:
    return FAULTS[request.param]


async def recovered(world: World) -> None:
    """The store is used again, and has been told all that the journal held."""
    core = world.core
    await world.eventually(lambda: core.exchange.watch.store_is_there)
    await world.eventually(lambda: not core.exchange.watch.is_behind)


async def test_each_tier_does_as_configured_and_every_request_counts_once_afterwards(
    store: StoreProcess, tmp_path: Path, fault: Fault
) -> None:
    break_it, mend_it = fault
    async with World(store.url, tmp_path, "t:") as world:
        free, pro = await world.user("fred", "free"), await world.user("paula", "pro")
        for user in (free, pro, None):
            assert (await world.ask(user)).status == 200
        break_it(store)
        replies = await asyncio.gather(*(world.ask(user) for user in (free, pro, None) * 20))
        for reply in replies[0::3]:
            assert reply.status == 503
            assert reply.body["error"]["code"] == "store_unavailable"
            assert int(reply.headers[b"retry-after"]) > 0
        assert {reply.status for reply in replies[1::3]} == {200}
        assert {reply.status for reply in replies[2::3]} == {200}
        assert any(exchange.admission.reservation.local for exchange in world.provider.served)
        mend_it(store)
        await recovered(world)
        assert (await world.ask(free)).status == 200
        assert await world.day(free) == uses(2)
        assert await world.day(pro) == uses(21)
        assert (await world.day(None)).requests_used == 21


async def test_a_second_key_that_nobody_knows_keeps_nobody_out_while_the_store_is_away(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        store.kill()
        assert (await world.ask(pro, beside=secret_of(1))).status == 200


async def test_what_was_in_flight_when_the_store_froze_is_settled_once(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        world.provider.gate.clear()
        asking = [asyncio.create_task(world.ask(pro)) for _ in range(30)]
        await world.eventually(lambda: len(world.provider.served) == 30)
        store.freeze()
        world.provider.gate.set()
        assert {reply.status for reply in await asyncio.gather(*asking)} == {200}
        store.thaw()
        await recovered(world)
        assert await world.day(pro) == uses(30)


async def test_a_request_that_began_locally_and_ends_with_the_store_there_is_charged(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        store.kill()
        world.provider.gate.clear()
        asking = asyncio.create_task(world.ask(pro))
        await world.eventually(lambda: world.provider.served)
        assert world.provider.served[0].admission.reservation.local
        store.start_again()
        await recovered(world)
        world.provider.gate.set()
        assert (await asking).status == 200
        assert await world.day(pro) == uses(1)


async def test_an_admission_that_the_store_carries_out_too_late_is_given_back(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        free = await world.user("fred", "free")
        assert (await world.ask(free)).status == 200
        store.freeze()
        assert (await world.ask(free)).status == 503
        assert world.core.exchange.watch.is_behind
        store.thaw()
        # The frozen server finds the admission in its socket when it goes on.
        await world.eventually(lambda: _holds(world, free))
        await world.core.exchange.watch.check()
        await world.core.exchange.watch.replay()
        assert await world.day(free) == uses(1)


async def test_a_request_that_the_store_can_not_judge_is_not_let_in_unjudged(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        with store.admin() as client:
            client.set(Keys("t:").windows("user:paula"), "no hash")
        reply = await world.ask(pro)
        assert (reply.status, reply.body["error"]["code"]) == (503, "store_unavailable")
        assert not world.provider.served
        assert (await world.ask(None)).status == 200


async def test_what_was_reserved_for_a_request_that_was_cancelled_meanwhile_is_given_back(
    store: StoreProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit, reserved = QuotaStore.admit, asyncio.Event()

    async def unheard(self: QuotaStore, ask: Ask) -> Decision:
        await admit(self, ask)
        reserved.set()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    monkeypatch.setattr(QuotaStore, "admit", unheard)
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        free = await world.user("fred", "free")
        asking = asyncio.create_task(world.ask(free))
        await reserved.wait()
        assert await _holds(world, free)
        asking.cancel()
        await asyncio.wait([asking])
        await world.core.exchange.watch.replay()
        assert await world.day(free) == Tally()


async def _holds(world: World, user: str) -> bool:
    return (await world.day(user)).requests_held == 1


async def test_local_counters_go_on_from_what_was_last_known_and_hold_the_limit(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        user = await world.user("tim", "ten")
        for _ in range(4):
            assert (await world.ask(user)).status == 200
        store.kill()
        replies = [await world.ask(user) for _ in range(10)]
        assert [reply.status for reply in replies] == [200] * 6 + [429] * 4
        assert replies[-1].body["error"]["code"] == "rate_limit_exceeded"
        assert replies[-1].body["error"]["scalix"]["used"] == 10
        store.start_again()
        await recovered(world)
        assert (await world.day(user)).requests_used == 10
        assert (await world.ask(user)).status == 429


async def test_a_keys_requests_per_minute_hold_on_from_what_was_last_known(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        user = await world.user("tim", "pro")
        for _ in range(3):  # until one try lies in one calendar minute
            key, roomy = await world.key(user_id=user, rpm_limit=6), await world.key(user_id=user)
            minute = time.time() // 60
            for _ in range(4):
                assert (await world.ask(None, key=key)).status == 200
            assert (await world.ask(None, key=roomy)).status == 200
            store.kill()
            replies = [await world.ask(None, key=key) for _ in range(5)]
            others = await world.ask(None, key=roomy)
            in_one = time.time() // 60 == minute
            store.start_again()
            await recovered(world)
            if in_one:
                break
        assert [reply.status for reply in replies] == [200] * 2 + [429] * 3
        assert replies[-1].body["error"]["scalix"]["limit"] == "key.rpm_limit"
        assert others.status == 200


async def test_a_keys_tokens_per_minute_hold_on_from_what_was_last_known(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        user = await world.user("tim", "pro")
        for _ in range(3):
            # Of who has little left the prompt is counted, and no longer estimated.
            assert (await world.ask(user)).status == 200
            estimated = world.provider.served[-1].admission.receipt.prompt_tokens
            scarce = await world.key(user_id=user, tpm_limit=estimated + FLOOR_TOKENS)
            assert (await world.ask(None, key=scarce)).status == 200
            needed = world.provider.served[-1].admission.receipt.prompt_tokens + FLOOR_TOKENS
            key = await world.key(user_id=user, tpm_limit=needed + 2 * USED.total_tokens)
            minute = time.time() // 60
            assert (await world.ask(None, key=key)).status == 200
            store.kill()
            replies = [await world.ask(None, key=key) for _ in range(5)]
            in_one = time.time() // 60 == minute
            store.start_again()
            await recovered(world)
            if in_one:
                break
        assert [reply.status for reply in replies] == [200] * 2 + [429] * 3
        assert replies[-1].body["error"]["scalix"]["limit"] == "key.tpm_limit"


async def test_a_key_with_a_budget_waits_for_the_store(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        user = await world.user("paula", "pro")
        on_budget, without = await world.key(user_id=user, max_budget=1), await world.key(user_id=user)
        for key in (on_budget, without):
            assert (await world.ask(None, key=key)).status == 200
        store.kill()
        assert (await world.ask(None, key=without)).status == 200
        reply = await world.ask(None, key=on_budget)
        assert (reply.status, reply.body["error"]["code"]) == (503, "store_unavailable")
        assert int(reply.headers[b"retry-after"]) > 0
        never_seen = await world.ask(None, key=new_secret())
        assert never_seen.status == 503
        store.start_again()
        await recovered(world)
        assert (await world.ask(None, key=on_budget)).status == 200


async def test_who_has_paid_in_advance_waits_for_the_store(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        user = await world.user("paula", "paid")
        await world.core.administration.balances.credit(
            Credit.read({"user_id": user, "amount_usd": 1, "credit_id": "c1"}), Actor("operator:master")
        )
        assert (await world.ask(user)).status == 200
        store.kill()
        reply = await world.ask(user)
        assert (reply.status, reply.body["error"]["code"]) == (503, "store_unavailable")
        store.start_again()
        await recovered(world)
        assert (await world.ask(user)).status == 200


async def test_what_keys_use_in_the_outage_is_counted_with_them_afterwards(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        key = await world.key(user_id=await world.user("paula", "pro"))
        assert (await world.ask(None, key=key)).status == 200
        store.kill()
        for _ in range(5):
            assert (await world.ask(None, key=key)).status == 200
        store.start_again()
        await recovered(world)
        shown = (await world.core.administration.keys.info(key))["info"]
        assert (shown["requests"], shown["spend"], shown["in_flight_requests"]) == (6, 6 * USED_NANO_USD / 1e9, 0)


async def test_a_user_who_is_not_cached_is_of_the_default_tier_while_the_store_is_away(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        world.core.callers.users.forget(pro)
        store.kill()
        assert (await world.ask(pro)).status == 503
        store.start_again()
        await recovered(world)
        assert (await world.ask(pro)).status == 200
        assert world.provider.served[-1].admission.caller.tier is not None
        assert world.provider.served[-1].admission.caller.tier.name == "pro"


async def test_a_full_journal_lets_nobody_through_whose_use_could_not_be_kept(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:", SCALIX_JOURNAL_MAX_BYTES="1048576") as world:
        pro = await world.user("paula", "pro")
        store.kill()
        assert (await world.ask(pro)).status == 200
        journal = world.core.exchange.watch._journal
        for number in range(8):
            await asyncio.gather(*(journal.add(Release(f"{number}-{n}", f"user:{n:0170}")) for n in range(600)))
        assert not journal.has_room
        assert (await world.ask(pro)).status == 503
        assert (await world.ask(None)).status == 503
        store.start_again()
        await recovered(world)
        assert (await world.ask(pro)).status == 200
        assert (await world.day(pro)).requests_used == 2


async def test_a_worker_that_ends_during_the_outage_leaves_its_journal_to_another(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as first:
        pro = await first.user("paula", "pro")
        store.kill()
        for _ in range(7):
            assert (await first.ask(pro)).status == 200
    store.start_again()
    async with World(store.url, tmp_path, "t:") as second:
        await second.eventually(lambda: _counted(second, pro, 7))
        assert await second.day(pro) == uses(7)


async def _counted(world: World, user: str, requests: int) -> bool:
    return (await world.day(user)).requests_used >= requests


async def test_an_emptied_store_is_noticed_and_said_loudly_and_the_gateway_goes_on(
    store: StoreProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        pro = await world.user("paula", "pro")
        await world.core.exchange.watch.check()
        await world.core.exchange.watch.check()
        assert world.core.exchange.watch.times_emptied == 0
        with store.admin() as client:
            client.flushall()
        await world.core.exchange.watch.check()
        await world.core.exchange.watch.check()
        assert world.core.exchange.watch.times_emptied == 1
        (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert "THE STORE WAS EMPTIED" in record.getMessage()
        assert (await world.ask(pro)).status == 200
        caller = world.provider.served[-1].admission.caller
        assert caller.tier is not None
        assert caller.tier.name == "free"


async def test_a_store_into_which_a_backup_is_being_restored_is_away_for_a_gateway_that_serves_already(
    store: StoreProcess, tmp_path: Path
) -> None:
    """One that started just before the restore began, after it had asked whether any gateway is there."""
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        restore, watch = RestoreStore(StoreSession(world.core.store.client, Keys("t:"))), world.core.exchange.watch
        free, pro = await world.user("fred", "free"), await world.user("paula", "pro")
        await watch.check()
        assert [(await world.ask(user)).status for user in (free, pro)] == [200, 200]
        await restore.begin()
        await watch.check()
        assert [(await world.ask(user)).status for user in (free, pro)] == [503, 200]
        await watch.check()
        assert [(await world.ask(user)).status for user in (free, pro)] == [503, 200]
        with store.admin() as client:
            assert client.keys("t:*") == [Keys("t:").epoch()]
        await restore.finish()
        await watch.check()
        assert await watch.replay() == 2
        assert [(await world.ask(user)).status for user in (free, pro)] == [200, 200]
        assert (await world.day(pro)).requests_used == 3


async def test_a_restart_of_the_store_with_its_data_is_no_loss(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        await world.core.exchange.watch.check()
        store.embedded.stop()
        await world.core.exchange.watch.check()
        store.embedded.start()
        await world.core.exchange.watch.check()
        assert world.core.exchange.watch.times_emptied == 0


async def test_scripts_that_were_flushed_are_sent_again(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        free = await world.user("fred", "free")
        with store.admin() as client:
            for number in range(1, 4):
                client.script_flush()
                assert (await world.ask(free)).status == 200
                assert await world.day(free) == uses(number)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    primary = Server(tmp_path / "primary", ports[0])
    replica = Server(tmp_path / "replica", ports[1], "--replicaof", "127.0.0.1", str(ports[0]))
    try:
        yield primary.start(), replica.start()
    finally:
        primary.close()
        replica.close()


async def test_a_replica_is_no_store_until_it_is_promoted(pair: tuple[Server, Server], tmp_path: Path) -> None:
    first, second = pair
    async with World(first.url, tmp_path / "a", "t:") as primary:
        pro = await primary.user("paula", "pro")
        assert (await primary.ask(pro)).status == 200
        await primary.eventually(lambda: second.admin.exists("t:epoch") and second.admin.keys("t:*:e:*"))
    async with World(second.url, tmp_path / "b", "t:") as world:
        await world.eventually(lambda: _is_read(world, pro))
        assert (await world.ask(pro)).status == 200
        assert world.provider.served[-1].admission.reservation.local
        second.admin.replicaof("NO", "ONE")
        await world.eventually(lambda: _takes_writes(world))
        await recovered(world)
        assert (await world.ask(pro)).status == 200
        assert await world.day(pro) == uses(3)
        assert world.core.exchange.watch.times_emptied == 0


async def _is_read(world: World, user: str) -> bool:
    try:
        await world.core.callers.users.record(user, fresh=True)
    except StoreUnavailable:
        return False
    return True


async def _takes_writes(world: World) -> bool:
    try:
        await world._quotas.release("none", "user:nobody")
    except StoreUnavailable:
        return False
    return True


async def test_one_users_damaged_record_does_not_close_the_store_for_others(
    store: StoreProcess, tmp_path: Path
) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        free, pro = await world.user("fred", "free"), await world.user("paula", "pro")
        with store.admin() as client:
            for key in client.keys("t:*:w:*"):
                client.delete(key)
            assert (await world.ask(free)).status == 200
            (windows,) = client.keys("t:*:w:user:fred")
            client.delete(windows)
            client.set(windows, "not a hash")
        for _ in range(10):
            assert (await world.ask(free)).status == 503
        assert world.core.exchange.watch.store_is_there
        assert (await world.ask(pro)).status == 200
        assert not world.provider.served[-1].admission.reservation.local


async def test_an_admission_whose_caller_leaves_in_the_middle_is_released(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        free = await world.user("fred", "free")
        caller = await world.core.callers.users.caller(free)
        store.freeze()
        call: Call = world.call("r-left")
        asking = asyncio.create_task(world.core.exchange.admission.admit(caller, call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        store.thaw()
        await world.core.exchange.watch.replay()
        await world.eventually(lambda: _holds_nothing(world, free))
        assert await world.day(free) == Tally()


async def _holds_nothing(world: World, user: str) -> bool:
    return (await world.day(user)).requests_held == 0


async def test_what_was_let_through_without_the_store_is_charged_its_prompt_when_its_worker_dies(
    store: StoreProcess, tmp_path: Path
) -> None:
    dead = World(store.url, tmp_path, "t:", jobs=False)
    await dead.__aenter__()
    pro = await dead.user("paula", "pro")
    # Given a request that was let through while the store was away and has ended, and another one that has not
    store.kill()
    assert (await dead.ask(pro)).status == 200
    dead.provider.gate.clear()
    asking = asyncio.create_task(dead.ask(pro))
    await dead.eventually(lambda: len(dead.provider.served) == 2)
    receipt = dead.provider.served[1].admission.receipt
    # When their worker dies: the kernel lets go of its files, and nothing else happens
    journal = dead.core.exchange.watch._journal
    assert journal.admissions._file is not None
    await journal._on_disk(journal._file.close)
    await journal._on_disk(journal.admissions._file.close)
    store.start_again()
    async with World(store.url, tmp_path, "t:") as successor:
        await recovered(successor)
        own = successor.core.exchange.watch._journal._file.path
        await successor.eventually(lambda: list((tmp_path / "state" / "journal").glob("*.journal")) == [own])
        # Then it is charged as one that is swept, and the one that had ended as it ended
        tally = await successor.day(pro)
        assert (tally.requests_used, tally.tokens_used) == (2, USED.total_tokens + receipt.prompt_tokens)
        assert tally.requests_held == 0
    asking.cancel()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TypeError("a value"), CallRejected("WRONGTYPE"), KeyError(1)])
async def test_whatever_a_settlement_fails_of_it_is_told_later(
    store: StoreProcess, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        settle = QuotaStore.settle
        times = 0

        async def failing_once(self: QuotaStore, receipt: Receipt, charge: Charge) -> Settled:
            nonlocal times
            times += 1
            if times == 1:
                raise error
            return await settle(self, receipt, charge)

        monkeypatch.setattr(QuotaStore, "settle", failing_once)
        assert (await world.ask(pro)).status == 200
        await recovered(world)
        assert await world.day(pro) == uses(1)


async def test_a_charge_that_can_not_be_worked_out_is_made_as_reserved(
    store: StoreProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise OverflowError("a bug")

    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        monkeypatch.setattr("scalix.service.exchange.settlement.billable_of", broken)
        assert (await world.ask(pro)).status == 200
        tally = await world.day(pro)
        prompt_tokens = world.provider.served[0].admission.receipt.prompt_tokens
        assert (tally.requests_used, tally.tokens_used, tally.requests_held) == (1, prompt_tokens, 0)
        assert tally.nano_usd_used > 0


@pytest.mark.parametrize(
    "place", ["scalix.service.exchange.admission_control.with_cap", "scalix.edge.answering.Attempts"]
)
@pytest.mark.parametrize("away", [False, True], ids=["store there", "store away"])
async def test_a_fault_between_admission_and_answer_leaves_nothing_reserved_and_nothing_charged(
    store: StoreProcess, tmp_path: Path, place: str, away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **names: object) -> None:
        raise RuntimeError("a bug")

    async with World(store.url, tmp_path, "t:") as world:
        pro = await world.user("paula", "pro")
        monkeypatch.setattr(place, broken)
        if away:
            store.kill()
        assert (await world.ask(pro)).status == 500
        assert len(world.core.exchange.exchanges) == 0
        assert not world.core.exchange.watch._journal.admissions._open
        if away:
            store.start_again()
        await recovered(world)
        assert await world.day(pro) == Tally()
