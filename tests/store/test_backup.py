"""Backups of a real store under load, restored to the last figure; and what a restore refuses."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalix.domain.backup import BackupSettings, backup_name
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.backup.making import BackupRefused, verify
from scalix.store.backup.backup_file import BadBackup
from scalix.store.backup.targets import DirectoryTarget
from scalix.store.base import StoreUnavailable, UserRecord
from scalix.store.connection.session import StoreSession
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.records.pseudonyms import PseudonymStore
from scalix.store.records.redis_epoch import EpochStore
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_users import UserStore
from tests.store.backup_rig import Answering, contents, parts_of, session_at
from tests.store.ledger_rig import PACE_S, TODAY, LedgerRig
from tests.store.servers import Cluster, Server, free_ports, running
from tests.store.stores import key_of

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SETTINGS = BackupSettings()


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


async def a_store_of_everything(rig: LedgerRig) -> list[str]:
    """Users with events, keys, balances and names in the audit log, and keys of every type."""
    subjects = await rig.a_day(users=5, requests=6)
    users, keys, balances = UserStore(rig.session), KeyStore(rig.session), BalanceStore(rig.session)
    for number in range(3):
        await users.create(UserRecord(f"named {number}", tier="free"))
        await keys.create(key_of(f"named {number}", number))
        await balances.credit(f"user:named {number}", 10**9, f"c{number}")
        await PseudonymStore(rig.session).pseudonyms(f"user:named {number}", [f"named {number}"], 10**9)
    for number in range(5):
        await rig.client.xadd(rig.keys.audit_log(), {"entry": f"{number} é", "more": ""}, id=f"{number + 1}-1")
    await rig.client.sadd(rig.keys.wildcard_names(TODAY), "one", "two é")
    return subjects


PASSING = {"epoch", "backups", "backup-lock"}


def kept(found: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if name not in PASSING}


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
async def test_a_backup_restores_every_key_to_the_last_figure(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path, key: str | None
) -> None:
    await a_store_of_everything(rig)
    before = kept(await contents(rig.session))
    made = await parts_of(rig.session, tmp_path, key=key).making.create(SETTINGS)
    assert {"string", "hash", "set", "zset", "stream"} <= {str(value[0]) for value in before.values()}  # type: ignore[index]
    async with session_at(store_url, f"{key_prefix}2:") as other:
        parts = parts_of(other, tmp_path, "other", key)
        assert verify(parts.place, made.name).is_encrypted == bool(key)
        await parts.restoring.restore(None)
        assert kept(await contents(other)) == before


async def test_keys_of_many_entries_are_read_in_pages(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scalix.store.backup.redis_snapshot.MOST_ENTRIES", 3)
    monkeypatch.setattr("scalix.store.backup.redis_restore._WORDS", 4)
    await a_store_of_everything(rig)
    for number in range(600):  # more than a small encoding holds, which a scan gives in one page
        await rig.client.sadd(rig.keys.wildcard_names(TODAY), f"name {number}")
        await rig.client.zadd(rig.keys.key_list(), {f"k{number} u": number + 0.5})
        await rig.client.hset(rig.keys.archived(), f"{number} host", "text " * 20)
    before = kept(await contents(rig.session))
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    async with session_at(store_url, f"{key_prefix}2:") as other:
        await parts_of(other, tmp_path).restoring.restore(None)
        assert kept(await contents(other)) == before


async def test_what_is_settled_during_a_backup_is_in_it_whole_or_not_at_all(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    """Of every user, old ones and those who come meanwhile, counters, events and sums agree after the restore."""
    subjects = await rig.a_day(users=30, requests=3)
    done = asyncio.Event()
    settled: list[str] = []

    async def load(number: int) -> None:
        for request in range(10_000):
            if done.is_set():
                return
            chosen = subjects[(number * 7 + request) % len(subjects)] if request % 3 else f"user:new {number} {request}"
            await rig.settle(f"load-{number}-{request}", chosen)
            settled.append(chosen)
            await asyncio.sleep(PACE_S)

    loads = [asyncio.create_task(load(number)) for number in range(4)]
    made = parts_of(rig.session, tmp_path).making
    at_begin = len(settled)
    await made.create(SETTINGS)
    at_end = len(settled)
    done.set()
    await asyncio.gather(*loads)
    assert at_end - at_begin > 100
    other = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
    await parts_of(other.session, tmp_path).restoring.restore(None)
    found = await other.verify()
    assert found.differences == []
    assert 90 + at_begin <= found.events <= 90 + at_end
    assert found.subjects > 30
    assert (await rig.verify()).differences == []
    await other.close()


async def test_what_is_paid_in_during_a_backup_is_in_a_balance_and_among_its_credits_or_in_neither(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    """Of users who make no request, so that their balances are read but once."""
    balances, done = BalanceStore(rig.session), asyncio.Event()
    for user in range(40):
        await balances.credit(f"user:{user}", 7, "first")
    paid_in = 0

    async def pay_in() -> None:
        nonlocal paid_in
        while not done.is_set():
            await balances.credit(f"user:{paid_in % 40}", 7, f"later-{paid_in}")
            paid_in += 1

    paying = [asyncio.create_task(pay_in()) for _ in range(3)]
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    done.set()
    await asyncio.gather(*paying)
    assert paid_in > 100
    async with session_at(store_url, f"{key_prefix}2:") as other:
        await parts_of(other, tmp_path).restoring.restore(None)
        for user in range(40):
            credited = await other.hlen(other.names.credits(f"user:{user}"))
            assert await other.hget(other.names.balance(f"user:{user}"), "nano") == str(7 * credited)


async def test_what_was_in_flight_at_the_backup_is_charged_by_the_sweep(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    await rig.admit("in-flight", "user:alice", prompt_tokens=70)
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    other = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
    await parts_of(other.session, tmp_path).restoring.restore(None)
    rig.clock.advance(hours=1)
    assert await other.quotas.sweep() == 1
    found = await other.verify()
    assert (found.events, found.differences) == (1, [])
    await other.close()


async def test_a_backup_of_a_cluster_restores_into_one_server_and_back(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    with running(Cluster(tmp_path / "nodes")) as cluster:
        rig = LedgerRig(cluster.url, key_prefix)
        await a_store_of_everything(rig)
        before = kept(await contents(rig.session))
        await parts_of(rig.session, tmp_path).making.create(SETTINGS)
        async with session_at(store_url, key_prefix) as single:
            await parts_of(single, tmp_path).restoring.restore(None)
            assert kept(await contents(single)) == before
            await parts_of(single, tmp_path).making.create(SETTINGS)
        async with session_at(cluster.url, f"{key_prefix}2:") as back:
            await parts_of(back, tmp_path).restoring.restore(None)
            assert kept(await contents(back)) == before
        await rig.close()


async def test_a_server_that_forbids_what_managed_servers_forbid_is_backed_up_and_restored(
    tmp_path: Path, key_prefix: str
) -> None:
    forbidden = (
        "config",
        "debug",
        "bgsave",
        "save",
        "bgrewriteaof",
        "dump",
        "restore",
        "keys",
        "flushall",
        "client|list",
    )
    with running(Server(tmp_path / "store", free_ports(1)[0])) as server:
        rules = ("on", ">of-the-tests", "~*", "+@all", *(f"-{name}" for name in forbidden))
        server.admin.execute_command("ACL", "SETUSER", "gateway", *rules)
        rig = LedgerRig(server.url.replace("redis://", "redis://gateway:of-the-tests@"), key_prefix)
        await a_store_of_everything(rig)
        before = kept(await contents(rig.session))
        parts = parts_of(rig.session, tmp_path)
        await parts.making.create(SETTINGS)
        await parts.restoring.restore(None, replace=True)
        assert kept(await contents(rig.session)) == before
        await rig.close()


async def test_a_restore_refuses_a_store_that_is_not_empty_unless_told(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    await rig.a_day(users=2, requests=2)
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    before = kept(await contents(rig.session))
    await UserStore(rig.session).create(UserRecord("newer"))
    with pytest.raises(BackupRefused, match="not empty, and nothing was written"):
        await parts_of(rig.session, tmp_path).restoring.restore(None)
    assert (await UserStore(rig.session).get("newer")).exists
    await parts_of(rig.session, tmp_path).restoring.restore(None, replace=True)
    assert kept(await contents(rig.session)) == before


async def test_a_restore_refuses_a_store_that_a_gateway_uses(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    await rig.a_day(users=1, requests=1)
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    async with session_at(store_url, f"{key_prefix}2:") as other, Answering(other):
        with pytest.raises(BackupRefused, match="a gateway runs on this store"):
            await parts_of(other, tmp_path).restoring.restore(None)
        assert set(await contents(other)) == {"epoch"}
        assert await other.get(other.names.epoch()) == "own"


async def test_a_damaged_backup_is_refused_before_anything_is_written(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    await rig.a_day(users=3, requests=3)
    made = await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    path = tmp_path / "backups" / made.name
    path.write_bytes(path.read_bytes()[:-40])
    async with session_at(store_url, f"{key_prefix}2:") as other:
        with pytest.raises(BadBackup):
            await parts_of(other, tmp_path).restoring.restore(None)
        assert await contents(other) == {}


async def test_a_file_without_its_last_line_is_no_backup(rig: LedgerRig, tmp_path: Path) -> None:
    parts = parts_of(rig.session, tmp_path)
    name = backup_name(1, "aaaaaa")
    parts.place.write(name, 1, [["k", "one", "string", 0, 1, ["text"]]])
    with pytest.raises(BadBackup, match="lines are missing"):
        verify(parts.place, name)


async def test_a_restore_that_broke_off_leaves_no_store_and_is_begun_again(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_store_of_everything(rig)
    before = kept(await contents(rig.session))
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    async with session_at(store_url, f"{key_prefix}2:") as other:
        calls = 0

        async def failing(self: StoreSession, script: str, *rest: object) -> object:
            nonlocal calls
            calls += script == "write_key"
            if calls > 3:
                raise StoreUnavailable("away")
            return await run_all(self, script, *rest)  # type: ignore[arg-type]

        run_all = StoreSession.run_all
        monkeypatch.setattr("scalix.store.backup.redis_restore._TOGETHER", 2)
        with monkeypatch.context() as patched:
            patched.setattr(StoreSession, "run_all", failing)
            with pytest.raises(StoreUnavailable, match="away"):
                await parts_of(other, tmp_path).restoring.restore(None)
        assert 1 < len(await contents(other)) < len(before)
        with pytest.raises(StoreUnavailable, match="being restored"):
            await EpochStore(other).epoch("new", write=True)
        await parts_of(other, tmp_path).restoring.restore(None)
        assert kept(await contents(other)) == before
        epoch = await EpochStore(other).epoch("new", write=False)
        assert epoch not in ("new", "restoring")


async def test_of_a_user_who_was_erased_since_nothing_comes_back(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    await a_store_of_everything(rig)
    await rig.settle("one of theirs", "user:named 1")
    parts = parts_of(rig.session, tmp_path, key=KEY)
    await parts.making.create(SETTINGS)
    rig.clock.advance(seconds=5)
    await parts.restoring.notes.note("user:named 1")
    await ErasureStore(rig.session).erase("named 1")
    # The store is lost with its own list of erasures; what is beside the backups is left.
    async with session_at(store_url, f"{key_prefix}2:", rig.clock) as other:
        restored = await parts_of(other, tmp_path, "other", KEY).restoring.restore(None)
        assert restored.erased_again == 1
        found = await contents(other)
        assert not [item for item in found.items() if "named 1" in str(item) or "one of theirs" in str(item[1])]
        assert [item for item in found.items() if "named 2" in str(item)]
        # A backup of the restored store still keeps the others' figures, and one of before erases them once more.
        again = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
        assert (await again.verify()).differences == []
        await again.close()


async def test_who_was_erased_before_a_backup_and_came_back_stays(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    parts = parts_of(rig.session, tmp_path)
    await rig.settle("first", "user:alice")
    await parts.restoring.notes.note("user:alice")
    await ErasureStore(rig.session).erase("alice")
    rig.clock.advance(seconds=5)
    await rig.settle("second", "user:alice")
    await parts.making.create(SETTINGS)
    async with session_at(store_url, f"{key_prefix}2:", rig.clock) as other:
        assert (await parts_of(other, tmp_path, "other").restoring.restore(None)).erased_again == 0
        assert "second" in str(await contents(other))


async def test_old_backups_and_the_notes_that_none_needs_are_removed(rig: LedgerRig, tmp_path: Path) -> None:
    parts = parts_of(rig.session, tmp_path)
    folder = tmp_path / "backups"
    folder.mkdir()
    await parts.restoring.notes.note("user:long ago")
    for days in (1, 2, 3, 50):
        name = backup_name(rig.clock.now_ms + 60 * DAY_MS - days * DAY_MS, "aaaaaa")
        (folder / name).write_bytes(b"old")
    (folder / "not ours.txt").write_bytes(b"stays")
    rig.clock.now_ms += 60 * DAY_MS
    await parts.restoring.notes.note("user:lately")
    made = await parts.making.create(BackupSettings(keep=3, keep_days=35))
    names = parts.place.names()
    assert len(parts.place.backups()) == 3
    assert made.name == parts.place.backups()[0]
    assert [name for name in names if name.endswith(".erased")] == [
        name
        for name in names
        if name.endswith(".erased") and name > f"erased-{backup_name(rig.clock.now_ms - DAY_MS, '')[7:15]}"
    ]
    assert len([name for name in names if name.endswith(".erased")]) == 1
    assert "not ours.txt" in names
    await parts.making.prune(BackupSettings(keep=1, keep_days=1))
    assert parts.place.backups() == [made.name]


async def test_two_processes_do_not_make_backups_at_once(rig: LedgerRig, tmp_path: Path) -> None:
    async with parts_of(rig.session, tmp_path).restoring.stores.backups.locked() as is_ours:
        assert is_ours
        with pytest.raises(BackupRefused, match="another process"):
            await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)


async def test_the_lock_is_held_for_as_long_as_a_backup_takes_to_be_kept(
    rig: LedgerRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one on its way to a bucket takes longer than a lock holds by itself."""
    monkeypatch.setattr("scalix.store.backup.redis_backups._RENEW_EVERY_S", 0.01)
    keep, begun, goes_on = DirectoryTarget.keep, threading.Event(), threading.Event()

    def slow(target: DirectoryTarget, draft: Path, name: str) -> None:
        begun.set()
        goes_on.wait(30)
        keep(target, draft, name)

    monkeypatch.setattr(DirectoryTarget, "keep", slow)
    making = asyncio.create_task(parts_of(rig.session, tmp_path).making.create(SETTINGS))
    try:
        assert await asyncio.to_thread(begun.wait, 30)
        await rig.client.pexpire(rig.keys.backup_lock(), 60_000)
        for _ in range(1_000):
            if await rig.client.pttl(rig.keys.backup_lock()) > 60_000:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the lock is not renewed")
    finally:
        goes_on.set()
        await making
