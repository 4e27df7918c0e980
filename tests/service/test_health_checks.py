"""Checks of deployments that nobody asks for: over a real store, with a clock of ours and a provider as we say."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.deployments import Deployment
from scalix.domain.fallbacks import Cooldown
from scalix.domain.health_checks import HealthChecks, Verdict
from scalix.domain.policy import Model, Policy, Tier
from scalix.service.deployments.health_checks import MOST_AT_ONCE, HealthChecking
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_cooldowns import CooldownStore
from scalix.store.records.redis_health import HealthStore

BEGAN_S = 1_700_000_000.0
INTERVAL_S, TIMEOUT_S = 100, 5
SEVERAL = Model("m", "openai/m", deployments=(Deployment("m#1", "openai/m"), Deployment("m#2", "openai/m")))
ALONE = Model("alone", "openai/alone")
DOWN = Verdict(is_failing=True, reason="it can't be reached")


class World:
    """Providers, a clock, and the store that all workers share."""

    def __init__(self, session: StoreSession) -> None:
        self.session = session
        self.now_s = BEGAN_S
        self.down: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.hold: asyncio.Event | None = None

    async def check(self, model: str, deployment: str, timeout_s: int) -> Verdict:
        self.asked[deployment or model] += 1
        if self.hold is not None:
            await self.hold.wait()
        return DOWN if (deployment or model) in self.down else Verdict(is_failing=False)

    def worker(self, models: tuple[Model, ...] = (SEVERAL, ALONE), settings: HealthChecks | None = None) -> "Worker":
        return Worker(self, models, settings)


class Worker:
    def __init__(self, world: World, models: tuple[Model, ...], settings: HealthChecks | None) -> None:
        self.world = world
        names = [one.id for model in models for one in model.deployments] + [one.name for one in models]
        checks = settings or HealthChecks(INTERVAL_S, dict.fromkeys(names, TIMEOUT_S))
        policy = Policy({"t": Tier("t")}, "t", {one.name: one for one in models}, health_checks=checks)
        self.policy = PolicySource(policy)
        self.cooldowns = Cooldowns(CooldownStore(world.session), self.policy, clock=lambda: world.now_s)
        self.store: Any = HealthStore(world.session)
        self.health = HealthChecking(self.store, self.cooldowns, self.policy, world.check, lambda: 0.5)

    async def run(self) -> None:
        """One second of the background job, and the checks that it has begun."""
        await self.health.run()
        await asyncio.gather(*self.health._running)
        await asyncio.gather(*self.cooldowns._sending)

    async def for_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.now_s += 1
            await self.run()

    def rests(self, name: str) -> bool:
        return self.cooldowns.wait_s(name, "user:u") > 0


@pytest.fixture
async def world(store_url: str, key_prefix: str) -> AsyncIterator[World]:
    client = connect(store_url)
    made = World(StoreSession(client, Keys(key_prefix)))
    made.session.clock = lambda: round(made.now_s * 1000)
    yield made
    await client.aclose()


async def test_load_does_not_grow_with_the_number_of_workers(world: World) -> None:
    workers = [world.worker() for _ in range(6)]
    for _ in range(6 * INTERVAL_S):
        world.now_s += 1
        for one in workers:
            await one.health.run()
        for one in workers:
            await asyncio.gather(*one.health._running)
    assert set(world.asked) == {"m#1", "m#2", "alone"}
    for name, times in world.asked.items():
        assert 5 <= times <= 7, (name, world.asked)


async def test_one_that_fails_twice_rests_in_every_worker_and_comes_back_when_it_answers(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = world.worker(), world.worker()
    await one.for_s(10)
    assert world.asked["m#1"] == 1
    world.down.add("m#1")
    await one.for_s(INTERVAL_S + 1)
    await other.cooldowns.refresh()
    assert (one.rests("m#1"), other.rests("m#1"), one.rests("m#2")) == (True, True, False)
    # It stays out for as long as it fails, with a line when that begins and one when it ends.
    for _ in range(300):
        world.now_s += 1
        await one.run()
        assert one.rests("m#1")
    world.down.clear()
    await one.for_s(11)
    await other.cooldowns.refresh()
    assert not one.rests("m#1")
    assert not other.rests("m#1")
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [
        "m#1 fails its health checks: it can't be reached",
        told[1],
        "m#1 answers its health checks again",
    ]
    assert told[1].endswith("for everybody: it does not answer its health checks")


async def test_one_failure_alone_takes_nothing_out(world: World) -> None:
    one = world.worker()
    await one.for_s(10)
    world.down.add("m#1")
    asked = world.asked["m#1"]
    while world.asked["m#1"] == asked:
        await one.for_s(1)
    world.down.clear()
    await one.for_s(20)
    assert not one.rests("m#1")
    assert not (await one.health.last())["m#1"].is_failing


async def test_never_all_deployments_of_a_model_are_taken_out_by_checks_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = world.worker(), world.worker()
    await one.for_s(10)
    world.down.update({"m#1", "alone"})
    await one.for_s(INTERVAL_S + 5)
    assert one.rests("m#1")
    assert not one.rests("alone")
    assert (await one.health.last())["alone"].is_failing
    world.down.add("m#2")
    await one.for_s(INTERVAL_S + 5)
    await other.cooldowns.refresh()
    assert [worker.rests(name) for worker in (one, other) for name in ("m#1", "m#2")] == [False] * 4
    assert caplog.text.count("all deployments of m fail their health checks") == 1
    world.down.remove("m#2")
    await one.for_s(30)
    assert (one.rests("m#1"), one.rests("m#2")) == (True, False)


async def test_what_a_killed_worker_was_checking_another_checks_once_its_lease_is_over(world: World) -> None:
    killed, other = world.worker((ALONE,)), world.worker((ALONE,))
    world.hold = asyncio.Event()
    await killed.health.run()
    world.now_s += 10
    await killed.health.run()
    await asyncio.sleep(0)
    assert world.asked["alone"] == 1
    for task in killed.health._running:
        task.cancel()
    world.hold = None
    await other.for_s(TIMEOUT_S + 4)
    assert world.asked["alone"] == 1
    await other.for_s(2)
    assert world.asked["alone"] == 2


async def test_a_worker_makes_no_more_than_a_few_at_once_and_the_first_ones_are_spread(world: World) -> None:
    models = tuple(Model(f"m{number}", "openai/m") for number in range(50))
    one = world.worker(models)
    world.hold = asyncio.Event()
    await one.health.run()
    assert not world.asked  # not all at the start
    for _ in range(20):
        world.now_s += 1
        await one.health.run()
        await asyncio.sleep(0)
    assert world.asked.total() == MOST_AT_ONCE
    world.hold.set()
    world.hold = None
    await one.for_s(20)
    assert world.asked.total() == 50


async def test_one_that_rests_is_checked_soon_unless_its_provider_has_asked_to_be_left_alone(world: World) -> None:
    one = world.worker()
    await one.for_s(10)
    world.down.update({"m#1"})
    for number in range(3):
        one.cooldowns.failed("m#1", f"user:{number}")
    one.cooldowns.failed("alone", retry_after_s=60, is_everybodys=True)
    before = world.asked.copy()
    await one.for_s(15)
    assert world.asked["m#1"] - before["m#1"] >= 2
    assert world.asked["alone"] == before["alone"]
    assert (await one.health.last())["m#1"].is_failing
    await one.for_s(40)  # its cooldown alone would be over
    assert one.rests("m#1")


async def test_a_check_that_answers_does_not_end_what_requests_have_found(world: World) -> None:
    one = world.worker()
    await one.for_s(10)
    for number in range(3):
        one.cooldowns.failed("m#1", f"user:{number}")
    await one.for_s(25)  # it was checked meanwhile, and answered: large prompts may fail all the same
    assert one.rests("m#1")
    await one.for_s(6)
    assert not one.rests("m#1")


async def test_while_the_store_is_away_nobody_checks_and_what_was_out_comes_back(world: World) -> None:
    one = world.worker()
    await one.for_s(10)
    world.down.add("m#1")
    await one.for_s(INTERVAL_S + 5)
    assert one.rests("m#1")

    async def away(*_: Any) -> Any:
        raise StoreUnavailable("away")

    one.store.take = one.store.all = away
    asked = world.asked.total()
    for _ in range(60):
        world.now_s += 1
        await one.health.run()
    assert world.asked.total() == asked
    assert not one.rests("m#1")
    assert await one.health.last() == {}


async def test_what_a_check_finds_with_the_store_away_harms_nobody(world: World) -> None:
    one = world.worker((ALONE,))

    async def away(*_: Any) -> Any:
        raise StoreUnavailable("away")

    one.store.note = away
    await one.for_s(10)
    assert world.asked["alone"] == 1


async def test_a_check_that_breaks_blames_no_deployment_and_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    one = world.worker()

    async def breaks(*_: Any) -> Verdict:
        raise RuntimeError("canary")

    one.health._check = breaks
    await one.for_s(INTERVAL_S * 2)
    last = await one.health.last()
    assert [(last[name].is_failing, last[name].reason) for name in last] == [
        (False, "the check itself failed: RuntimeError")
    ] * 3
    assert "canary" not in caplog.text


async def test_without_cooldowns_what_fails_is_told_and_not_taken_out(world: World) -> None:
    one = world.worker()
    one.policy.replace(replace(one.policy.current, cooldown=Cooldown(seconds=0)))
    world.down.add("m#1")
    await one.for_s(INTERVAL_S + 5)
    assert (await one.health.last())["m#1"].is_failing
    assert not one.rests("m#1")


@pytest.mark.parametrize(
    "settings", [HealthChecks(), HealthChecks(INTERVAL_S, {}), HealthChecks(INTERVAL_S, {"of-another-config": 5})]
)
async def test_nobody_is_checked_who_is_not_meant_to_be(world: World, settings: HealthChecks) -> None:
    one = world.worker(settings=settings)
    await one.for_s(INTERVAL_S + 5)
    assert not world.asked
    assert await one.health.last() == {}


async def test_a_reload_changes_what_is_checked(world: World) -> None:
    one = world.worker(settings=HealthChecks(INTERVAL_S, {"alone": TIMEOUT_S}))
    await one.for_s(10)
    one.policy.replace(replace(one.policy.current, health_checks=HealthChecks(INTERVAL_S, {"m#2": TIMEOUT_S})))
    await one.for_s(10)
    assert world.asked == {"alone": 1, "m#2": 1}
    assert list(await one.health.last()) == ["m#2"]
    one.policy.replace(replace(one.policy.current, health_checks=HealthChecks()))
    await one.for_s(INTERVAL_S * 3)
    assert world.asked == {"alone": 1, "m#2": 1}


async def test_checks_that_nobody_makes_any_more_are_forgotten_and_the_key_has_an_end(world: World) -> None:
    gone, kept = Model("gone", "openai/g"), Model("kept", "openai/k")
    await world.worker((gone, kept)).for_s(10)
    one = world.worker((kept,))
    assert set(await one.store.all()) == {"gone", "kept"}
    world.now_s += 3_700
    await one.for_s(5)
    assert set(await one.store.all()) == {"kept"}
    assert 0 < await world.session.pttl(world.session.names.checks()) <= 3_600_000
