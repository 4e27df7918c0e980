"""A limit of 0, wherever it can be set: none is allowed, and nobody is told to wait for what no time brings."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.edge.key_rig import ask, made
from tests.edge.limits_rig import Instance

CONFIG = """
model_list:
  - model_name: dear
    litellm_params: {model: openai/dear, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: gratis
    litellm_params: {model: openai/gratis, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0, output_cost_per_token: 0}
scalix:
  default_tier: open
  tiers:
    open: {models: ["*"]}
    no-requests: {models: ["*"], requests: {hour: 0, day: 5}, upgrade_url: https://scalix.world/pricing}
    no-tokens: {models: ["*"], tokens: {day: 0}}
    no-money: {models: ["*"], spend_usd: {month: 0}}
    none-at-once: {models: ["*"], concurrent: 0}
    shadow: {models: ["*"], requests: {hour: 0}, concurrent: 0, enforce: false}
"""
TIERS = {
    "no-requests": ("requests-hour", "rate_limit_exceeded"),
    "no-tokens": ("tokens-day", "insufficient_quota"),
    "no-money": ("spend_usd-month", "insufficient_quota"),
    "none-at-once": ("concurrent", "rate_limit_exceeded"),
}
OWN: dict[str, tuple[dict[str, Any], str]] = {
    "requests-hour": ({"requests": {"hour": 0}}, "rate_limit_exceeded"),
    "tokens-minute": ({"tokens": {"minute": {"limit": 0}}}, "insufficient_quota"),
    "spend_usd-day": ({"spend_usd": {"day": 0}}, "insufficient_quota"),
    "concurrent": ({"concurrent": 0}, "rate_limit_exceeded"),
}
KEYS = {
    "rpm_limit": "rate_limit_exceeded",
    "tpm_limit": "insufficient_quota",
    "max_budget": "insufficient_quota",
    "max_parallel_requests": "rate_limit_exceeded",
}


@pytest.fixture
async def one(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    instance = Instance(store_url, tmp_path, key_prefix, "one")
    yield instance
    await instance.close()


async def chat(one: Instance, user: str, model: str = "dear") -> httpx.Response:
    body = {"model": model, "user": user, "messages": [{"role": "user", "content": "hi"}]}
    return await one.http.post("/v1/chat/completions", json=body)


def assert_none_is_allowed(answer: httpx.Response, limit: str, code: str) -> None:
    assert answer.status_code == 429, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["scalix"]["limit"], error["scalix"]["limit_value"]) == (code, limit, 0)
    assert error["scalix"]["reset_at"] is None
    assert "retry-after" not in answer.headers
    assert answer.headers["x-should-retry"] == "false"
    assert not [name for name in answer.headers if name.startswith("x-ratelimit-reset")]
    items = answer.headers.get("ratelimit", "").split(", ")
    assert f'"{limit}";r=0' in items or limit.startswith("key.") or limit == "concurrent"
    message = error["message"]
    assert "allow" in message
    assert not any(word in message for word in ("Try again", "Wait", "Shorten", "used all", "in flight with"))


@pytest.mark.parametrize("tier", TIERS)
async def test_a_tier_allows_none(one: Instance, tier: str) -> None:
    assert (await one.http.post("/user/new", json={"user_id": "ann", "tier": tier})).status_code == 200
    for _ in range(4):  # the last ones of what is known without the store
        assert_none_is_allowed(await chat(one, "ann"), *TIERS[tier])
    assert not one.provider.served


async def test_what_is_told_of_a_tier_is_where_there_is_more(one: Instance) -> None:
    await one.http.post("/user/new", json={"user_id": "ann", "tier": "no-requests"})
    message = (await chat(one, "ann")).json()["error"]["message"]
    assert message == (
        "No requests are allowed on the no-requests tier: requests-hour is 0. "
        "More is available at https://scalix.world/pricing."
    )


@pytest.mark.parametrize("path", ["/user/new", "/user/update", "/user/limits"])
@pytest.mark.parametrize("limit", OWN)
async def test_a_users_own_limit_allows_none(one: Instance, path: str, limit: str) -> None:
    own, code = OWN[limit]
    if path == "/user/update":
        await one.http.post("/user/new", json={"user_id": "ann"})
    method = "PUT" if path == "/user/limits" else "POST"
    put = await one.http.request(method, path, json={"user_id": "ann", "limits": own})
    assert put.status_code == 200, put.text
    assert_none_is_allowed(await chat(one, "ann"), limit, code)
    shown = (await one.http.get("/user/limits?user_id=ann")).json()["limits"]
    assert next(item["limit_value"] for item in shown if item["limit"] == limit) == 0


@pytest.mark.parametrize("path", ["/key/generate", "/key/update"])
@pytest.mark.parametrize("field", KEYS)
async def test_a_key_allows_none(one: Instance, path: str, field: str) -> None:
    key = await made(one, **({field: 0} if path == "/key/generate" else {}))
    if path == "/key/update":
        body = {"key": key["token"], field: 0}
        assert (await one.http.post(path, json=body)).status_code == 200
    assert_none_is_allowed(await ask(one, key["key"], model="dear"), f"key.{field}", KEYS[field])
    info = (await one.http.get("/key/info", params={"key": key["token"]})).json()["info"]
    assert info[field] == 0


async def test_no_money_still_buys_what_costs_nothing(one: Instance) -> None:
    await one.http.post("/user/new", json={"user_id": "ann", "tier": "no-money"})
    assert (await chat(one, "ann")).status_code == 429
    assert (await chat(one, "ann", "gratis")).status_code == 200
    key = await made(one, max_budget=0)
    assert (await ask(one, key["key"], model="gratis")).status_code == 200


async def test_a_limit_of_none_that_is_not_enforced_refuses_nobody(one: Instance) -> None:
    await one.http.post("/user/new", json={"user_id": "ann", "tier": "shadow"})
    answer = await chat(one, "ann")
    assert answer.status_code == 200
    assert answer.headers["x-scalix-shadow"] == "requests-hour, concurrent"
