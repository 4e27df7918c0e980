"""`/metrics`: read by the operator and by a scraper with its token, by nobody else; no user in it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scalix.domain.failures import ErrorClass
from scalix.domain.ledger.deployment_sums import DeploymentSums
from scalix.domain.limits.quota import Outcome
from scalix.edge.metrics import MOST_DEPLOYMENTS, page_of
from scalix.service.usage.gateway_metrics import Here, Remembered, Snapshot
from scalix.store.base import StoreUnavailable
from tests.edge.limits_rig import TOKENS, Instance
from tests.edge.usage_rig import client_of, key_for, now_ms, settle

SCRAPER = "scraper-token-0123456789abcdef"
Make = Callable[..., Instance]


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    made: list[Instance] = []

    def make(token: str | None = None, **environ: str) -> Instance:
        made.append(Instance(store_url, tmp_path, key_prefix, f"worker-{len(made)}", metrics_token=token, **environ))
        return made[-1]

    yield make
    for instance in made:
        await instance.close()


def samples(answer: httpx.Response) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def named(answer: httpx.Response, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(value for _, value in labels): value
        for (found, labels), value in samples(answer).items()
        if found == f"scalix_{name}"
    }


async def test_without_a_key_there_are_no_metrics(make: Make) -> None:
    a = make(SCRAPER)
    key = await key_for(a, "ann")
    for token, status in ((None, 401), ("", 401), ("sk-wrong", 401), (SCRAPER[:-1], 401), (key["key"], 403)):
        async with client_of(a, token) as client:
            answer = await client.get("/metrics")
            assert (answer.status_code, "scalix_" in answer.text) == (status, False)
    async with client_of(make(), SCRAPER) as client:  # an instance that has no such token
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", params={"token": SCRAPER})).status_code == 401


async def test_a_scrapers_token_opens_the_metrics_and_nothing_else(make: Make) -> None:
    a = make(SCRAPER)
    async with client_of(a, SCRAPER) as client:
        assert (await client.get("/metrics")).status_code == 200
        for path in ("/v1/models", "/user/list", "/scalix/v1/usage", "/scalix/v1/reports/day"):
            assert (await client.get(path)).status_code == 401
    assert (await a.http.get("/metrics")).status_code == 200


async def test_what_was_used_today_by_model_tier_and_outcome(make: Make) -> None:
    a = make()
    assert (await a.ask("canary-user")).status_code == 200
    at_ms = await now_ms(a)
    more: dict[str, Any] = {"model": "gpt-4", "served": "gpt-4", "tier": "premium"}
    paid: dict[str, Any] = {"tokens": 40, "cost": 2_000_000_000, "charge": 3_000_000_000, "cached_tokens": 15}
    await settle(a, "canary-other", at_ms=at_ms, **paid, **more)
    await settle(
        a,
        "canary-other",
        at_ms=at_ms,
        tokens=0,
        cost=0,
        charge=0,
        outcome=Outcome.PROVIDER_FAILED,
        error="timeout",
        **more,
    )
    answer = await a.http.get("/metrics")
    assert named(answer, "requests_today") == {
        ("free-model", "success", "free"): 1,
        ("gpt-4", "success", "premium"): 1,
        ("gpt-4", "provider_failed", "premium"): 1,
    }
    assert named(answer, "tokens_today")["free-model", "success", "free"] == TOKENS
    assert named(answer, "tokens_today")["gpt-4", "success", "premium"] == 40
    assert named(answer, "prompt_tokens_today")["gpt-4", "premium"] == 20
    assert named(answer, "cached_tokens_today")["gpt-4", "premium"] == 15
    assert named(answer, "provider_cost_today_usd")["gpt-4", "premium"] == 2
    assert named(answer, "charge_today_usd")["gpt-4", "premium"] == 3
    assert named(answer, "errors_today") == {("timeout", "gpt-4", "openai"): 1}
    assert "canary" not in answer.text


async def test_the_store_keys_that_end_and_this_worker(make: Make) -> None:
    a = make()
    for duration in ("1h", "6d", "8d", None):
        await key_for(a, "ann", duration=duration)
    answer = await a.http.get("/metrics")
    assert named(answer, "keys_expiring") == {("7d",): 2}
    assert named(answer, "store_up") == {(): 1}
    assert named(answer, "store_requests_in_flight") == {(): 0}
    assert named(answer, "store_memory_used_bytes")[()] > 100_000
    (worker,) = named(answer, "worker_resident_memory_bytes")
    assert named(answer, "worker_resident_memory_bytes")[worker] > 10_000_000
    assert named(answer, "worker_requests_in_flight") == {worker: 0}
    assert named(answer, "worker_journal_pending_bytes") == {worker: 0}
    assert named(answer, "worker_store_emptied") == {worker: 0}


async def test_what_the_worker_has_refused_is_counted_by_code(make: Make) -> None:
    a = make()
    for _ in range(3):
        await a.ask("ann")  # two fit in the hour
    async with client_of(a, "sk-wrong") as client:
        await client.get("/v1/models")
        await client.get("/nowhere")
    refusals = named(await a.http.get("/metrics"), "worker_refusals_total")
    assert {code: number for (code, _), number in refusals.items()} == {
        "rate_limit_exceeded": 1,
        "invalid_api_key": 1,
        "route_not_found": 1,
    }


async def test_while_the_store_is_away_the_metrics_say_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    a = make()

    async def away() -> int:
        raise StoreUnavailable("away")

    monkeypatch.setattr(a.core.usage.metrics, "leases", away)
    answer = await a.http.get("/metrics")
    assert named(answer, "store_up") == {(): 0}
    assert named(answer, "requests_today") == {}
    assert len(named(answer, "worker_resident_memory_bytes")) == 1


async def test_what_is_costly_to_read_is_read_once_in_its_time() -> None:
    now_s, reads = 0.0, 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    remembered = Remembered(read, 10.0, lambda: now_s)
    assert [await remembered.get() for _ in range(3)] == [1, 1, 1]
    now_s = 9.9
    assert await remembered.get() == 1
    now_s = 10.0
    assert await remembered.get() == 2


async def test_a_store_that_tells_nothing_of_its_memory_is_up_all_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = make()

    async def not_permitted() -> int:
        raise StoreUnavailable("NOPERM")

    monkeypatch.setattr(a.core.usage.metrics, "memory", not_permitted)
    answer = await a.http.get("/metrics")
    assert named(answer, "store_up") == {(): 1}
    assert named(answer, "store_memory_used_bytes") == {}


async def test_of_very_many_deployments_those_with_the_most_requests_are_shown() -> None:
    errors = {str(error): 1 for error in ErrorClass}
    many = [DeploymentSums(f"d#{number}", "direct", number, errors=errors) for number in range(300)]
    page = page_of(Snapshot(True, Here(0, 0, 0), [], many)).body.decode()
    series = [line for line in page.splitlines() if line.startswith("scalix_deployment_")]
    assert len(series) == MOST_DEPLOYMENTS * (7 + len(errors))
    assert 'scalix_deployment_requests_today{deployment="d#299",engine="direct"} 299.0' in series
    assert not [line for line in series if '"d#199"' in line]
    few = page_of(Snapshot(True, Here(0, 0, 0), [], many[:50])).body.decode()
    assert few.count("\nscalix_deployment_") <= 900
