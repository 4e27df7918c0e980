"""What comes for a user who was erased: it is counted once, in sums that name nobody, and brings nobody back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.limits import Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Prices, Receipt, Refused, Tally
from scalix.store.connection.session import StoreSession
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.records.pseudonyms import Pseudonyms
from tests.store.memory.memory import MemoryStore
from tests.store.stores import NOON_MS, SUBJECT, Rig, ask, limits, memory_rig, redis_rig

DAY = NOON_MS // 86_400_000
DETAIL = Detail("pro", "gpt-4", "gpt-4", "openai", 10, 20, cost_nano_usd=500, charge_nano_usd=600)
CHARGE = Charge(Outcome.SUCCESS, 1, 30, 600, detail=DETAIL)


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def admit(rig: Rig, request_id: str, given: Limits | None = None, **changes: Any) -> Receipt:
    asked = {"tier": "pro", "model": "gpt-4", "is_billed": True, "prices": Prices(1_000_000, 2_000_000), **changes}
    decision = await rig.quotas.admit(ask(request_id, given or limits(), **asked))
    assert isinstance(decision, Admitted), decision
    return decision.receipt


async def erase(rig: Rig) -> None:
    """Alice goes; a moment later is later."""
    if isinstance(rig.quotas, MemoryStore):
        rig.quotas.erase(SUBJECT)
    else:
        assert rig.keys
        pseudonyms = Pseudonyms(rig.session)
        await ErasureStore(rig.session, pseudonyms).erase("alice")
    rig.clock.advance(seconds=1)


async def used(rig: Rig, window: Window = Window.MONTH) -> Tally:
    return (await rig.quotas.tallies(SUBJECT))[1].get(window, Tally())


async def everybodys(rig: Rig) -> dict[str, int]:
    """How many events there are by outcome, in the sums that name nobody."""
    found = await rig.ledger.by_day(DAY, DAY + 40)
    by_hour = await rig.ledger.by_hour(DAY * 24, (DAY + 40) * 24)
    counts: dict[str, int] = {}
    for one in found:
        counts[one.outcome] = counts.get(one.outcome, 0) + one.sums.events
    assert sum(counts.values()) == sum(one.sums.events for one in by_hour)
    return counts


async def named(rig: Rig) -> list[Any]:
    """All that names alice."""
    books: list[Any] = [event for day in range(DAY, DAY + 40) for event in await rig.ledger.events(SUBJECT, day)]
    books += await rig.ledger.summaries(SUBJECT, DAY, DAY + 40)
    books += [name for name, _ in await rig.ledger.top(DAY, DAY + 40, "tokens", 9) if name == SUBJECT]
    if rig.client is not None:
        async for name in rig.session.names_like("*"):
            if SUBJECT in name:
                books.append(name)
    return books


async def test_a_settlement_that_comes_late_names_nobody_and_counts_once(rig: Rig) -> None:
    receipt = await admit(rig, "r1")
    await erase(rig)
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "settled"
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "duplicate"
    assert await everybodys(rig) == {"success": 1}
    assert await named(rig) == []
    assert await used(rig) == Tally(1, 30, 600)
    assert await rig.balances.balance(SUBJECT) is None


async def test_what_was_settled_before_is_not_settled_again_by_a_journal(rig: Rig) -> None:
    receipt = await admit(rig, "r1")
    await rig.quotas.settle(receipt, CHARGE)
    await erase(rig)
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "duplicate"
    assert await everybodys(rig) == {"success": 1}
    assert await used(rig) == Tally(1, 30, 600)
    assert await named(rig) == []


async def test_a_settlement_after_the_months_end_leaves_no_windows(rig: Rig) -> None:
    receipt = await admit(rig, "r1")
    await erase(rig)
    rig.clock.advance(hours=24 * 5)
    if rig.client is not None:
        assert rig.keys
        pseudonym = await Pseudonyms(rig.session).of(SUBJECT)
        await rig.client.delete(rig.keys.pseudonyms_windows(SUBJECT, pseudonym))
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "settled"
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "duplicate"
    assert await everybodys(rig) == {"success": 1}
    assert (await rig.quotas.tallies(SUBJECT))[1] == {}
    assert await named(rig) == []


async def test_who_comes_back_finds_what_they_had_used(rig: Rig) -> None:
    given = limits(requests={"month": 2})
    await rig.quotas.settle(await admit(rig, "r1", given), CHARGE)
    await erase(rig)
    receipt = await admit(rig, "r2", given)
    assert isinstance(await rig.quotas.admit(ask("r3", given)), Refused)
    settled = await rig.quotas.settle(receipt, CHARGE)
    assert settled.tallies[Window.MONTH] == Tally(2, 60, 1_200)
    assert [event.request_id for event in await rig.ledger.events(SUBJECT, DAY)] == ["r2"]
    assert await everybodys(rig) == {"success": 2}


async def test_who_comes_back_in_a_later_month_begins_anew(rig: Rig) -> None:
    given = limits(requests={"month": 1})
    await rig.quotas.settle(await admit(rig, "r1", given), CHARGE)
    await erase(rig)
    rig.clock.advance(hours=24 * 5)
    await admit(rig, "r2", given)
    assert isinstance(await rig.quotas.admit(ask("r3", given)), Refused)


async def test_the_windows_end_with_the_month_however_often_they_are_used(rig: Rig) -> None:
    await rig.quotas.settle(await admit(rig, "r1"), CHARGE)
    await erase(rig)
    rig.clock.advance(hours=24)
    receipt = await admit(rig, "r2")
    await rig.quotas.settle(receipt, CHARGE)
    if rig.client is not None:
        assert rig.keys
        pseudonym = await Pseudonyms(rig.session).of(SUBJECT)
        left_ms = await rig.client.pttl(rig.keys.pseudonyms_windows(SUBJECT, pseudonym))
        assert 0 < left_ms <= 2.5 * 86_400_000
        assert not await rig.client.exists(rig.keys.windows(SUBJECT))
    assert await used(rig) == Tally(2, 60, 1_200)


async def test_a_sweep_from_before_is_replaced_by_its_settlement(rig: Rig) -> None:
    receipt = await admit(rig, "r1")
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 1
    await erase(rig)
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "replaced"
    assert await everybodys(rig) == {"success": 1}
    assert await used(rig) == Tally(1, 30, 600)
    assert await named(rig) == []


async def test_a_sweep_from_before_is_given_back_by_a_release(rig: Rig) -> None:
    await admit(rig, "r1")
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 1
    await erase(rig)
    assert await rig.quotas.release("r1", SUBJECT)
    assert not await rig.quotas.release("r1", SUBJECT)
    assert await everybodys(rig) == {}
    assert await used(rig) == Tally()
    assert await named(rig) == []


async def test_a_reset_gives_back_what_was_used_before_the_erasure(rig: Rig) -> None:
    await rig.quotas.settle(await admit(rig, "r1"), CHARGE)
    await erase(rig)
    _, before = await rig.tools.reset(SUBJECT, [(Metric.TOKENS, Window.MONTH)])
    assert before[Window.MONTH] == Tally(1, 30, 600)
    assert await used(rig) == Tally(1, 0, 600)
    assert await named(rig) == []


async def test_a_reservation_that_is_still_there_is_swept_without_a_name(store_url: str, key_prefix: str) -> None:
    rig = redis_rig(store_url, key_prefix)
    assert rig.keys
    receipt = await admit(rig, "r1")
    kept = await rig.client.hgetall(rig.keys.in_flight(SUBJECT))
    await erase(rig)
    await rig.client.hset(rig.keys.in_flight(SUBJECT), mapping=kept)
    await rig.client.zadd(rig.keys.leases(SUBJECT), {f"r1 {SUBJECT}": 1})
    assert await rig.quotas.sweep() == 1
    assert await named(rig) == []
    assert await everybodys(rig) == {"swept": 1}
    assert (await rig.quotas.settle(receipt, CHARGE)).status == "replaced"
    assert await everybodys(rig) == {"success": 1}
    assert await used(rig) == Tally(1, 30, 600)
    await rig.close()


async def test_processes_agree_on_the_pseudonym_and_another_store_has_another(store_url: str, key_prefix: str) -> None:
    rig, other = redis_rig(store_url, key_prefix), redis_rig(store_url, f"{key_prefix}other:")
    assert rig.keys
    assert other.keys
    mine, theirs = Pseudonyms(rig.session), Pseudonyms(StoreSession(other.client, rig.keys))
    name = await mine.of(SUBJECT)
    assert name == await theirs.of(SUBJECT)
    assert len(name) == 33
    assert name.startswith("~")
    assert name != await Pseudonyms(StoreSession(rig.client, other.keys)).of(SUBJECT)
    await rig.client.delete(rig.keys.pseudonym_key())
    await asyncio.gather(mine.agree(), theirs.agree())
    assert await mine.of(SUBJECT) == await theirs.of(SUBJECT) == name
    await rig.client.set(rig.keys.pseudonym_key(), "ab" * 32)
    await mine.agree()
    assert await mine.of(SUBJECT) != name
    await rig.close()
    await other.close()


def test_a_users_pseudonym_is_kept_apart_from_every_subject() -> None:
    receipt = Receipt("r1", SUBJECT, NOON_MS, 1, 1, False)
    assert not replace(receipt, subject="user:~a").subject.startswith("~")
