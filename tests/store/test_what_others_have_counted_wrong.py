"""What other gateways' users have reported of their sums: see the list in docs/ledger.md."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scalix.domain.limits.calendar import DAY_MS
from scalix.service.queries import date_of
from tests.store.test_today import Rig
from tests.store.today_truth import agrees


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    rig = Rig(store_url, key_prefix)
    yield rig
    await rig.close()


async def test_of_hundreds_that_end_at_once_each_with_a_sum_of_its_own_none_is_missing(rig: Rig) -> None:
    await asyncio.gather(
        *(rig.served(n, f"user:u{n % 60}", "free", model=f"m{n}", served=f"m{n}", cost_nano_usd=n) for n in range(240))
    )
    rows = (await rig.reporting.report("model", {})).rows
    assert {(row["model"], row["provider_cost_usd"]) for row in rows} == {(f"m{n}", n / 10**9) for n in range(240)}
    assert (await rig.verify()).differences == []


async def test_days_asked_for_one_by_one_add_up_to_their_span(rig: Rig) -> None:
    midnight_ms = (rig.clock.now_ms // DAY_MS + 1) * DAY_MS
    for number, at_ms in enumerate((midnight_ms - 1, midnight_ms, midnight_ms + DAY_MS - 1, midnight_ms + DAY_MS)):
        rig.clock.now_ms = at_ms
        await rig.served(number, "user:ann", "free", cost_nano_usd=10**number)
    dates = [date_of(midnight_ms // DAY_MS + days) for days in (-1, 0, 1)]
    costs = []
    for date in dates:
        (row,) = (await rig.reporting.report("day", {"from": date, "to": date})).rows
        costs.append(row["provider_cost_usd"])
    assert costs == [1 / 10**9, 110 / 10**9, 1_000 / 10**9]
    rows = (await rig.reporting.report("day", {"from": dates[0], "to": dates[-1]})).rows
    assert [row["provider_cost_usd"] for row in rows] in (costs, costs[::-1])


async def test_what_two_tell_at_once_and_again_on_the_next_day_is_counted_once(rig: Rig) -> None:
    receipt = await rig.admit("r", "user:ann", tier="free")
    charge = rig.charge_of("free")
    told = await asyncio.gather(*(rig.quotas.settle(receipt, charge) for _ in range(8)))
    assert sorted(one.status for one in told) == ["duplicate"] * 7 + ["settled"]
    rig.clock.advance(hours=24)
    assert (await rig.quotas.settle(receipt, charge)).status == "duplicate"
    agrees(await rig.today(), await rig.truth(), rig.clock.now_ms // DAY_MS)
