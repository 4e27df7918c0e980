"""What has ended is taken out, and is not brought back by whoever comes late."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Receipt
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.pseudonyms import Pseudonyms
from scalix.store.records.redis_cooldowns import CooldownStore
from tests.store.stores import SUBJECT, Rig, ask, key_of, limits, redis_rig, used

DAY_MS = 86_400_000
KEPT = 3  # windows of a kind that stay, whatever the clock says: lua/ended.lua


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    made = redis_rig(store_url, key_prefix)
    yield made
    await made.close()


async def admitted(rig: Rig, request_id: str, given: Limits | None = None, **changes: Any) -> Receipt:
    decision = await rig.quotas.admit(ask(request_id, given or limits(), **changes))
    assert isinstance(decision, Admitted), decision
    return decision.receipt


async def test_of_windows_that_have_ended_a_few_of_each_kind_stay(rig: Rig, key_prefix: str) -> None:
    keys = Keys(key_prefix)
    budget = {"max_budget_nano_usd": 10**9, "budget_period_ms": DAY_MS, "budget_anchor_ms": rig.clock.now_ms}
    key = (await rig.virtual_keys.create(key_of("alice", 1, rpm_limit=5, **budget))).scope
    minutes = limits(requests={"minute": 5})
    for number in range(3 * KEPT):
        await admitted(rig, f"r{number}", minutes, key=key)
        rig.clock.advance(hours=31 * 24)
    for name, kinds in ((keys.windows(SUBJECT), "mhdM"), (keys.key_windows(SUBJECT, "k1"), "mb")):
        kept = Counter(field[0] for field in await rig.client.hkeys(name))
        assert {kind: kept[kind] for kind in kinds} == dict.fromkeys(kinds, KEPT)


async def test_counts_of_the_shadow_end_after_their_time(rig: Rig, key_prefix: str) -> None:
    shadow = Limits((Limit(Metric.REQUESTS, Window.MINUTE, 0, enforce=False),))
    for number in range(2):
        await admitted(rig, f"r{number}", shadow, tier="free")
        rig.clock.advance(hours=36 * 24)
    today = (rig.clock.now_ms - 36 * DAY_MS) // DAY_MS
    fields = await rig.client.hkeys(Keys(key_prefix).shadow(SUBJECT))
    assert {field.partition(" ")[0] for field in fields} == {str(today)}


async def test_a_lease_that_is_renewed_while_a_sweep_goes_through_its_list_is_not_swept(rig: Rig) -> None:
    receipt = await admitted(rig, "r1")
    sweep_one = QuotaStore.__dict__["_sweep_one"]
    rig.clock.advance(seconds=61)
    await rig.quotas.renew([receipt], 60_000)
    assert await sweep_one(rig.quotas, f"r1 {SUBJECT}") == 0
    assert (await rig.quotas.settle(receipt, used(5))).status == "settled"


async def test_the_lease_of_a_request_that_has_ended_is_not_renewed(rig: Rig, key_prefix: str) -> None:
    receipt = await admitted(rig, "r1")
    await rig.quotas.settle(receipt, used(5))
    await rig.quotas.renew([receipt], 60_000)
    assert await rig.client.zrange(Keys(key_prefix).leases(SUBJECT), 0, -1) == []


async def test_failures_of_long_ago_make_no_row_with_those_of_now(rig: Rig, key_prefix: str) -> None:
    keys = Keys(key_prefix)
    store = CooldownStore(StoreSession(rig.client, keys, timeout_ms=5_000))
    assert not await store.count_failure("m", "user:a", within_ms=30_000, failures=3)
    # Given two more that are older than what counts
    known = await rig.client.hget(keys.failures(), "m")
    at_ms, whose = known.split(" ")
    old = f"{int(at_ms) - 31_000} {whose} {int(at_ms) - 30_500} {whose}"
    await rig.client.hset(keys.failures(), "m", f"{old} {known}")
    # Then another subject's failure is the second that counts, and the next one the third
    assert not await store.count_failure("m", "user:b", within_ms=30_000, failures=3)
    assert await store.count_failure("m", "user:b", within_ms=30_000, failures=3)


async def test_what_an_erased_user_used_with_a_key_is_settled_without_its_name(rig: Rig, key_prefix: str) -> None:
    keys = Keys(key_prefix)
    erasure = ErasureStore(rig.session, Pseudonyms(rig.session))
    key = await rig.virtual_keys.create(key_of("alice", 1))
    receipt = await admitted(rig, "r1", key=key.scope)
    await erasure.erase("alice")
    await rig.quotas.settle(receipt, replace(used(40), detail=Detail(model="m", served="m")))
    event = await rig.client.get(keys.tombstone(SUBJECT, "r1"))
    assert "40" in event.split(" ")
    assert "k1" not in event.split(" ")
