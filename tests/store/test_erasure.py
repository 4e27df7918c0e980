"""What an erased user leaves in the store: use under a pseudonym until the month ends, and no way back to a name."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Refused, Tally
from scalix.store.base import UserRecord
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.journal.journal_entries import Entry, Release, SettlementEntry, encoded
from scalix.store.journal.set_aside import SetAside
from scalix.store.keys import Keys
from scalix.store.privacy.redis_erasure import Erased, ErasureStore
from scalix.store.privacy.redis_files import StoreFiles
from scalix.store.privacy.redis_personal_data import PersonalDataStore
from scalix.store.privacy.redis_retention import RetentionStore
from scalix.store.records.pseudonyms import Pseudonyms, PseudonymStore
from tests.store.servers import Cluster, Server, free_ports, running
from tests.store.stores import SUBJECT, Rig, ask, key_of, limits, redis_rig, used

DAY_S = 86_400
FILES = ("append_only_file", "snapshot")


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    made = redis_rig(store_url, key_prefix)
    yield made
    await made.close()


@pytest.fixture
def erasure(rig: Rig) -> ErasureStore:
    assert rig.keys is not None
    return ErasureStore(rig.session, Pseudonyms(rig.session))


async def names_of(rig: Rig) -> list[str]:
    """The names of all keys but those that name nobody."""
    assert rig.keys is not None
    found = [name.removeprefix(rig.keys.prefix) async for name in rig.session.names_like("*")]
    return sorted(name.partition(":")[2] or name for name in found)


async def admitted(rig: Rig, request_id: str, **changes: object) -> Admitted:
    decision = await rig.quotas.admit(ask(request_id, limits(requests={"day": 10}), **changes))
    assert isinstance(decision, Admitted), decision
    return decision


async def day(rig: Rig) -> Tally:
    return (await rig.quotas.tallies(SUBJECT))[1].get(Window.DAY, Tally())


async def global_tokens(rig: Rig) -> int:
    hour = rig.clock.now_ms // 3_600_000
    return sum(one.sums.tokens for one in await rig.ledger.by_hour(hour - 24, hour))


async def test_all_that_a_user_has_goes_and_is_counted(rig: Rig, erasure: ErasureStore) -> None:
    await rig.users.create(UserRecord("alice", tier="pro"))
    await rig.users.create(UserRecord("bob", tier="pro"))
    key = await rig.virtual_keys.create(key_of("alice", 1))
    key = await rig.virtual_keys.update(key, replace(key, digest="e" * 64, former={key.digest: rig.clock.now_ms + 999}))
    await rig.balances.credit(SUBJECT, 10**9, "payment-1")
    one = await admitted(rig, "r1", key=key.scope)
    await admitted(rig, "r2")
    await rig.quotas.settle(one.receipt, used(5, nano_usd=7))
    erased = await erasure.erase("alice")
    # Its event, the sums of its month, and its place among those who used most tokens.
    assert erased == Erased(1, 1, 1, 3, 1, 1, 3)
    left = await names_of(rig)
    assert [name for name in left if "alice" in name or "k1" in name or "e" * 64 in name] == []
    assert (await rig.users.page(0, 10))[0] == 1
    assert await rig.virtual_keys.page(0, 10) == (0, [])
    assert await erasure.erase("alice") == Erased()


async def test_use_is_kept_under_a_pseudonym_that_ends_with_the_month(rig: Rig, erasure: ErasureStore) -> None:
    one = await admitted(rig, "r1")
    await rig.quotas.settle(one.receipt, used(40))
    await erasure.erase("alice")
    assert await day(rig) == Tally(1, 40, 0, 0, 0, 0)
    for number in range(9):
        await rig.quotas.settle((await admitted(rig, f"again-{number}")).receipt, used(1))
    assert isinstance(await rig.quotas.admit(ask("one-more", limits(requests={"day": 10}))), Refused)
    (windows,) = [name for name in await names_of(rig) if name.startswith("w:")]
    assert windows.startswith("w:~")
    await erasure.erase("alice")
    assert isinstance(await rig.quotas.admit(ask("and-more", limits(requests={"day": 10}))), Refused)
    assert rig.keys is not None
    (kept,) = [name async for name in rig.session.names_like("*:w:~*")]
    # It is the 26th of February at noon by the tests' clock.
    assert 0 < await rig.client.pttl(kept) <= (2 * DAY_S + DAY_S // 2) * 1000


@pytest.mark.parametrize("end", ["settle", "sweep", "release", "settle after sweep", "settle twice"])
async def test_what_ends_after_an_erasure_brings_nobody_back(rig: Rig, erasure: ErasureStore, end: str) -> None:
    key = await rig.virtual_keys.create(key_of("alice", 1))
    done = await admitted(rig, "r0")
    await rig.quotas.settle(done.receipt, used(7))
    late = (await admitted(rig, "r1", key=key.scope)).receipt
    await erasure.erase("alice")
    before = await global_tokens(rig)
    rig.clock.advance(seconds=61)
    charge = replace(used(40), detail=Detail(model="m", served="m"))
    match end:
        case "settle":
            await rig.quotas.settle(late, charge)
        case "settle twice":
            await rig.quotas.settle(late, charge)
            await rig.quotas.settle(late, charge)
        case "sweep":
            await rig.quotas.sweep()
        case "release":
            await rig.quotas.release(late.request_id, late.subject, late.key_id)
        case _:
            await rig.quotas.sweep()
            await rig.quotas.settle(late, charge)
    assert [name for name in await names_of(rig) if "alice" in name or "k1" in name] == []
    charged = 40 if end.startswith("settle") else 0
    assert await global_tokens(rig) == before + charged
    fresh = await admitted(rig, "r2")
    assert fresh.tallies[Window.DAY].tokens_used == 7 + charged
    assert fresh.tallies[Window.DAY].requests_held == 1


async def test_a_settlement_that_a_journal_tells_again_after_an_erasure_is_counted_once(
    rig: Rig, erasure: ErasureStore
) -> None:
    receipt = (await admitted(rig, "r1")).receipt
    await rig.quotas.settle(receipt, used(40))
    await erasure.erase("alice")
    before = await global_tokens(rig)
    again = await rig.quotas.settle(receipt, used(40))
    assert again.status == "duplicate"
    assert await global_tokens(rig) == before
    assert (await admitted(rig, "r2")).tallies[Window.DAY].tokens_used == 40


async def test_an_alias_that_somebody_else_has_by_now_stays(rig: Rig, erasure: ErasureStore) -> None:
    assert rig.keys is not None
    await rig.virtual_keys.create(key_of("alice", 1, alias="shared"))
    await rig.client.set(rig.keys.alias("shared"), "k2 bob")
    await erasure.erase("alice")
    assert await rig.client.get(rig.keys.alias("shared")) == "k2 bob"


async def test_names_are_forgotten_both_ways_also_when_they_are_used_meanwhile(rig: Rig) -> None:
    assert rig.keys is not None
    session = StoreSession(rig.client, rig.keys, timeout_ms=5_000)
    names = PseudonymStore(session, Pseudonyms(session))
    for number in range(20):
        texts = [f"alias-{number}-{one}" for one in range(3)]
        await asyncio.gather(
            *(names.pseudonyms(SUBJECT, [text], 60_000) for text in texts),
            names.forget(SUBJECT),
            return_exceptions=True,
        )
        await names.forget(SUBJECT)
        assert [name for name in await names_of(rig) if name.startswith(("y:", "p-"))] == []
    first = await names.pseudonyms(SUBJECT, ["alice"], 60_000)
    assert await names.pseudonyms(SUBJECT, ["alice"], 60_000) == first
    assert await names.behind(first.values()) == {first["alice"]: "alice"}
    assert await names.behind([]) == {}


async def test_lines_that_were_set_aside_lose_the_erased_user_alone(rig: Rig, tmp_path: Path) -> None:
    mine, other = (await admitted(rig, "r1")).receipt, (await admitted(rig, "r2", subject="user:alicent")).receipt
    entries: list[Entry] = [*(SettlementEntry(receipt, used(1)) for receipt in (mine, other)), Release("r3", SUBJECT)]
    lines = [encoded(entry) for entry in entries]
    damaged = b"00000000" + lines[0][8:]
    path = tmp_path / "1-abc.set-aside"
    path.write_bytes(b"".join(lines) + damaged)
    set_aside = SetAside(tmp_path)
    assert await set_aside.forget(SUBJECT) == 3
    assert path.read_bytes() == lines[1]
    assert await set_aside.forget("user:alicent") == 1
    assert not path.exists()


async def test_old_set_aside_files_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "1-abc.set-aside"
    path.write_bytes(b"x\n")
    written_s = path.stat().st_mtime
    assert await SetAside(tmp_path, clock_s=lambda: written_s + 34 * DAY_S).remove_older(35) == 0
    assert await SetAside(tmp_path, clock_s=lambda: written_s + 36 * DAY_S).remove_older(35) == 1
    assert not path.exists()


async def test_the_stores_files_are_written_anew(rig: Rig) -> None:
    files = StoreFiles(rig.session)
    both = await asyncio.gather(files.rewrite(), files.rewrite())
    assert list(both) == [{"append_only_file": "rewritten", "snapshot": "none"}] * 2


async def test_an_external_servers_files_are_written_anew_as_far_as_it_lets_us(tmp_path: Path) -> None:
    server = Server(tmp_path, free_ports(1)[0], "--appendonly", "yes", "--save", "3600 1")
    with running(server):
        one = connect(server.url, timeout_ms=5_000)
        assert await StoreFiles(StoreSession(one, Keys(""), timeout_ms=5_000)).rewrite() == dict.fromkeys(
            FILES, "rewritten"
        )
        assert (tmp_path / "dump.rdb").exists()
        await one.aclose()
        rights = ("+@all", "-bgrewriteaof", "-bgsave", "-config")
        server.admin.execute_command("ACL", "SETUSER", "some", "on", ">word", "~*", "&*", *rights)
        other = connect(server.url.replace("//", "//some:word@"), timeout_ms=5_000)
        assert await StoreFiles(StoreSession(other, Keys(""), timeout_ms=5_000)).rewrite() == dict.fromkeys(
            FILES, "not permitted"
        )
        await other.aclose()


async def test_on_a_cluster_everything_is_found_and_erased_too(tmp_path: Path) -> None:
    with running(Cluster(tmp_path)) as cluster:
        rig = redis_rig(cluster.url, "c:")
        assert rig.keys is not None
        pseudonyms = Pseudonyms(rig.session)
        erasure = ErasureStore(rig.session, pseudonyms)
        for name in ("alice", "bob"):
            await rig.users.create(UserRecord(name, tier="pro"))
            key = await rig.virtual_keys.create(key_of(name, len(name)))
            await rig.balances.credit(f"user:{name}", 10**9, "payment-1")
            one = await admitted(rig, f"r{len(name)}", subject=f"user:{name}", key=key.scope)
            await rig.quotas.settle(one.receipt, used(5, nano_usd=7))
        data = await PersonalDataStore(rig.session, pseudonyms).of(SUBJECT)
        assert [(event.request_id, event.tokens) for event in data.events] == [("r5", 5)]
        assert [(one.credit_id, one.nano_usd) for one in data.credits] == [("payment-1", 10**9)]
        assert await erasure.erase("alice") == Erased(1, 1, 0, 3, 1, 1, 3)
        left = await names_of(rig)
        assert [name for name in left if "alice" in name] == []
        assert [name for name in left if "bob" in name] != []
        files = await StoreFiles(rig.session).rewrite()
        assert files == {"append_only_file": "none", "snapshot": "none"}
        assert await RetentionStore(rig.session).remove_dead_pointers() == 0
        await rig.close()


async def test_a_request_id_that_somebody_has_made_of_the_users_id_goes_too(rig: Rig, erasure: ErasureStore) -> None:
    for request_id in ("invoice-alice-7", "r2"):
        await rig.quotas.settle((await admitted(rig, request_id)).receipt, used(1))
    await erasure.erase("alice")
    assert [name for name in await names_of(rig) if name.startswith("x:")] == ["x:r2"]


async def test_a_short_name_that_request_ids_hold_by_chance_changes_nothing(rig: Rig, erasure: ErasureStore) -> None:
    request_id = "7" * 32
    receipt = (await admitted(rig, request_id, subject="user:7")).receipt
    await rig.quotas.settle(receipt, used(40))
    await erasure.erase("7")
    assert (await rig.quotas.settle(receipt, used(40))).status == "duplicate"
    assert await global_tokens(rig) == 40
