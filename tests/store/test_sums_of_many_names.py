"""Of models whose names are beyond a day's most, events keep the name and sums say `other`; the books agree on that."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.quota import Charge, Outcome, Receipt
from tests.store.ledger_rig import TODAY, LedgerRig

ALICE = "user:alice"


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


def charge(model: str, *, served: str | None = None, among_others: bool) -> Charge:
    served = model if served is None else served
    detail = Detail(tier="free", model=model, served=served, provider="openai", among_others=among_others)
    return Charge(Outcome.SUCCESS, 1, 10, 5, detail=replace(detail, prompt_tokens=7, completion_tokens=3))


async def settle(rig: LedgerRig, request_id: str, told: Charge) -> Receipt:
    detail = told.detail
    receipt = await rig.admit(request_id, ALICE, model=detail.model, among_others=detail.among_others)
    await rig.quotas.settle(receipt, told)
    return receipt


async def models_of(rig: LedgerRig, key: str, day: int = TODAY) -> dict[str, int]:
    """How many events the sums of a hash have for each model."""
    texts = await rig.client.hgetall(key)
    found: dict[str, int] = {}
    for field, text in texts.items():
        index, model = field.split(" ")[:2]
        if int(index) in (day, *range(day * 24, day * 24 + 24)):
            found[model] = found.get(model, 0) + int(text.split(" ")[0])
    return found


async def test_sums_say_other_and_events_keep_the_name_and_the_check_finds_nothing(rig: LedgerRig) -> None:
    # Given two workers of which one takes a name for its own and the other does not
    for number, among_others in enumerate((False, True, True)):
        await settle(rig, f"r-{number}", charge("lm/a b,=c", among_others=among_others))
    await settle(rig, "r-fallback", charge("lm/x", served="gpt-4", among_others=True))
    await settle(rig, "r-unserved", charge("lm/y", served="", among_others=True))
    names = rig.names(ALICE)
    for key in (names.summaries, names.hours, names.days):
        assert await models_of(rig, key) == {"lm/a%20b%2C%3Dc": 1, "other": 3, "gpt-4": 1}
    texts = await rig.client.hgetall(names.events)
    assert {text.split(" ")[8].removeprefix("=") for text in texts.values()} == {"lm/a%20b%2C%3Dc", "lm/x", "lm/y"}
    assert not (await rig.verify()).differences


async def test_what_was_spoiled_under_other_is_mended_from_the_events(rig: LedgerRig) -> None:
    await settle(rig, "r-1", charge("lm/a", among_others=True))
    await settle(rig, "r-2", charge("lm/b", among_others=True))
    names = rig.names(ALICE)
    await rig.client.delete(names.hours, names.summaries)
    assert (await rig.verify()).differences
    await rig.repair()
    assert await models_of(rig, names.hours) == await models_of(rig, names.summaries) == {"other": 2}
    assert not (await rig.verify()).differences


async def test_each_day_is_as_its_own_events_say(rig: LedgerRig) -> None:
    await settle(rig, "r-1", charge("lm/a", among_others=True))
    rig.clock.advance(hours=24)
    await settle(rig, "r-2", charge("lm/a", among_others=False))
    first, second = rig.names(ALICE), rig.names(ALICE, TODAY + 1)
    assert await models_of(rig, first.hours) == {"other": 1}
    assert await models_of(rig, second.hours, TODAY + 1) == {"lm/a": 1}
    for day in (TODAY, TODAY + 1):
        assert not (await rig.verify(day=day)).differences


async def test_a_sweep_and_the_settlement_that_comes_after_it_count_under_the_same_name(rig: LedgerRig) -> None:
    receipt = await rig.admit("r-1", ALICE, model="lm/a", among_others=True)
    rig.clock.advance(hours=1)
    assert await rig.quotas.sweep() == 1
    names = rig.names(ALICE)
    assert await models_of(rig, names.hours) == {"other": 1}
    assert not (await rig.verify()).differences
    settled = await rig.quotas.settle(receipt, charge("lm/a", among_others=True))
    assert settled.status == "replaced"
    assert await models_of(rig, names.hours) == {"other": 1}
    assert not (await rig.verify()).differences
