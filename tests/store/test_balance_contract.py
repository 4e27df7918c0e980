"""What every store promises of prepaid balances: credited once, reserved before the call, charged what it cost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Balance, Detail
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Prices, Refused, Settled, Verdict
from tests.store.stores import SUBJECT, Rig, ask, limits, memory_rig, redis_rig

DOLLAR = 10**9
# 10 prompt tokens and up to 100 of output: 0.1 and up to 3 dollars.
PRICES = Prices(10_000_000_000, 30_000_000_000)
PROMPT, WHOLE = DOLLAR // 10, 31 * DOLLAR // 10


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def admit(rig: Rig, request_id: str, **changes: Any) -> Admitted:
    asked = ask(request_id, limits(), **{"prices": PRICES, "is_billed": True, **changes})
    decision = await rig.quotas.admit(asked)
    assert isinstance(decision, Admitted), decision
    return decision


async def refused(rig: Rig, request_id: str, **changes: Any) -> Refused:
    asked = ask(request_id, limits(), **{"prices": PRICES, "is_billed": True, **changes})
    decision = await rig.quotas.admit(asked)
    assert isinstance(decision, Refused), decision
    return decision


async def settle(rig: Rig, admitted: Admitted, charge_nano_usd: int) -> Settled:
    detail = Detail(cost_nano_usd=charge_nano_usd, charge_nano_usd=charge_nano_usd)
    return await rig.quotas.settle(admitted.receipt, Charge(Outcome.SUCCESS, 1, 5, charge_nano_usd, detail=detail))


async def credit(rig: Rig, dollars: float, credit_id: str = "c1") -> None:
    added, _ = await rig.balances.credit(SUBJECT, int(dollars * DOLLAR), credit_id)
    assert added


async def balance(rig: Rig) -> Balance | None:
    return await rig.balances.balance(SUBJECT)


async def test_a_credit_is_added_once_however_often_it_is_told(rig: Rig) -> None:
    assert await balance(rig) is None
    told = await asyncio.gather(*(rig.balances.credit(SUBJECT, 5 * DOLLAR, "c1") for _ in range(10)))
    assert sorted(added for added, _ in told) == [False] * 9 + [True]
    assert await rig.balances.credit(SUBJECT, -2 * DOLLAR, "c2") == (True, Balance(3 * DOLLAR))
    assert await rig.balances.credit(SUBJECT, 5 * DOLLAR, "c1") == (False, Balance(3 * DOLLAR))
    assert await balance(rig) == Balance(3 * DOLLAR)
    assert await rig.balances.balance("user:bob") is None


async def test_a_request_holds_its_dearest_price_and_is_charged_what_it_cost(rig: Rig) -> None:
    await credit(rig, 10)
    admitted = await admit(rig, "r1")
    assert admitted.balance == await balance(rig) == Balance(10 * DOLLAR, WHOLE)
    assert (await settle(rig, admitted, DOLLAR)).balance == Balance(9 * DOLLAR)
    assert (await settle(rig, admitted, DOLLAR)).status == "duplicate"
    assert await balance(rig) == Balance(9 * DOLLAR)


async def test_an_answer_is_no_longer_than_the_balance_pays_for(rig: Rig) -> None:
    await credit(rig, 1)
    admitted = await admit(rig, "r1")
    assert admitted.receipt.output_cap_tokens == 30
    assert await balance(rig) == Balance(DOLLAR, DOLLAR)


async def test_what_is_used_up_is_told_apart_from_what_is_held(rig: Rig) -> None:
    await credit(rig, 1)
    admitted = await admit(rig, "r1")
    held = await refused(rig, "r2")
    assert (held.balance, held.balance_now) == (Verdict.RESERVED, Balance(DOLLAR, DOLLAR))
    await settle(rig, admitted, DOLLAR)
    empty = await refused(rig, "r2")
    assert (empty.balance, empty.balance_now) == (Verdict.EXHAUSTED, Balance(0))
    await credit(rig, 20, "c2")
    assert (await admit(rig, "r2")).receipt.output_cap_tokens == 100


async def test_a_refused_request_holds_nothing(rig: Rig) -> None:
    await credit(rig, 0.2)
    before = await rig.quotas.tallies(SUBJECT)
    await refused(rig, "r1")
    assert await balance(rig) == Balance(DOLLAR // 5)
    assert (await rig.quotas.tallies(SUBJECT))[1] == before[1]


async def test_of_many_requests_at_once_the_balance_admits_what_it_can_pay(rig: Rig) -> None:
    await credit(rig, 10)
    asks = (ask(f"r{number}", limits(), prices=PRICES, is_billed=True, min_output_tokens=100) for number in range(30))
    decisions = await asyncio.gather(*map(rig.quotas.admit, asks))
    assert sum(isinstance(decision, Admitted) for decision in decisions) == 3
    assert await balance(rig) == Balance(10 * DOLLAR, 3 * WHOLE)


async def test_what_costs_more_than_was_held_is_owed(rig: Rig) -> None:
    await credit(rig, 1)
    admitted = await admit(rig, "r1")
    assert (await settle(rig, admitted, 3 * DOLLAR)).balance == Balance(-2 * DOLLAR)
    assert (await refused(rig, "r2", prices=Prices())).balance is Verdict.EXHAUSTED


async def test_who_never_paid_in_is_let_through_unless_the_tier_is_prepaid(rig: Rig) -> None:
    admitted = await admit(rig, "r1")
    assert admitted.balance is None
    assert (await settle(rig, admitted, DOLLAR)).balance is None
    assert await balance(rig) is None
    no_balance = await refused(rig, "r2", prepaid=True)
    assert (no_balance.balance, no_balance.balance_now) == (Verdict.EXHAUSTED, None)


async def test_what_is_not_billed_leaves_the_balance_alone(rig: Rig) -> None:
    await credit(rig, 0.01)
    admitted = await admit(rig, "r1", is_billed=False)
    assert (await settle(rig, admitted, 0)).balance is None
    assert await balance(rig) == Balance(DOLLAR // 100)


async def test_a_released_request_gives_its_hold_back(rig: Rig) -> None:
    await credit(rig, 10)
    await admit(rig, "r1")
    assert await rig.quotas.release("r1", SUBJECT)
    assert await balance(rig) == Balance(10 * DOLLAR)


async def test_a_sweep_charges_the_prompt_and_what_comes_later_takes_its_place(rig: Rig) -> None:
    await credit(rig, 10)
    first, _, _ = [await admit(rig, f"r{number}") for number in range(3)]
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 3
    assert await balance(rig) == Balance(10 * DOLLAR - 3 * PROMPT)
    assert (await settle(rig, first, DOLLAR)).status == "replaced"
    assert await balance(rig) == Balance(9 * DOLLAR - 2 * PROMPT)
    assert await rig.quotas.release("r1", SUBJECT)
    assert await balance(rig) == Balance(9 * DOLLAR - PROMPT)


async def test_a_balance_made_after_a_sweep_gets_nothing_that_was_never_taken(rig: Rig) -> None:
    first = await admit(rig, "r1")
    await admit(rig, "r2")
    rig.clock.advance(seconds=61)
    await rig.quotas.sweep()
    await credit(rig, 10)
    await settle(rig, first, DOLLAR)
    await rig.quotas.release("r2", SUBJECT)
    assert await balance(rig) == Balance(9 * DOLLAR)


async def test_a_balance_made_while_a_request_runs_pays_for_it_and_holds_nothing(rig: Rig) -> None:
    admitted = await admit(rig, "r1")
    await credit(rig, 10)
    assert (await settle(rig, admitted, DOLLAR)).balance == Balance(9 * DOLLAR)


async def test_limits_and_balance_hold_together(rig: Rig) -> None:
    await credit(rig, 1)
    given = limits(tokens={"day": 30})
    decision = await rig.quotas.admit(ask("r1", given, prices=PRICES, is_billed=True))
    assert isinstance(decision, Admitted)
    assert decision.receipt.output_cap_tokens == 20
    both = await rig.quotas.admit(ask("r2", given, prices=PRICES, is_billed=True))
    assert isinstance(both, Refused)
    assert (both.verdicts, both.balance) == ((Verdict.RESERVED,), Verdict.RESERVED)


async def test_admitting_the_same_request_again_holds_once(rig: Rig) -> None:
    await credit(rig, 10)
    first = await admit(rig, "r1")
    again = await admit(rig, "r1")
    assert (again.receipt, again.balance) == (first.receipt, Balance(10 * DOLLAR, WHOLE))


async def test_a_settlement_without_a_reservation_is_taken_from_the_balance(rig: Rig) -> None:
    await credit(rig, 10)
    admitted = await admit(rig, "r1")
    stray = replace(admitted, receipt=replace(admitted.receipt, request_id="r2"))
    await settle(rig, stray, 2 * DOLLAR)
    assert await balance(rig) == Balance(8 * DOLLAR, WHOLE)


async def test_great_and_negative_sums_stay_exact(rig: Rig) -> None:
    great = 2**53 - 1
    await rig.balances.credit(SUBJECT, great, "c1")
    await rig.balances.credit(SUBJECT, -1, "c2")
    assert await balance(rig) == Balance(great - 1)
    admitted = await admit(rig, "r1")
    await settle(rig, admitted, 1)
    assert await balance(rig) == Balance(great - 2)
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.DAY].nano_usd_used == 1


async def test_a_user_who_is_deleted_with_a_request_in_flight_has_nothing_held(rig: Rig) -> None:
    await credit(rig, 10)
    admitted = await admit(rig, "r1")
    await rig.users.delete("alice")
    assert await balance(rig) == Balance(10 * DOLLAR)
    await settle(rig, admitted, DOLLAR)
    assert await balance(rig) == Balance(9 * DOLLAR)


async def test_a_request_whose_worker_died_is_not_charged_the_price_of_a_fallback(rig: Rig) -> None:
    await credit(rig, 10)
    await admit(rig, "r1", prompt_cost_nano_usd=5, prompt_charge_nano_usd=6)
    rig.clock.advance(seconds=61)
    assert await rig.quotas.sweep() == 1
    assert await balance(rig) == Balance(10 * DOLLAR - 6)
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.DAY].nano_usd_used == 6
