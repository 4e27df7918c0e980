"""When a failing model is left alone, and how other workers learn of it: over a real store, with a clock of our own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalix.domain.fallbacks import Cooldown
from scalix.domain.policy import Model, Policy, Tier
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_cooldowns import CooldownStore, Cooling

NOW_S = 1000.0


class Worker:
    """One worker's cooldowns."""

    def __init__(self, store: Any, settings: Cooldown = Cooldown()) -> None:  # noqa: B008
        self.now_s = NOW_S
        policy = Policy({"free": Tier("free")}, "free", cooldown=settings)
        self.policy = PolicySource(policy)
        self.cooldowns = Cooldowns(store, self.policy, clock=lambda: self.now_s)

    def fail(self, times: int = 1, model: str = "m", retry_after_s: int | None = None) -> None:
        """So many failures, each of another subject's request; with `retry_after_s` as the provider of ours asks."""
        for number in range(times):
            self.cooldowns.failed(model, f"user:{number}", retry_after_s, is_everybodys=retry_after_s is not None)

    def fail_for(self, subject: str, times: int = 1) -> None:
        for _ in range(times):
            self.cooldowns.failed("m", subject)

    @property
    def wait_s(self) -> float:
        return self.cooldowns.wait_s("m", "user:somebody")

    async def told(self) -> None:
        """Return when the store knows what this worker knows."""
        await asyncio.gather(*self.cooldowns._sending)


@pytest.fixture
async def store(store_url: str, key_prefix: str) -> AsyncIterator[CooldownStore]:
    client = connect(store_url)
    yield CooldownStore(StoreSession(client, Keys(key_prefix)))
    await client.aclose()


@pytest.fixture
def worker(store: CooldownStore) -> Worker:
    return Worker(store)


async def test_three_failures_in_a_row_within_half_a_minute_leave_a_model_alone_for_half_a_minute(
    worker: Worker,
) -> None:
    worker.fail(2)
    assert worker.wait_s == 0
    worker.fail()
    assert worker.wait_s == 30
    worker.now_s += 29
    assert worker.wait_s == 1
    worker.now_s += 1
    assert worker.wait_s == 0
    await worker.told()


async def test_an_answer_in_between_and_the_time_begin_the_count_anew(worker: Worker) -> None:
    worker.fail(2)
    worker.cooldowns.succeeded("m")
    worker.fail(2)
    assert worker.wait_s == 0
    worker.now_s += 31
    worker.fail(2)
    assert worker.wait_s == 0


async def test_models_are_counted_apart(worker: Worker) -> None:
    worker.fail(2)
    worker.fail(2, model="other")
    assert worker.wait_s == 0


@pytest.mark.parametrize(("asked_s", "waited_s"), [(1, 1), (90, 90), (600, 600), (86_400, 600)])
async def test_what_a_provider_asks_for_is_obeyed_at_once_up_to_ten_minutes(
    worker: Worker, asked_s: int, waited_s: int
) -> None:
    worker.fail(retry_after_s=asked_s)
    assert worker.wait_s == waited_s
    await worker.told()


async def test_what_a_provider_asks_for_later_takes_nothing_from_a_longer_rest(worker: Worker) -> None:
    for asked_s in (90, 1, 90, 2):
        worker.fail(retry_after_s=asked_s)
        assert worker.wait_s == 90
    await worker.told()


async def test_other_workers_learn_it_and_how_long_it_lasts(worker: Worker, store: CooldownStore) -> None:
    other = Worker(store)
    other.now_s = 77_000.0  # no clock but the store's is common to them
    worker.fail(3)
    await worker.told()
    await other.cooldowns.refresh()
    assert 25 < other.wait_s <= 30
    assert not other.cooldowns.may_probe("m")


async def test_a_probe_is_one_request_in_the_second_half_and_what_it_gets_is_for_all(
    worker: Worker, store: CooldownStore
) -> None:
    other = Worker(store)
    worker.fail(3)
    await worker.told()
    await other.cooldowns.refresh()
    worker.now_s += 15
    assert [worker.cooldowns.may_probe("m") for _ in range(3)] == [True, False, False]
    worker.cooldowns.succeeded("m")  # of a request from before
    assert worker.wait_s > 0

    worker.cooldowns.succeeded("m", was_probe=True)
    assert worker.wait_s == 0
    await worker.told()
    await other.cooldowns.refresh()
    assert other.wait_s == 0


async def test_what_a_provider_has_asked_for_is_not_probed(worker: Worker) -> None:
    worker.fail(retry_after_s=60)
    worker.now_s += 59
    assert not worker.cooldowns.may_probe("m")
    await worker.told()


async def test_the_longer_of_two_cooldowns_holds(worker: Worker, store: CooldownStore) -> None:
    other = Worker(store)
    worker.fail(retry_after_s=300)
    await worker.told()
    other.fail(3)
    await other.told()
    await other.cooldowns.refresh()
    assert 290 < other.wait_s <= 300


async def test_the_store_forgets_them_by_itself(worker: Worker, store: CooldownStore) -> None:
    worker.fail(retry_after_s=60)
    await worker.told()
    assert 50_000 < await store._session.pttl(store._keys.cooldowns()) <= 60_000
    await store.cool("over", 1, asked_for=False)
    while len(found := (await store.cooling())[0]) > 1:
        pass
    assert [(cooling.model, cooling.asked_for) for cooling in found] == [("m", True)]


async def test_seconds_of_zero_switch_it_off(store: CooldownStore) -> None:
    worker = Worker(store, Cooldown(seconds=0))
    worker.fail(10, retry_after_s=60)
    assert worker.wait_s == 0
    assert await store.cooling() == ([], set())


async def test_with_the_store_away_a_worker_goes_by_what_it_has_seen_and_tells_it_later(store: CooldownStore) -> None:
    class Away:
        is_away = True

        async def cool(self, model: str, for_ms: int, *, asked_for: bool) -> None:
            if self.is_away:
                raise StoreUnavailable("away")
            await store.cool(model, for_ms, asked_for=asked_for)

        async def count_failure(self, model: str, subject: str, *, within_ms: int, failures: int) -> bool:
            if self.is_away:
                raise StoreUnavailable("away")
            return await store.count_failure(model, subject, within_ms=within_ms, failures=failures)

        async def cooling(self) -> tuple[list[Cooling], set[str]]:
            if self.is_away:
                raise StoreUnavailable("away")
            return await store.cooling()

    away = Away()
    worker = Worker(away)
    worker.fail(3)
    await worker.told()
    await worker.cooldowns.refresh()
    assert worker.wait_s == 30

    away.is_away = False
    await worker.cooldowns.refresh()
    assert [cooling.model for cooling in (await store.cooling())[0]] == ["m"]
    assert worker.wait_s > 25


async def test_what_one_subject_alone_has_seen_fail_rests_for_that_subject_only(worker: Worker) -> None:
    worker.fail_for("user:mallory", times=20)
    assert worker.cooldowns.wait_s("m", "user:mallory") == 30
    assert worker.wait_s == 0
    await worker.told()
    assert worker.wait_s == 0
    worker.now_s += 30
    assert worker.cooldowns.wait_s("m", "user:mallory") == 0


async def test_failures_of_two_subjects_are_a_row_over_all_workers(worker: Worker, store: CooldownStore) -> None:
    # Given two workers, each of which has seen one subject fail, and one failure too few in all
    other = Worker(store)
    worker.fail_for("user:mallory", times=2)
    await worker.told()
    assert other.wait_s == 0
    # When the other worker sees another subject fail
    other.fail_for("user:alice")
    await other.told()
    # Then the model rests at both, for everybody
    assert other.wait_s > 0
    await worker.cooldowns.refresh()
    assert worker.wait_s > 0


async def test_an_answer_at_any_worker_ends_the_row(worker: Worker, store: CooldownStore) -> None:
    other = Worker(store)
    worker.fail_for("user:mallory", times=2)
    await worker.told()
    await other.cooldowns.refresh()
    other.cooldowns.succeeded("m", "user:alice")
    await other.told()
    other.fail_for("user:alice")
    await other.told()
    assert other.wait_s == 0


async def test_a_model_that_answers_and_has_not_failed_costs_the_store_nothing(worker: Worker) -> None:
    for number in range(10):
        worker.cooldowns.succeeded("m", f"user:{number}")
    assert not worker.cooldowns._sending


async def test_what_is_kept_of_single_subjects_is_bounded_and_names_nobody_in_the_store(
    worker: Worker, store: CooldownStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.cooldowns._own_rows, "_most", 10)
    worker.policy.replace(Policy({"free": Tier("free")}, "free", cooldown=Cooldown(failures=100)))
    for number in range(50):
        worker.fail_for(f"user:{number}")
    await worker.told()
    assert len(worker.cooldowns._own_rows) == 10
    (kept,) = (await store._session.hgetall(store._keys.failures())).values()
    assert "user:" not in kept
    assert 0 < await store._session.pttl(store._keys.failures()) <= 30_000


async def test_names_that_sessions_make_up_for_a_wildcard_do_not_rest_and_are_told_to_nobody(
    worker: Worker, store: CooldownStore
) -> None:
    models = {"m": Model("m", "openai/m")}
    wild = {"own/*": Model("own/*", "openai/*")}
    worker.policy.replace(Policy({"free": Tier("free")}, "free", models, wild))
    for number in range(20):
        worker.fail(3, f"own/{number}")
        worker.fail(1, f"own/{number}", retry_after_s=60)
    await worker.told()
    assert await store.cooling() == ([], set())
    assert worker.cooldowns.wait_s("own/1") == 0
    worker.fail(3)
    assert worker.wait_s > 0


async def test_an_answer_ends_the_row_also_where_a_refresh_was_under_way_when_it_failed(store: CooldownStore) -> None:
    # Given a worker whose refresh has read the store before a failure, and goes by it after that
    class Early:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def cooling(self) -> tuple[list[Cooling], set[str]]:
            return [], set()

    worker, other = Worker(Early()), Worker(store)
    worker.fail_for("user:a")
    await worker.told()
    await worker.cooldowns.refresh()
    # When the model answers
    worker.cooldowns.succeeded("m")
    await worker.told()
    # Then the next failures are a row of their own
    other.fail_for("user:b", 2)
    await other.told()
    assert other.wait_s == 0
