"""Which deployment each strategy chooses, and what workers tell each other: over a real store, with a clock of ours."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial

import pytest

from scalix.domain.deployments import Deployment
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.prices.pricing import Price
from scalix.service.deployments.chooser import Chooser, no_conversation
from scalix.service.deployments.load import LEASE_S, Load
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.policy_source import PolicySource
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_cooldowns import CooldownStore
from scalix.store.records.redis_loads import LoadStore


def priced(nano_usd: int) -> tuple[Price, ...]:
    return (Price("v", (("input_cost_per_token", nano_usd * 10**9), ("output_cost_per_token", nano_usd * 10**9))),)


ONE, TWO, THREE = (
    Deployment("m#1", "openai/m", priced(3), rpm=100),
    Deployment("m#2", "openai/m", priced(1), rpm=50),
    Deployment("m#3", "openai/m", priced(2), tpm=1_000),
)
MODEL = Model("m", "openai/m", deployments=(ONE, TWO, THREE))
NOW_S = 1_000.0


class Worker:
    """One worker, with a clock of its own."""

    def __init__(self, session: StoreSession, strategy: str, seed: int = 0) -> None:
        self.now_s = NOW_S
        policy = PolicySource(Policy({"t": Tier("t")}, "t", {"m": MODEL}, routing_strategy=strategy))
        cooldowns = Cooldowns(CooldownStore(session), policy, clock=lambda: self.now_s)
        self.load = Load(LoadStore(session), lambda: self.now_s, lambda: self.now_s)
        self.chooser = Chooser(
            cooldowns, self.load, policy, lambda: round(self.now_s * 1000), random.Random(seed).random
        )

    def choose(self) -> str:
        chosen = self.chooser.choose(MODEL, "user:u")
        assert chosen is not None
        return chosen.id


Make = Callable[..., Worker]


@pytest.fixture
async def session(store_url: str, key_prefix: str) -> AsyncIterator[StoreSession]:
    client = connect(store_url)
    yield StoreSession(client, Keys(key_prefix))
    await client.aclose()


@pytest.fixture
def made(session: StoreSession) -> Make:
    return lambda strategy, seed=0: Worker(session, strategy, seed)


def weighted(*weights: int) -> Model:
    deployments = [Deployment(f"m#{number}", "openai/m", weight=one) for number, one in enumerate(weights, 1)]
    return Model("m", "openai/m", deployments=tuple(deployments))


def test_six_workers_together_share_by_weight_within_a_point(made: Make) -> None:
    model, workers = weighted(3, 2, 1), [made("simple-shuffle", seed) for seed in range(6)]
    draw, asked = random.Random(1), Counter[str]()
    for _ in range(6_000):  # the balancer before them is no round robin
        chosen = draw.choice(workers).chooser.choose(model, "user:u")
        asked[chosen.id if chosen else ""] += 1
    for ident, due in (("m#1", 50), ("m#2", 100 / 3), ("m#3", 50 / 3)):
        assert abs(asked[ident] / 60 - due) < 1, asked


def test_the_least_busy_is_asked(made: Make) -> None:
    worker = made("least-busy")
    with worker.load.asked("m#1"), worker.load.asked("m#3"):
        assert {worker.choose() for _ in range(5)} == {"m#2"}
        with worker.load.asked("m#2"), worker.load.asked("m#2"):
            assert {worker.choose() for _ in range(6)} == {"m#1", "m#3"}


def test_one_that_is_ten_times_slower_gets_under_fifteen_per_cent(made: Make) -> None:
    worker, asked = made("least-busy"), Counter[str]()
    takes = {"m#1": 10, "m#2": 10, "m#3": 100}
    running: list[tuple[int, str]] = []
    for now in range(20_000):
        for item in [item for item in running if item[0] <= now]:
            running.remove(item)
            worker.load._in_flight[item[1]] -= 1
        if len(running) < 16:
            ident = worker.choose()
            asked[ident] += 1
            worker.load._in_flight[ident] += 1
            running.append((now + takes[ident], ident))
    assert asked["m#3"] / asked.total() < 0.15, asked


async def test_six_workers_do_not_all_run_to_the_one_that_was_idle_when_they_last_heard_of_each_other(
    made: Make,
) -> None:
    workers, asked, draw = [made("least-busy", seed) for seed in range(6)], Counter[str](), random.Random(1)
    takes_ms = {"m#1": 100, "m#2": 100, "m#3": 1_000}
    with ExitStack() as rest:
        answered = [(draw.random() * 100, rest.enter_context(ExitStack())) for _ in range(24)]
        for now_ms in range(12_000):
            for number, worker in enumerate(workers):
                worker.now_s = NOW_S + now_ms / 1000
                if now_ms % 100 == 15 * number:
                    await worker.load.publish()
            for number, (at_ms, running) in enumerate(answered):
                if at_ms <= now_ms:
                    running.close()
                    worker = workers[number % 6]
                    ident = worker.choose()
                    running.enter_context(worker.load.asked(ident))
                    asked[ident] += 1
                    answered[number] = (now_ms + takes_ms[ident] + draw.random() * 40, running)
    assert asked["m#3"] / asked.total() < 0.1, asked


async def test_a_conversation_leaves_the_deployment_that_is_busy_with_the_requests_of_another_worker(
    made: Make,
) -> None:
    one, two = made("simple-shuffle"), made("simple-shuffle")
    start = partial(bytes, b"a conversation")
    own = one.chooser.choose(MODEL, "user:u", start=start)
    assert own is not None
    assert own is two.chooser.choose(MODEL, "user:u", start=start)
    with ExitStack() as running:
        for _ in range(12):
            running.enter_context(one.load.asked(own.id))
        assert two.chooser.choose(MODEL, "user:u", start=start) is own  # nobody has told it yet
        await one.chooser.publish()
        await two.chooser.publish()
        assert two.chooser.choose(MODEL, "user:u", start=start) is not own


async def test_workers_know_of_each_others_requests_until_the_lease_is_over(made: Make) -> None:
    one, two = made("least-busy"), made("least-busy")
    with one.load.asked("m#1"), one.load.asked("m#1"), one.load.asked("m#3"):
        await one.load.publish()
        await two.load.publish()
        assert [two.load.in_flight(ident) for ident in ("m#1", "m#2", "m#3")] == [2, 0, 1]
        assert two.choose() == "m#2"
        two.now_s += LEASE_S  # nothing was heard any more, as with the store away
        assert two.load.in_flight("m#1") == 0


async def test_of_a_worker_that_was_killed_nothing_stays(made: Make, session: StoreSession) -> None:
    one, two = made("least-busy"), made("least-busy")
    one.load._in_flight["m#1"] = 5
    await one.load._store.publish("killed", {"f m#1": 5}, lease_ms=1)
    await two.load.publish()
    while two.load.in_flight("m#1"):
        await two.load.publish()
    assert two.load.in_flight("m#1") == 0


def test_counts_are_zero_after_whatever_ends_a_request(made: Make) -> None:
    worker = made("least-busy")
    for error in (RuntimeError, KeyboardInterrupt, TimeoutError):
        with pytest.raises(error), worker.load.asked("m#1"):
            raise error
    with worker.load.asked(""):
        pass
    assert not worker.load._in_flight


def test_the_fastest_is_asked_and_those_that_nobody_has_tried_for_a_minute(made: Make) -> None:
    worker = made("latency-based-routing")
    assert {worker.choose() for _ in range(6)} == {"m#1", "m#2", "m#3"}
    for ident, seconds in (("m#1", 0.2), ("m#2", 0.1), ("m#3", 0.3)):
        worker.load.answered(ident, seconds)
    assert {worker.choose() for _ in range(6)} == {"m#2"}
    for _ in range(10):
        worker.load.answered("m#2", 0.9)
    assert {worker.choose() for _ in range(6)} == {"m#1"}
    worker.now_s += 60
    assert {worker.choose() for _ in range(6)} == {"m#1", "m#2", "m#3"}


def test_the_cheapest_is_asked(made: Make) -> None:
    assert {made("cost-based-routing").choose() for _ in range(5)} == {"m#2"}


async def test_the_one_with_most_of_its_minute_left_is_asked_of_all_workers(made: Make) -> None:
    one, two = made("usage-based-routing-v2"), made("usage-based-routing-v2")
    for _ in range(10):
        for deployment in (ONE, TWO):
            one.load.take(deployment, 0)
    one.load.take(THREE, 150)
    await one.load.publish()
    await two.load.publish()
    assert two.load.used("m#1") == (10, 0)
    assert {two.choose() for _ in range(5)} == {"m#1"}  # 10 of 100, against 10 of 50 and 150 of 1,000
    two.now_s += 60
    assert two.load.used("m#1") == (0, 0)


async def test_one_at_its_limit_is_not_chosen_while_another_has_room_and_none_when_none_has(made: Make) -> None:
    worker = made("simple-shuffle")
    for _ in range(100):
        worker.load.take(ONE, 0)
    assert {worker.choose() for _ in range(10)} == {"m#2", "m#3"}
    worker.load.take(THREE, 1_000)
    assert {worker.choose() for _ in range(10)} == {"m#2"}
    for _ in range(50):
        assert worker.chooser.wait_s(MODEL, "user:u") == 0
        worker.load.take(TWO, 0)
    assert worker.chooser.choose(MODEL, "user:u") is None
    assert worker.chooser.is_full(MODEL)
    assert worker.chooser.wait_s(MODEL, "user:u") == 20  # the minute's rest
    worker.now_s += 20
    assert worker.choose()


async def test_the_tokens_of_a_prompt_count_at_once_and_what_was_used_when_it_is_known(made: Make) -> None:
    load = made("simple-shuffle").load
    first = load.take(THREE, 600)
    assert first is not None
    assert (load.has_room(THREE, 400), load.has_room(THREE, 401)) == (True, False)
    load.used_up(first, 0)  # it has failed
    assert load.has_room(THREE, 5_000)  # what would never fit is not kept waiting for ever
    second = load.take(THREE, 600)
    assert second is not None
    load.used_up(second, 1_200)
    assert not load.has_room(THREE)
    load.used_up(second, 1_100)
    assert load.used("m#3") == (2, 1_100)


async def test_four_workers_together_go_over_a_limit_by_little(made: Make) -> None:
    workers = [made("simple-shuffle", seed) for seed in range(4)]
    model = Model("m", "openai/m", deployments=(Deployment("m#1", "openai/m", rpm=200), TWO))
    asked = Counter[str]()

    async def busy(worker: Worker) -> None:
        for _ in range(300):
            chosen = worker.chooser.choose(model, "user:u")
            if chosen is not None:
                worker.load.take(chosen, 10)
                asked[chosen.id] += 1
            await asyncio.sleep(0.001)

    await asyncio.gather(*map(busy, workers))
    for ident, most in (("m#1", 200), ("m#2", 50)):
        assert most <= asked[ident] <= most * 1.1 + 4, asked


class PrefixCache:
    """What a provider keeps of prompts, as it keeps it: so many tokens, of which those not asked for longest go."""

    def __init__(self, most_tokens: int) -> None:
        self._most_tokens = most_tokens
        self._kept: dict[int, int] = {}

    def ask(self, conversation: int, tokens: int) -> int:
        """How much of a prompt was kept; now all of it is."""
        cached = self._kept.pop(conversation, 0)
        self._kept[conversation] = tokens
        while sum(self._kept.values()) > self._most_tokens:
            del self._kept[next(iter(self._kept))]
        return cached


async def cached_share(workers: list[Worker], model: Model, *, is_known: bool) -> tuple[float, float]:
    """Of 120 conversations of 20 turns, 48 at once, each turn 1,000 tokens more: the share of the tokens sent before
    that the one asked had in its cache, and by how much the busiest was over the mean."""
    draw, asked, turns = random.Random(3), Counter[str](), Counter[int]()
    caches = {one.id: PrefixCache(400_000) for one in model.deployments}
    cached = cacheable = 0
    waiting, running = list(range(120)), list[tuple[int, int, str, Worker]]()
    for now in range(100_000):  # in ms
        for at, worker in enumerate(workers):
            worker.now_s = NOW_S + now / 1_000
            if now % 100 == 15 * at:
                await worker.load.publish()
        for item in [item for item in running if item[0] <= now]:
            running.remove(item)
            item[3].load._in_flight[item[2]] -= 1
            if turns[item[1]] < 20:
                waiting.insert(draw.randrange(24), item[1])
        while waiting and len(running) < 48:
            number = waiting.pop(0)
            start = partial(b"%d".__mod__, number) if is_known else no_conversation
            worker = draw.choice(workers)
            chosen = worker.chooser.choose(model, "user:u", start=start)
            assert chosen is not None
            cacheable += 1_000 * turns[number]
            turns[number] += 1
            cached += caches[chosen.id].ask(number, 1_000 * turns[number])
            asked[chosen.id] += 1
            worker.load._in_flight[chosen.id] += 1
            running.append((now + draw.randint(5, 60), number, chosen.id, worker))
        if not running:
            break
    assert asked.total() == 120 * 20
    return cached / cacheable, max(asked.values()) * len(model.deployments) / asked.total()


@pytest.mark.parametrize("number", [1, 6])
async def test_turns_of_a_conversation_find_their_prefix_in_the_cache(number: int, made: Make) -> None:
    model, workers = weighted(1, 1, 1), [made("simple-shuffle") for _ in range(number)]
    share, skew = await cached_share(workers, model, is_known=True)
    assert (share >= 0.9, skew <= 1.5) == (True, True), (share, skew)
    without, _ = await cached_share(workers, model, is_known=False)
    assert without < 0.5, without


async def test_a_conversation_goes_on_elsewhere_while_its_deployment_rests(made: Make) -> None:
    worker = made("simple-shuffle")

    def of(start: bytes) -> str:
        chosen = worker.chooser.choose(weighted(1, 1, 1), "user:u", start=lambda: start)
        return chosen.id if chosen else ""

    before = {start: of(start) for start in (b"%d" % number for number in range(60))}
    assert {*before.values()} == {"m#1", "m#2", "m#3"}
    assert {start: of(start) for start in before} == before
    worker.chooser.cooldowns.failed("m#2", "user:x", 60, is_everybodys=True)
    during = {start: of(start) for start in before}
    assert {start for start in before if during[start] != before[start]} == {
        start for start, ident in before.items() if ident == "m#2"
    }
    worker.now_s += 120
    assert {start: of(start) for start in before} == before


@pytest.mark.parametrize("strategy", ["least-busy", "latency-based-routing", "cost-based-routing"])
def test_another_strategy_asks_for_no_conversation(made: Make, strategy: str) -> None:
    def start() -> bytes:
        raise AssertionError("asked")

    assert made(strategy).chooser.choose(MODEL, "user:u", start=start) is not None
