"""`/metrics`: read by the operator and by a scraper with its token, by nobody else; no user in it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scalix.service.metrics.gateway_metrics import Remembered, StoreReadings
from scalix.store.base import StoreUnavailable
from tests.edge.limits_rig import TOKENS, Instance
from tests.edge.usage_rig import client_of, key_for

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


async def test_what_requests_have_used_by_model_and_tier(make: Make) -> None:
    a = make()
    assert (await a.ask("canary-user")).status_code == 200
    answer = await a.http.get("/metrics")
    assert named(answer, "requests_total") == {("free-model", "success", "free"): 1}
    tokens = named(answer, "tokens_total")
    assert tokens["prompt", "free-model"] + tokens["completion", "free-model"] == TOKENS
    assert named(answer, "provider_cost_usd_total")["free-model", "free"] == pytest.approx(TOKENS / 1_000_000)
    assert named(answer, "request_seconds_count") == {("openai",): 1}
    assert named(answer, "request_seconds_bucket")["300.0", "openai"] == 1
    assert named(answer, "redis_call_seconds_count")[()] >= 2
    assert "canary" not in answer.text


async def test_counters_are_those_of_the_ledger(make: Make) -> None:
    a = make()
    for user in ("ann", "ben", "cy", "ann", "ann"):  # the third of ann's does not fit
        await a.ask(user)
    answer = await a.http.get("/metrics")
    page = (await a.http.get("/scalix/v1/reports/model")).json()["rows"]
    assert sum(named(answer, "requests_total").values()) == sum(row["requests"] for row in page) == 4
    assert sum(named(answer, "tokens_total").values()) == sum(row["tokens"] for row in page)
    assert named(answer, "refusals_total") == {("rate_limit_exceeded",): 1}


async def test_a_scrape_has_the_figures_of_all_workers_whichever_answers(make: Make) -> None:
    a = make()
    b = make(SCALIX_STATE_DIR=str(a.core.store.state_dir))
    for worker in (a, b, b):
        assert (await worker.ask(f"user-{id(worker)}")).status_code == 200
    b.core.usage.gauges.publish()
    for worker in (a, b):
        answer = await worker.http.get("/metrics")
        assert sum(named(answer, "requests_total").values()) == 3
        assert named(answer, "workers") == {(): 2}
        assert named(answer, "worker_starts_total") == {(): 2}


async def test_two_instances_add_up_and_have_the_same_figures_of_the_store(make: Make) -> None:
    a, b = make(), make()
    await key_for(a, "ann", duration="1h")
    assert [(await one.ask(f"user-{number}")).status_code for number, one in enumerate((a, a, b))] == [200] * 3
    answers = [await one.http.get("/metrics") for one in (a, b)]
    assert [sum(named(answer, "requests_total").values()) for answer in answers] == [2, 1]
    assert [named(answer, "store_keys_expiring") for answer in answers] == [{("7d",): 1}] * 2


async def test_the_store_keys_that_end_and_this_instance(make: Make) -> None:
    a = make()
    for duration in ("1h", "6d", "8d", None):
        await key_for(a, "ann", duration=duration)
    answer = await a.http.get("/metrics")
    assert named(answer, "store_keys_expiring") == {("7d",): 2}
    assert named(answer, "store_up") == {(): 1}
    assert named(answer, "store_requests_in_flight") == {(): 0}
    assert named(answer, "store_memory_used_bytes")[()] > 100_000
    assert named(answer, "resident_memory_bytes")[()] > 10_000_000
    for name in ("requests_in_flight", "requests_waiting", "reservations_open", "redis_breaker_open"):
        assert named(answer, name) == {(): 0}
    for name in ("journal_pending_bytes", "journal_without_room", "store_emptied", "models_resting"):
        assert named(answer, name) == {(): 0}


async def test_what_the_gateway_has_refused_is_counted_by_code(make: Make) -> None:
    a = make()
    for _ in range(3):
        await a.ask("ann")  # two fit in the hour
    async with client_of(a, "sk-wrong") as client:
        await client.get("/v1/models")
        await client.get("/nowhere")
    assert named(await a.http.get("/metrics"), "refusals_total") == {
        ("rate_limit_exceeded",): 1,
        ("invalid_api_key",): 1,
        ("route_not_found",): 1,
    }


async def test_while_the_store_is_away_the_metrics_say_so(make: Make) -> None:
    a = make()

    async def away() -> Any:
        raise StoreUnavailable("away")

    a.core.usage.metrics.of_store[0] = away
    answer = await a.http.get("/metrics")
    assert named(answer, "store_up") == {(): 0}
    assert named(answer, "store_requests_in_flight") == {}
    assert len(named(answer, "resident_memory_bytes")) == 1


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


async def test_a_store_that_tells_nothing_of_its_memory_is_up_all_the_same(make: Make) -> None:
    a = make()

    async def not_permitted() -> Any:
        raise StoreUnavailable("NOPERM")

    (readings,) = [one.__self__ for one in a.core.usage.metrics.of_store if one.__name__ == "server_memory"]  # type: ignore[attr-defined]
    assert isinstance(readings, StoreReadings)
    readings._memory = not_permitted
    answer = await a.http.get("/metrics")
    assert named(answer, "store_up") == {(): 1}
    assert named(answer, "store_memory_used_bytes") == {}
