"""What the store leaves behind and never does: endless or undeclared keys, rounded figures, half a settlement."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from scalix.domain.ledger.ledger import Balance, Detail
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Prices, Tally
from scalix.store.base import StoreUnavailable, UserRecord
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import CLOCK_GRACE_MS, Keys
from scalix.store.quota.redis_limits import LimitTools
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.pseudonyms import pseudonym
from scalix.store.records.redis_users import UserStore
from tests.store.servers import Server, free_ports, running
from tests.store.stores import SUBJECT, Rig, ask, key_of, limits, redis_rig, used

EXACT = 2**53
# Users' records and their names, and their prepaid balances; records, windows, names and places of virtual keys, which
# go when the key is deleted; the key of pseudonyms.
WITHOUT_END = {"u", "n", "b", "c", "k", "q", "o", "key", "alias", "key-list", "pseudonym-key"}
DAY_MS = 86_400_000
LONGEST_TTL_MS = {
    "w": 63 * DAY_MS + CLOCK_GRACE_MS,  # windows, requests in flight, leases, adjustments
    "f": 64 * DAY_MS + CLOCK_GRACE_MS,
    "l": 64 * DAY_MS + CLOCK_GRACE_MS,
    "j": 63 * DAY_MS + CLOCK_GRACE_MS,
    "x": 600_000,  # tombstones
    "h": 35 * DAY_MS,  # shadow counts
    "e": 37 * DAY_MS
    + CLOCK_GRACE_MS,  # events, sums by hour and rankings: 35 days after their day, and the clock goes back by one
    "a": 37 * DAY_MS + CLOCK_GRACE_MS,
    "rt": 37 * DAY_MS + CLOCK_GRACE_MS,
    "rc": 37 * DAY_MS + CLOCK_GRACE_MS,
    "ei": 37 * DAY_MS + CLOCK_GRACE_MS,
    "et": 37 * DAY_MS + CLOCK_GRACE_MS,
    "t": 37 * DAY_MS + CLOCK_GRACE_MS,
    "p": 400 * DAY_MS + CLOCK_GRACE_MS,  # who was there, and how many
    "s": 432 * DAY_MS + CLOCK_GRACE_MS,  # sums by day: 400 days after their month
    "A": 432 * DAY_MS + CLOCK_GRACE_MS,
    "m": 400 * DAY_MS,  # what an address was merged into
}
PSEUDONYM_KEY = bytes(range(32))
ODD_NAMES = [
    "a b",
    "{x}",
    "}{",
    "{}",
    "{s00}",
    "a:b",
    "ü\N{SNOWMAN}",
    "line\nbreak",
    "nul\0",
    '"quoted"',
    "x" * 256,
    " ",
]


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    made = redis_rig(store_url, key_prefix)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("server"), free_ports(1)[0])) as made:
        yield made


def merge_of(rig: Rig) -> LimitTools:
    assert isinstance(rig.quotas, QuotaStore)
    return rig.quotas


async def admitted(rig: Rig, request_id: str, given: Limits | None = None, **changes: object) -> Admitted:
    decision = await rig.quotas.admit(ask(request_id, given or limits(), **changes))
    assert isinstance(decision, Admitted), decision
    return decision


async def day(rig: Rig, subject: str = "user:alice") -> Tally:
    return (await rig.quotas.tallies(subject))[1].get(Window.DAY, Tally())


async def mixed_work(rig: Rig, *, rounds: int) -> None:
    """Everything that the store is asked to do, at random, also after the end of requests and windows."""
    chance = random.Random(7)
    receipts = []
    virtual_keys = [await rig.virtual_keys.create(key_of(str(number), number)) for number in range(4)]
    shadow = Limits((Limit(Metric.REQUESTS, Window.MINUTE, 1, enforce=False),), 1, enforce_concurrent=False)
    for number in range(rounds):
        subject = f"user:{chance.randrange(8)}"
        given = chance.choice([limits(), limits(requests={"minute": 2, "hour": 5}), limits(concurrent=2), shadow])
        user = int(subject.removeprefix("user:"))
        scope = virtual_keys[user].scope if user < len(virtual_keys) else None
        billing = {"is_billed": chance.random() < 0.5, "prices": Prices(150_000, 600_000), "model": "gpt 4"}
        decision = await rig.quotas.admit(ask(f"r{number}", given, subject=subject, tier="free", key=scope, **billing))
        if isinstance(decision, Admitted):
            receipts.append(decision.receipt)
        if receipts:
            receipt = chance.choice(receipts)
            match chance.randrange(6):
                case 0 | 1:
                    charge = used(chance.randrange(100), nano_usd=chance.randrange(1_000))
                    detail = Detail("free", "gpt 4", cost_nano_usd=charge.nano_usd, charge_nano_usd=charge.nano_usd)
                    await rig.quotas.settle(receipt, replace(charge, detail=detail))
                case 2:
                    await rig.quotas.release(receipt.request_id, receipt.subject, receipt.key_id)
                case 3:
                    await rig.quotas.release(f"never-{number}", receipt.subject)
                case 4:
                    await rig.quotas.renew([receipt], 60_000)
                case _:
                    rig.clock.advance(seconds=chance.choice([1, 61, 3_700, 90_000]))
        if number % 25 == 0:
            await rig.quotas.sweep()
            await rig.tools.reset(subject, [(Metric.TOKENS, Window.DAY), (Metric.REQUESTS, Window.HOUR)])
            await merge_of(rig).raise_to(subject, *await rig.quotas.tallies("user:0"))
            await rig.balances.credit(subject, 10**9, f"c{number}")
            name = subject.removeprefix("user:")
            with suppress(Exception):
                await rig.users.create(UserRecord(name, tier="free"))


async def test_no_key_is_without_an_end_but_records(rig: Rig, key_prefix: str) -> None:
    await mixed_work(rig, rounds=250)
    kinds = set()
    async for name in rig.session.names_like("*"):
        tag, _, rest = name.removeprefix(key_prefix).partition(":")
        kind = rest.partition(":")[0] if tag.startswith("{") else tag
        ttl_ms = await rig.client.pttl(name)
        kinds.add(kind)
        assert ttl_ms == -1 if kind in WITHOUT_END else 0 < ttl_ms <= LONGEST_TTL_MS[kind], name
    assert kinds | {"et"} == {*LONGEST_TTL_MS, *WITHOUT_END}  # that is of many events: see test_requests.py


async def test_of_a_deleted_virtual_key_nothing_is_left_and_nothing_comes_back(rig: Rig, key_prefix: str) -> None:
    record = await rig.virtual_keys.create(key_of("alice", 1))
    grace_ms = rig.clock.now_ms + 60_000
    record = await rig.virtual_keys.update(record, replace(record, digest="e" * 64, former={record.digest: grace_ms}))
    receipts = [(await admitted(rig, f"r{number}", key=record.scope)).receipt for number in range(4)]
    await rig.virtual_keys.delete(record)
    await rig.quotas.settle(receipts[0], used(5))
    await rig.quotas.release("r1", "user:alice", record.key_id)
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 2
    assert await day(rig) == Tally(3, 25, 0, 0, 0, 0)
    names = [name async for name in rig.session.names_like("*")]
    assert not [name for name in names if record.key_id in name or "key:" in name or "alias" in name or ":o:" in name]
    assert await rig.virtual_keys.page(0, 10) == (0, [])


async def test_reservations_outlive_the_windows_that_hold_them(rig: Rig, key_prefix: str) -> None:
    await admitted(rig, "r1")
    keys = Keys(key_prefix)
    windows_ms = await rig.client.pttl(keys.windows("user:alice"))
    for name in (keys.in_flight("user:alice"), keys.leases("user:alice")):
        assert await rig.client.pttl(name) > windows_ms
    rig.clock.advance(hours=24 * 20)
    assert await rig.quotas.sweep() == 1


async def test_scripts_touch_no_key_but_those_in_keys(own_server: Server, key_prefix: str) -> None:
    keys = Keys(key_prefix)
    subject = "user:alice"
    rig = redis_rig(own_server.url, key_prefix)
    now_ms = rig.clock.now_ms
    await rig.close()
    declared = [
        keys.windows(subject),
        keys.in_flight(subject),
        keys.leases(subject),
        keys.record(subject),
        keys.shadow(subject),
        keys.user_names(subject),
        keys.key_record(subject, "k1"),
        keys.key_windows(subject, "k1"),
        keys.keys_of(subject),
        keys.key_list(),
        *(keys.secret(digit * 64) for digit in "1e"),
        *(keys.alias(f"{number}-of-alice") for number in range(1, 3)),
        *(name for days in range(-1, 3) for name in keys.books(subject, now_ms + days * DAY_MS)),
        keys.balance(subject),
        keys.credits(subject),
        keys.adjustments(subject),
        keys.merged(subject),
        keys.pseudonym_key(),
        keys.erased(subject, pseudonym(PSEUDONYM_KEY, subject)),
        keys.pseudonyms_windows(subject, pseudonym(PSEUDONYM_KEY, subject)),
        *(keys.tombstone(subject, f"r{number}") for number in range(9)),
    ]
    own_server.admin.set(keys.pseudonym_key(), PSEUDONYM_KEY.hex())
    name = key_prefix.strip(":")
    own_server.admin.execute_command("ACL", "SETUSER", name, "on", ">pass", "+@all", *(f"~{key}" for key in declared))
    rig = redis_rig(own_server.url.replace("//", f"//{name}:pass@"), key_prefix)
    shadow = Limits((Limit(Metric.REQUESTS, Window.MINUTE, 0, enforce=False),))
    await rig.balances.credit(subject, 10**9, "c1")
    key = await rig.virtual_keys.create(key_of("alice", 1))
    assert await rig.virtual_keys.set_spend(key, 0)
    key = await rig.virtual_keys.update(key, replace(key, digest="e" * 64, alias="2-of-alice"))
    changes = {"tier": "free", "key": key.scope, "is_billed": True, "prices": Prices(150_000, 600_000)}
    receipts = [(await admitted(rig, f"r{number}", shadow, **changes)).receipt for number in range(4)]
    await rig.quotas.settle(receipts[0], used(3))
    await rig.quotas.release("r1", subject, "k1")
    await rig.quotas.release("r7", subject)
    await rig.quotas.renew(receipts, 60_000)
    rig.clock.advance(hours=24)
    sweep = QuotaStore.__dict__["_sweep_one"]
    for receipt in receipts[2:]:
        assert await sweep(rig.quotas, f"{receipt.request_id} {subject}") == 1
    await rig.quotas.settle(receipts[2], used(3))
    await rig.quotas.release("r3", subject, "k1")
    await rig.virtual_keys.delete(key)
    await admitted(rig, "r8")
    await rig.users.create(UserRecord("alice"))
    assert await day(rig) == Tally(0, 0, 0, 1, 110, 0)
    await rig.tools.reset(subject, [(Metric.TOKENS, Window.MONTH)])
    await merge_of(rig).raise_to(subject, rig.clock.now_ms, {Window.DAY: Tally(5, 5, 5)})
    await rig.close()


def test_scripts_name_keys_only_by_their_place() -> None:
    scripts = sorted(Path(str(files("scalix"))).rglob("*.lua"))
    assert len(scripts) > 30
    for script in scripts:
        text = script.read_text("utf-8")
        calls = re.findall(r"redis\.p?call\(([^)]*)", text)
        assert calls or "redis" not in re.sub("--.*", "", text), script.name
        for call in calls:
            command, _, first = call.partition(",")
            # In shared files the keys are parameters of functions.
            names = r"#?KEYS|key|key_record|in_flight|leases|windows|erasure|pseudonyms|tombstone"
            assert command == "'TIME'" or re.match(rf" (({names})\b|unpack\(write)", first), call


async def test_scripts_that_the_server_has_lost_midway_make_no_difference(rig: Rig) -> None:
    for number in range(10):
        await rig.client.script_flush()
        calls = [rig.quotas.admit(ask(f"{number}-{other}", limits())) for other in range(20)]
        decisions = await asyncio.gather(*calls)
        await rig.client.script_flush()
        receipts = [decision.receipt for decision in decisions if isinstance(decision, Admitted)]
        assert len(receipts) == 20
        await asyncio.gather(*(rig.quotas.settle(receipt, used(1)) for receipt in receipts))
    assert await day(rig) == Tally(200, 200, 0, 0, 0, 0)


async def test_whole_numbers_up_to_two_to_the_53_are_exact(rig: Rig) -> None:
    decision = await admitted(rig, "r1")
    great = Charge(Outcome.SUCCESS, 1, EXACT - 1_000, EXACT - 2_000)
    await rig.quotas.settle(decision.receipt, great)
    given = Limits((Limit(Metric.TOKENS, Window.DAY, EXACT - 877), Limit(Metric.SPEND, Window.MONTH, EXACT - 1_999)))
    second = await admitted(rig, "r2", given, output_cap_tokens=500)
    assert second.receipt.output_cap_tokens == 1_000 - 877 - 10
    assert await day(rig) == Tally(1, EXACT - 1_000, EXACT - 2_000, 1, 1_000 - 877, 0)
    await rig.quotas.settle(second.receipt, used(1))
    assert await day(rig) == Tally(2, EXACT - 999, EXACT - 2_000, 0, 0, 0)


@pytest.mark.parametrize(
    ("input_pico", "output_pico", "prompt", "output"),
    [
        (999, 1, 1, 1),
        (1_001, 999, 999_999, 7),
        (9_007_199_254_740, 75_001, 1_000, 3),
        (10**11 + 1, 10**11 + 1, 50_000, 1),
    ],
)
async def test_the_price_of_a_reservation_is_exact_however_dear(
    rig: Rig, input_pico: int, output_pico: int, prompt: int, output: int
) -> None:
    prices = Prices(input_pico, output_pico, 3)
    await admitted(rig, "r1", prices=prices, prompt_tokens=prompt, output_cap_tokens=output, min_output_tokens=1)
    assert (await day(rig)).nano_usd_held == prices.cost_nano_usd(prompt, output)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_shard_is_the_hash_tag_whatever_the_subject_is_called(name: str) -> None:
    keys = Keys("scalix:")
    for key in (keys.windows(name), keys.tombstone("user:a", name), keys.events(name, 0), keys.record(name)):
        assert re.match(r"scalix:\{s[0-9a-f]{2}\}:", key)
    assert key_slot(keys.windows(name).encode()) == key_slot(keys.leases(name).encode())


@pytest.mark.parametrize("prefix", ["{x}", "a{", "b}"])
def test_a_prefix_with_braces_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Keys(prefix)


async def test_subjects_with_odd_names_are_told_apart_and_swept(rig: Rig) -> None:
    subjects = [f"user:{name}" for name in ODD_NAMES]
    for subject in subjects:
        await admitted(rig, "r1", limits(requests={"hour": 1}), subject=subject)
    assert {await day(rig, subject) for subject in subjects} == {Tally(0, 0, 0, 1, 110, 0)}
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == len(subjects)
    assert {await day(rig, subject) for subject in subjects} == {Tally(1, 10, 0, 0, 0, 0)}


async def test_users_with_odd_names_keep_their_records(rig: Rig) -> None:
    for name in ODD_NAMES:
        await rig.users.create(UserRecord(name, metadata={"name": name}))
    for name in ODD_NAMES:
        assert (await rig.users.get(name)).metadata == {"name": name}


async def test_a_server_out_of_memory_does_nothing_rather_than_half(own_server: Server, key_prefix: str) -> None:
    rig = redis_rig(own_server.url, key_prefix)
    await rig.balances.credit("user:alice", 10**9, "c1")
    billed: dict[str, Any] = {"is_billed": True, "prices": Prices(1_000_000, 1_000_000)}
    receipts = [(await admitted(rig, f"r{number}", **billed)).receipt for number in range(3)]
    before, balance = await day(rig), await rig.balances.balance("user:alice")
    charge = replace(used(5, nano_usd=50), detail=Detail("free", "gpt-4", cost_nano_usd=50, charge_nano_usd=50))
    own_server.admin.config_set("maxmemory", 1)
    try:
        for attempt in (
            rig.quotas.settle(receipts[0], charge),
            rig.quotas.release("r1", "user:alice"),
            rig.quotas.admit(ask("r4", limits(), **billed)),
            rig.balances.credit("user:alice", 10**9, "c2"),
        ):
            with pytest.raises(StoreUnavailable):
                await attempt
        rig.clock.advance(seconds=61)
        with pytest.raises(StoreUnavailable):
            await rig.quotas.sweep()
    finally:
        own_server.admin.config_set("maxmemory", 0)
    assert await day(rig) == before
    assert await rig.balances.balance("user:alice") == balance
    rig.clock.advance(seconds=-61)
    today = rig.clock.now_ms // DAY_MS
    assert await rig.ledger.events("user:alice", today) == []
    assert await rig.ledger.by_day(today, today) == []
    assert await rig.quotas.sweep() == 0
    rig.clock.advance(seconds=61)
    assert (await rig.quotas.settle(receipts[0], charge)).status == "settled"
    assert await rig.quotas.release("r1", "user:alice")
    assert await rig.quotas.sweep() == 1
    assert await day(rig) == Tally(2, 15, 10_050, 0, 0, 0)
    assert await rig.balances.balance("user:alice") == Balance(10**9 - 10_050)
    assert {one.sums.nano_usd for one in await rig.ledger.by_day(today, today)} == {50, 10_000}
    assert sorted(one.outcome for one in await rig.ledger.events("user:alice", today)) == ["success", "swept"]
    await rig.close()


async def test_one_entry_that_is_damaged_keeps_no_other_from_its_sweep(rig: Rig, key_prefix: str) -> None:
    keys = Keys(key_prefix)
    for number in range(20):
        await admitted(rig, "r1", subject=f"user:{number}")
    await rig.client.hset(keys.in_flight("user:3"), "r1", "1 nonsense")
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 19


async def test_each_shard_has_its_turn_to_be_swept_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        await admitted(rig, "r1", subject=f"user:{number}")
    rig.clock.advance(seconds=61)
    begun_with: list[str] = []

    async def fails(store: QuotaStore, member: str) -> int:
        begun_with.append(member)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(QuotaStore, "_sweep_one", fails)
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            await rig.quotas.sweep()
    assert len(set(begun_with)) == 40


async def test_what_a_sweep_has_charged_is_given_back_by_a_release(rig: Rig) -> None:
    await admitted(rig, "r1", limits(requests={"minute": 5}))
    rig.clock.advance(hours=24)
    assert await rig.quotas.sweep() == 1
    assert await rig.quotas.release("r1", "user:alice")
    assert not await rig.quotas.release("r1", "user:alice")
    rig.clock.advance(hours=-24)
    assert await day(rig) == Tally()


async def test_a_user_who_is_deleted_midway_leaves_nothing_that_is_taken_from_others(rig: Rig) -> None:
    await rig.users.create(UserRecord("alice"))
    old = await admitted(rig, "r1")
    await rig.users.delete("alice")
    await admitted(rig, "r2")
    await rig.quotas.settle(old.receipt, used(7))
    assert await day(rig) == Tally(1, 7, 0, 1, 110, 0)


async def test_leases_of_the_servers_own_clock_are_renewed_by_it(store_url: str, key_prefix: str) -> None:
    client = connect(store_url)
    store, users = (
        QuotaStore(StoreSession(client, Keys(key_prefix))),
        UserStore(StoreSession(client, Keys(key_prefix))),
    )
    assert not (await users.get("alice")).exists
    decision = await store.admit(ask("r1", limits(), lease_ms=0))
    assert isinstance(decision, Admitted)
    await store.renew([decision.receipt], 60_000)
    assert await store.sweep() == 0
    await store.renew([decision.receipt], 0)
    assert await store.sweep() == 1
    await client.aclose()


async def test_holdings_beyond_exact_numbers_stay_numbers(store_url: str, key_prefix: str) -> None:
    rig = redis_rig(store_url, key_prefix)
    dearest = Prices(output_pico_usd_per_token=75_000_000)
    for number in range(8):
        asked = ask(f"r{number}", limits(), output_cap_tokens=2**31 - 1, choices=2_048 * 128, prices=dearest)
        assert isinstance(await rig.quotas.admit(asked), Admitted)
    held = (await rig.quotas.tallies(SUBJECT))[1][Window.DAY]
    assert held.requests_held == 8
    assert held.nano_usd_held == 2**53 - 1
    await rig.close()
