"""The report of today says what all events and refusals say, to the nano-dollar, whatever came late or twice."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalix.domain.identity.subjects import SHARDS
from scalix.domain.ledger.ledger import EVENT_VERSION, Detail
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Receipt, Refused
from scalix.domain.policy import Policy, Tier
from scalix.service.policy_source import PolicySource
from scalix.service.usage.days import DAYS, Days
from scalix.service.usage.limited import LimitedUsers
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.today import Today
from scalix.service.usage.todays_figures import TodaysFigures
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.records.redis_keys import KeyStore
from tests.store.counting import commands_of
from tests.store.ledger_rig import TODAY, LedgerRig
from tests.store.stores import ask, limits
from tests.store.today_truth import Truth, agrees, all_events

OPEN = limits(requests={"day": 1_000})
TIGHT = limits(requests={"hour": 2, "day": 4})
TIERS = ("free", "pro", "premium", "")


class Rig(LedgerRig):
    """A store with the report over it."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        policy = PolicySource(Policy({"free": Tier("free")}, "free"))
        ledger, figures = LedgerReader(self.session), FiguresStore(self.session)
        self.figures_store = figures
        self.days = Days(ledger, figures, policy)
        self.figures = TodaysFigures(ledger, self.days, policy)
        self.limited = LimitedUsers(ledger, figures, policy)
        keys, deployments = KeyStore(self.session), DeploymentSumStore(self.session)
        self.reporting = Reporting(ledger, policy, keys, deployments)
        self.hits: set[tuple[int, str, str, str]] = set()

    async def today(self, **query: str) -> Today:
        return await self.figures.today(query)

    async def truth(self) -> Truth:
        return Truth(await all_events(self), self.hits)

    async def served(self, number: object, subject: str, tier: str, **changes: Any) -> Receipt:
        receipt = await self.admit(f"r{number}", subject, tier=tier)
        await self.quotas.settle(receipt, self.charge_of(tier, **changes))
        return receipt

    async def refused_by_limits(self, number: object, subject: str, tier: str) -> None:
        """Ask under tight limits, and note by which of them that is refused."""
        names = ("requests-hour", "requests-day")
        decision = await self.quotas.admit(ask(f"t{number}", TIGHT, subject=subject, tier=tier))
        if isinstance(decision, Admitted):
            await self.quotas.settle(decision.receipt, self.charge_of(tier))
            return
        assert isinstance(decision, Refused)
        day = self.clock.now_ms // DAY_MS
        for name, verdict in zip(names, decision.verdicts, strict=True):
            if verdict == "1":
                self.hits.add((day, name, subject, tier))

    def charge_of(self, tier: str, **changes: Any) -> Charge:
        chooser = self.random
        outcome = chooser.choices([Outcome.SUCCESS, Outcome.PROVIDER_FAILED, Outcome.CLIENT_CUT], [8, 1, 1])[0]
        tokens, cost = chooser.randrange(1, 900), chooser.randrange(10**7)
        failed = chooser.random() < 0.2
        detail: dict[str, Any] = {
            "tier": tier,
            "model": "gpt-4",
            "served": "" if outcome is Outcome.PROVIDER_FAILED else "gpt-5" if failed else "gpt-4",
            "fallbacks": ("gpt-4",) if failed else (),
            "provider": "openai",
            "cost_nano_usd": cost,
            "charge_nano_usd": 0 if tier == "free" else cost * 2,
            "first_token_ms": chooser.choice([None, chooser.randrange(20, 9_000)]),
            "error": "timeout" if outcome is Outcome.PROVIDER_FAILED else "",
            **changes,
        }
        return Charge(outcome, int(outcome is not Outcome.PROVIDER_FAILED), tokens, cost, detail=Detail(**detail))

    async def a_month(self, days: int = 33, users: int = 24) -> None:
        """Users who come, go, change their tier, run into limits; requests that end on the next day, and are swept."""
        chooser = random.Random(11)
        tiers = {f"user:u{number}": chooser.choices(TIERS, [12, 3, 1, 1])[0] for number in range(users)}
        joins = {subject: chooser.randrange(days) for subject in tiers}
        late: list[tuple[Receipt, str]] = []
        for day in range(days):
            self.clock.now_ms = (TODAY - days + 1 + day) * DAY_MS + HOUR_MS
            for receipt, tier in late:
                await self.quotas.settle(receipt, self.charge_of(tier))
            late.clear()
            for subject in [one for one in tiers if joins[one] <= day and chooser.random() < 0.35]:
                self.clock.advance(seconds=chooser.randrange(2_000))
                for number in range(chooser.randrange(1, 5)):
                    name = f"{day}-{subject}-{number}"
                    match chooser.randrange(8):
                        case 0:
                            late.append((await self.admit(f"r{name}", subject, tier=tiers[subject]), tiers[subject]))
                        case 1:
                            await self._swept(name, subject, tiers[subject], chooser.random() < 0.5)
                        case 2 | 3 | 4 if tiers[subject]:
                            await self.refused_by_limits(name, subject, tiers[subject])
                        case _:
                            await self.served(name, subject, tiers[subject])
                    if tiers[subject] and chooser.random() < 0.06:
                        tiers[subject] = chooser.choice(TIERS[:3])
        self.clock.advance(hours=1)

    async def _swept(self, name: str, subject: str, tier: str, settles: bool) -> None:
        """A worker died: its request is swept, and then settled after all, or given back."""
        receipt = await self.admit(f"r{name}", subject, tier=tier, lease_ms=1_000)
        self.clock.advance(seconds=5)
        await self.quotas.sweep()
        if settles:
            assert (await self.quotas.settle(receipt, self.charge_of(tier))).status == "replaced"
        else:
            await self.quotas.release(receipt.request_id, subject)


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    rig = Rig(store_url, key_prefix)
    yield rig
    await rig.close()


async def test_every_figure_is_what_all_events_and_refusals_say(rig: Rig) -> None:
    await rig.a_month()
    day = rig.clock.now_ms // DAY_MS
    truth = await rig.truth()
    assert truth.hits
    for _ in range(2):  # the second time from what was kept of days that are over
        agrees(await rig.today(), truth, day)
    then = await rig.today(day="2026-02-20")
    assert (then.is_over, then.day.active_users) == (True, truth.of_day(day - 6)["active_users"])
    for one in range(day - 10, day + 1):
        found = await rig.verify(day=one)
        assert found.differences == [], one
    assert any(one.upgraded_users for one in then.series)
    assert any(one.upgraded or one.came_back for one in then.after_limit_hits or ())


async def test_money_and_errors_are_those_of_the_other_reports(rig: Rig) -> None:
    await rig.a_month(days=8)
    today = await rig.today()
    span = {"from": today.series[0].date, "to": today.date}
    by_day = {row["date"]: row for row in (await rig.reporting.report("day", span)).rows}
    names = ("requests", "provider_cost_usd", "charge_usd", "margin_usd")
    assert {one.date for one in today.series if one.requests} == {d for d, row in by_day.items() if row["requests"]}
    for one in today.series:
        if one.date in by_day:
            assert {name: getattr(one, name) for name in names} == {name: by_day[one.date][name] for name in names}
    of_day = {"from": today.date, "to": today.date}
    tiers = (await rig.reporting.report("tier", of_day)).rows
    assert {row["tier"]: row["margin_usd"] for row in tiers} == {one.tier: one.margin_usd for one in today.day.tiers}
    total = (await rig.reporting.report("errors", of_day)).total
    assert total is not None
    assert (total["errors"], total["error_rate"]) == (today.day.errors, today.day.error_rate)


async def test_what_comes_late_to_a_day_that_was_kept_is_in_it(rig: Rig) -> None:
    await rig.served("first", "user:ann", "free", cost_nano_usd=5)
    receipt = await rig.admit("late", "user:ben", tier="free")
    day = rig.clock.now_ms // DAY_MS
    rig.clock.advance(hours=24)
    before = (await rig.today()).series[-2]
    await rig.quotas.settle(receipt, rig.charge_of("free", cost_nano_usd=7))
    after = (await rig.today()).series[-2]
    assert (before.active_users, after.active_users) == (1, 2)
    assert (before.provider_cost_usd, after.provider_cost_usd) == (5 / 10**9, 12 / 10**9)
    agrees(await rig.today(), await rig.truth(), day + 1)


async def test_who_is_refused_a_hundred_times_has_run_into_the_limit_once(rig: Rig) -> None:
    for number in range(100):
        await rig.refused_by_limits(number, "user:ann", "free")
    (hit,) = [one for one in (await rig.today()).limit_hits or () if one.limit == "requests-hour"]
    assert hit.users == 1


async def test_an_erased_user_stays_in_the_numbers_and_nowhere_else(rig: Rig) -> None:
    await rig.served("one", "user:ann", "free")
    for number in range(3):
        await rig.refused_by_limits(number, "user:ann", "free")
    before = await rig.today()
    await ErasureStore(rig.session, rig.pseudonyms).erase("ann")
    after = await rig.today()
    assert (after.day.active_users, after.limit_hits) == (before.day.active_users, before.limit_hits)
    names = [name async for name in rig.session.names_like("{s*}:p")]
    assert names
    for name in names:
        assert not [field for field in await rig.client.hgetall(name) if "ann" in field]
    assert (await rig.verify()).differences == []


async def test_days_of_the_version_before_are_not_known_until_they_are_repaired(rig: Rig) -> None:
    await rig.served("old", "user:ann", "free")
    old = await rig.truth()
    day = rig.clock.now_ms // DAY_MS
    names = [n async for n in rig.session.names_like("{s*}:p")] + [n async for n in rig.session.names_like("{s*}:t:*")]
    await rig.client.delete(*names)
    rig.clock.advance(hours=24)
    await rig.served("new", "user:ann", "free")
    today = await rig.today()
    shown = today.series[-2]
    assert (shown.active_users, shown.new_users, shown.rescued, shown.first_byte_p50_ms) == (None, None, None, None)
    assert (shown.requests, shown.provider_cost_usd) == tuple(
        old.of_day(day)[name] for name in ("requests", "provider_cost_usd")
    )
    # She was there before anybody noted it.
    assert (today.day.active_users, today.day.new_users, today.known_from) == (1, 0, today.date)
    await rig.repair(day=day)
    assert (await rig.verify(day=day)).differences == []
    agrees(await rig.today(), await rig.truth(), day + 1)


async def test_a_view_reads_as_many_keys_for_many_events_as_for_few(rig: Rig) -> None:
    await rig.a_month(days=10, users=4)
    await rig.today()
    few = await commands_of_a_view(rig)
    assert SHARDS <= few < SHARDS + 10
    for number in range(400):
        await rig.served(f"more-{number}", f"user:m{number % 40}", "free")
    assert await commands_of_a_view(rig) <= few


async def test_days_that_are_over_are_added_up_before_anybody_looks(rig: Rig) -> None:
    await rig.a_month()
    await rig.days.add_up()
    assert await commands_of_a_view(rig) < SHARDS + 10
    agrees(await rig.today(), await rig.truth(), rig.clock.now_ms // DAY_MS)


async def test_one_process_adds_days_up_and_the_next_one_what_it_has_left(rig: Rig) -> None:
    await rig.a_month(days=3, users=4)
    assert await rig.figures_store.take_turn()
    await rig.days.add_up()
    assert await rig.client.hlen(rig.keys.day_figures()) == 0
    await rig.client.delete(rig.keys.day_figures_turn())
    await rig.days.add_up()
    assert await rig.client.hlen(rig.keys.day_figures()) == DAYS
    assert await rig.figures_store.take_turn() is False
    await rig.client.delete(rig.keys.day_figures_turn())
    await rig.days.add_up()
    assert await rig.figures_store.take_turn(), "where no day is left, nobody takes the turn"


async def commands_of_a_view(rig: Rig) -> int:
    with commands_of(rig.client) as sent:
        await rig.today()
    # One ranking is read on for as long as somebody in it may be among the dearest.
    return sum(one.name not in ("ZRANGE", "HMGET") for one in sent)


async def test_a_gateway_of_before_beside_is_no_difference_and_its_day_is_not_known(rig: Rig) -> None:
    receipt = await rig.served("old", "user:ann", "free")
    day = rig.clock.now_ms // DAY_MS
    # As a gateway of before would have left it: an event of its version, and nothing counted.
    events = rig.keys.events("user:ann", receipt.admitted_ms)
    text = await rig.client.hget(events, receipt.request_id)
    await rig.client.hset(events, receipt.request_id, text.replace(f" v{EVENT_VERSION}", " v3"))
    await rig.client.delete(*[n async for n in rig.session.names_like("{s*}:p")], rig.names("user:ann").first_bytes)
    await rig.served("new", "user:ben", "free")
    assert (await rig.verify()).differences == []
    assert (await rig.today()).day.active_users is None
    await rig.repair()
    assert (await rig.verify()).differences == []
    agrees(await rig.today(), await rig.truth(), day)
