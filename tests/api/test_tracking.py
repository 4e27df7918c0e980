"""`usage_tracker`, `rate_limiter` and `cost_calculator` over a real store, as any process uses them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scalix.api.costs import CostCalculator
from scalix.api.errors import StoreNotRunning, UnknownPrice
from scalix.api.limits import RateLimiter
from scalix.api.place import Place, find_place
from scalix.api.runtime import Runtime
from scalix.api.tracking import UsageTracker
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import write_policy
from scalix.launch.embedded.embedded_store import EmbeddedStore
from tests.edge.limits_rig import Instance

CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/free-model, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
  - model_name: without-its-key
    litellm_params: {model: openai/x, api_key: "${A_KEY_THAT_IS_NOT_HERE}"}
    model_info: {input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
  - model_name: unpriced
    litellm_params: {model: openai/nobody-knows, api_key: none}
scalix:
  default_tier: free
  prices: {markup: {free: 0, premium: 1.5}}
  tiers:
    free: {models: ["free-*"], requests: {hour: 2, month: 1000}, tokens: {day: 10000}}
    premium: {models: ["*"]}
    narrow: {models: ["*"], requests: {minute: 100}, spend_usd: {month: 1}, concurrent: 1}
"""
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


@pytest.fixture
def runtime(store_url: str, tmp_path: Path, key_prefix: str) -> Iterator[Runtime]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    values = {
        "SCALIX_CONFIG": str(tmp_path / "config.yaml"),
        "SCALIX_STORE_URL": store_url,
        "SCALIX_KEY_PREFIX": key_prefix,
        "SCALIX_STATE_DIR": str(tmp_path / "state"),
    }
    made = Runtime(lambda: find_place(values, tmp_path))
    yield made
    made.close()


@pytest.fixture
async def gateway(runtime: Runtime, store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Instance]:
    instance = Instance(store_url, tmp_path, key_prefix, "worker")
    yield instance
    await instance.close()


async def in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(call, *arguments)


def test_somebody_who_never_called_has_a_newcomers_room(runtime: Runtime) -> None:
    found = UsageTracker(runtime).get_user_usage("test_user")
    assert {**found, "resets": sorted(found["resets"])} == {
        "user_id": "test_user",
        "tier": "free",
        "requests_today": 0,
        "tokens_today": 0,
        "requests_this_hour": 0,
        "charge_today_usd": 0.0,
        "cost_today_usd": 0.0,
        "requests_in_flight": 0,
        "limits": {"requests-hour": 2, "requests-month": 1000, "tokens-day": 10_000},
        "remaining": {"requests-hour": 2, "requests-month": 1000, "tokens-day": 10_000},
        "resets": ["requests-hour", "requests-month", "tokens-day"],
    }


def test_what_is_tracked_is_charged_once_by_its_id(runtime: Runtime) -> None:
    tracker = UsageTracker(runtime)
    metadata = {"request_id": "r1", "latency_ms": 40, "anything": object()}
    first = tracker.track_usage("ann", "free-model", USAGE, metadata)
    again = tracker.track_usage("ann", "free-model", USAGE, metadata)
    assert (first["status"], again["status"], first["tokens"]) == ("settled", "duplicate", 15)
    assert (first["provider_cost_usd"], first["charge_usd"]) == (20e-6, 0.0)
    assert tracker.track_usage("ann", "free-model", USAGE)["status"] == "settled"
    found = tracker.get_user_usage("ann")
    assert (found["requests_today"], found["tokens_today"], found["remaining"]["requests-hour"]) == (2, 30, 0)


async def test_the_gateway_counts_what_was_tracked_and_shows_it(runtime: Runtime, gateway: Instance) -> None:
    await gateway.http.post("/user/new", json={"user_id": "ann", "tier": "premium"})
    tracker = UsageTracker(runtime)
    metadata = {
        "request_id": "r1",
        "model_served": "claude",
        "provider": "anthropic",
        "stream": True,
        "provider_cost_usd": 2,
    }
    tracked = await in_thread(tracker.track_usage, "ann", "free-model", USAGE, metadata)
    assert (tracked["provider_cost_usd"], tracked["charge_usd"]) == (2.0, 3.0)
    (event,) = (await gateway.http.get("/scalix/v1/usage/events", params={"user_id": "ann"})).json()["events"]
    told = {name: event[name] for name in ("id", "model", "model_served", "provider", "tier", "tokens", "stream")}
    assert told == {
        "id": "r1",
        "model": "free-model",
        "model_served": "claude",
        "provider": "anthropic",
        "tier": "premium",
        "tokens": 15,
        "stream": True,
    }
    assert (event["charge_usd"], event["provider_cost_usd"], event["price_version"]) == (3.0, 2.0, "caller")
    usage = (await gateway.http.get("/scalix/v1/usage", params={"user_id": "ann"})).json()
    assert (usage["requests_today"], usage["cost_today_usd"]) == (1, 3.0)


async def test_a_cost_alone_is_no_request(runtime: Runtime, gateway: Instance) -> None:
    await gateway.http.post("/user/new", json={"user_id": "ann", "tier": "premium"})
    costs = CostCalculator(runtime)
    for cost in (0.5, Decimal("0.25"), "0.25"):
        assert (await in_thread(costs.track_cost, "ann", "free-model", cost))["status"] == "settled"
    found = await in_thread(UsageTracker(runtime).get_user_usage, "ann")
    assert (found["requests_today"], found["tokens_today"], found["cost_today_usd"]) == (0, 0, 1.5)


def test_a_cost_is_that_of_the_gateways_prices(runtime: Runtime) -> None:
    costs = CostCalculator(runtime)
    assert costs.calculate_cost("free-model", USAGE) == 20e-6
    assert costs.calculate_cost_nano_usd("free-model", {"input_tokens": 1, "output_tokens": 1}) == 3_000
    assert costs.calculate_cost_nano_usd("without-its-key", USAGE) == 20_000
    for model in ("unpriced", "no-such-model"):
        with pytest.raises(UnknownPrice, match=model):
            costs.calculate_cost(model, USAGE)


def test_room_is_looked_at_and_not_taken(runtime: Runtime) -> None:
    limiter, tracker = RateLimiter(runtime), UsageTracker(runtime)
    for _ in range(3):
        assert limiter.check_rate_limit("ann")["allowed"]
    assert limiter.check("ann")["usage"]["requests_today"] == 0
    for _ in range(2):
        tracker.track_usage("ann", "free-model", USAGE)
    found = limiter.check("ann", "free-model")
    assert (found["allowed"], found["reason"], found["limit"]) == (False, "rate_limit_exceeded", "requests-hour")
    assert found["retry_after_s"] is not None
    assert 0 < found["retry_after_s"] <= 3_600
    assert limiter.check("ben", "unpriced")["reason"] == "model_not_allowed"
    assert limiter.check("ben", "no-such-model")["reason"] == "model_not_found"
    tracker.track_usage("ben", "free-model", {"prompt_tokens": 10_000, "completion_tokens": 0})
    assert limiter.check("ben")["reason"] == "insufficient_quota"


async def test_a_blocked_user_and_one_with_requests_in_flight_are_told(runtime: Runtime, gateway: Instance) -> None:
    limiter = RateLimiter(runtime)
    await gateway.http.post("/user/new", json={"user_id": "ann", "blocked": True})
    assert (await limiter.aio.check("ann"))["reason"] == "user_blocked"
    await gateway.http.post("/user/new", json={"user_id": "ben"})
    await gateway.http.put("/user/limits", json={"user_id": "ben", "limits": {"concurrent": 1}})
    gateway.provider.gate.clear()
    asking = asyncio.create_task(gateway.ask("ben"))
    async with asyncio.timeout(20):
        while not gateway.provider.served:
            assert not asking.done(), asking.result().text
            await asyncio.sleep(0.01)
    found = await limiter.aio.check("ben")
    gateway.provider.gate.set()
    await asking
    assert (found["reason"], found["limit"], found["usage"]["requests_in_flight"]) == (
        "rate_limit_exceeded",
        "concurrent",
        1,
    )


async def test_asynchronous_callers_get_the_same(runtime: Runtime) -> None:
    tracker, costs, limiter = UsageTracker(runtime).aio, CostCalculator(runtime).aio, RateLimiter(runtime).aio
    assert (await tracker.track_usage("ann", "free-model", USAGE))["status"] == "settled"
    assert (await costs.track_cost("ann", "free-model", 1))["status"] == "settled"
    assert await costs.calculate_cost("free-model", USAGE) == 20e-6
    found, checked = await asyncio.gather(tracker.get_user_usage("ann"), limiter.check_rate_limit("ann"))
    assert found["requests_today"] == 1
    assert checked["usage"] == found


def test_the_time_of_a_request_names_its_windows(runtime: Runtime) -> None:
    tracker = UsageTracker(runtime)
    hours_ago = datetime.now(UTC) - timedelta(hours=2)
    tracker.track_usage("ann", "free-model", USAGE, {"time": hours_ago})
    found = tracker.get_user_usage("ann")
    assert found["requests_this_hour"] == 0
    for time in (datetime.now(UTC) - timedelta(days=2), datetime.now(), "now"):  # noqa: DTZ005
        with pytest.raises(ValueError, match="metadata\\['time'\\]"):
            tracker.track_usage("ann", "free-model", USAGE, {"time": time})


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("", "m", USAGE), "user_id"),
        ((5, "m", USAGE), "user_id"),
        (("ann", "", USAGE), "model"),
        (("ann", "m", {"total_tokens": 5}), "usage"),
        (("ann", "m", {"prompt_tokens": -1, "completion_tokens": 1}), "usage"),
        (("ann", "m", None), "usage"),
        (("ann", "m", USAGE, {"request_id": "a b"}), "request_id"),
        (("ann", "m", USAGE, {"request_id": 7}), "request_id"),
        (("ann", "m", USAGE, {"cost_usd": -1}), "cost"),
        (("ann", "m", USAGE, {"cost_usd": "nan"}), "cost"),
        (("ann", "m", USAGE, {"provider_cost_usd": -1}), "cost"),
        (("ann", "m", USAGE, {"outcome": "fine"}), "outcome"),
        (("ann", "m", USAGE, {"latency_ms": 1.5}), "latency_ms"),
    ],
)
def test_what_makes_no_sense_is_a_value_error(runtime: Runtime, arguments: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        UsageTracker(runtime).track_usage(*arguments)


def test_a_forked_child_has_a_loop_of_its_own(runtime: Runtime) -> None:
    tracker = UsageTracker(runtime)
    tracker.track_usage("ann", "free-model", USAGE)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if tracker.track_usage("ann", "free-model", USAGE)["status"] == "settled" else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert tracker.get_user_usage("ann")["requests_today"] == 2


def test_a_policy_that_the_gateway_puts_in_force_holds_for_the_next_call(
    store_url: str, tmp_path: Path, key_prefix: str
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    policy = read_config(tmp_path / "config.yaml", {}).policy
    file = tmp_path / "policy.json"
    write_policy(file, 1, policy)
    values = {"SCALIX_STORE_URL": store_url, "SCALIX_KEY_PREFIX": key_prefix, "SCALIX_POLICY": str(file)}
    runtime = Runtime(lambda: find_place(values, tmp_path))
    tracker = UsageTracker(runtime)
    assert tracker.get_user_usage("ann")["tier"] == "free"
    write_policy(file, 2, replace(policy, default_tier="narrow"))
    found = tracker.get_user_usage("ann")
    assert (found["tier"], found["limits"]) == ("narrow", {"requests-minute": 100, "spend_usd-month": 1.0})
    runtime.close()


def test_a_store_that_ends_is_told_and_found_again(tmp_path: Path, key_prefix: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    values = {"SCALIX_STATE_DIR": str(tmp_path / "state"), "SCALIX_CONFIG": str(tmp_path / "config.yaml")}

    def find() -> Place:
        return find_place({**values, "SCALIX_KEY_PREFIX": key_prefix}, tmp_path)

    runtime = Runtime(find)
    tracker = UsageTracker(runtime)
    with pytest.raises(StoreNotRunning, match=r"is not running: start the gateway with `make run`"):
        tracker.get_user_usage("ann")
    with (tmp_path / "log").open("wb") as log:
        with EmbeddedStore(tmp_path / "state", output=log):
            tracker.track_usage("ann", "free-model", USAGE)
        with pytest.raises(StoreNotRunning, match="start the gateway"):
            tracker.get_user_usage("ann")
        with EmbeddedStore(tmp_path / "state", output=log):
            assert tracker.get_user_usage("ann")["requests_today"] == 1
    runtime.close()
