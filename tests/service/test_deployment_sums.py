"""What deployments have done, added up over workers and days: over a real store."""

from collections.abc import AsyncIterator, Mapping

import pytest

from scalix.domain.ledger.deployment_sums import DeploymentSums
from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Charge, Outcome
from scalix.domain.policy import Model, Policy, Tier
from scalix.service.deployments.sums import SumsOfDeployments
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore

POLICY = PolicySource(Policy({"t": Tier("t")}, "t"))
MODELS = {"m": Model("m", "openai/m"), "made-up": Model("made-up", "openai/made-up", of_wildcard=True)}
TODAY_MS = 20_000 * DAY_MS


class OddStore(DeploymentSumStore):
    """`is_away`: it does not answer; `forgets_to_answer`: what it is told is taken, and nobody learns that."""

    is_away = forgets_to_answer = False

    async def add(self, day: int, batch: tuple[str, int], figures: Mapping[str, int], lifetime_ms: int) -> None:
        if not self.is_away:
            await super().add(day, batch, figures, lifetime_ms)
        if self.is_away or self.forgets_to_answer:
            raise StoreUnavailable("away")


@pytest.fixture
async def store(store_url: str, key_prefix: str) -> AsyncIterator[OddStore]:
    client = connect(store_url)
    yield OddStore(StoreSession(client, Keys(key_prefix)))
    await client.aclose()


def answered(deployment: str = "m#1", served: str = "m", failed: tuple[str, ...] = ()) -> Charge:
    detail = Detail(
        model="m",
        served=served,
        prompt_tokens=100,
        completion_tokens=10,
        cached_tokens=60,
        cost_nano_usd=7,
        charge_nano_usd=9,
        latency_ms=250,
        deployment=deployment,
        engine="direct",
        failed_deployments=failed,
    )
    return Charge(Outcome.SUCCESS, 1, 110, 9, detail=detail)


async def test_what_all_workers_have_seen_is_one_sum_with_the_failures_that_another_made_good(store: OddStore) -> None:
    one, two = SumsOfDeployments(store, POLICY), SumsOfDeployments(store, POLICY)
    for worker in (one, two):
        worker.note(answered(), TODAY_MS, MODELS)
        worker.note(answered("m#2", failed=("m#1:direct:timeout", "a:b:none:network")), TODAY_MS, MODELS)
        await worker.flush()
    nobody = Charge(Outcome.PROVIDER_FAILED, 0, 0, 0, detail=Detail(failed_deployments=("m#1:litellm:timeout",)))
    one.note(nobody, TODAY_MS, MODELS)
    await one.flush()
    assert await store.sums(20_000, 20_000) == [
        DeploymentSums("a:b", "none", 2, errors={"network": 2}),
        DeploymentSums("m#1", "direct", 4, 200, 20, 120, 14, 18, 2, 500, {"timeout": 2}),
        DeploymentSums("m#1", "litellm", 1, errors={"timeout": 1}),
        DeploymentSums("m#2", "direct", 2, 200, 20, 120, 14, 18),
    ]


async def test_what_was_told_and_not_answered_counts_once(store: OddStore) -> None:
    worker = SumsOfDeployments(store, POLICY)
    store.forgets_to_answer = True
    worker.note(answered(), TODAY_MS, MODELS)
    await worker.flush()
    worker.note(answered(), TODAY_MS, MODELS)
    await worker.flush()
    store.forgets_to_answer = False
    await worker.flush()
    (found,) = await store.sums(20_000, 20_000)
    assert (found.requests, found.prompt_tokens) == (2, 200)


async def test_while_the_store_is_away_nothing_is_lost_and_days_stay_apart(store: OddStore) -> None:
    worker = SumsOfDeployments(store, POLICY)
    store.is_away = True
    for at_ms in (TODAY_MS - 1, TODAY_MS, TODAY_MS):
        worker.note(answered(), at_ms, MODELS)
        await worker.flush()
    store.is_away = False
    await worker.flush()
    for days, requests in (((19_999, 19_999), 1), ((20_000, 20_000), 2), ((19_999, 20_000), 3)):
        assert [one.requests for one in await store.sums(*days)] == [requests]


async def test_names_that_clients_make_up_are_one_and_figures_of_a_newer_version_are_passed_over(
    store: OddStore,
) -> None:
    worker = SumsOfDeployments(store, POLICY)
    worker.note(answered("made-up", "made-up", ("made-up:direct:timeout",)), TODAY_MS, MODELS)
    await worker.flush()
    await store.add(20_000, ("newer", 1), {"other direct of_tomorrow": 5}, 60_000)
    (found,) = await store.sums(20_000, 20_000)
    assert (found.deployment, found.requests, found.errors) == ("other", 2, {"timeout": 1})


async def test_of_what_no_provider_was_asked_nothing_counts(store: OddStore) -> None:
    worker = SumsOfDeployments(store, POLICY)
    worker.note(Charge(Outcome.CACHE_HIT, 1, 0, 0, detail=Detail(model="m", served="m")), TODAY_MS, MODELS)
    worker.note(Charge(Outcome.SWEPT, 1, 5, 0), TODAY_MS, MODELS)
    await worker.flush()
    assert await store.sums(20_000, 20_000) == []
