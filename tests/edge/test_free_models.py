"""Money that is used up keeps nobody from what costs nothing; and what costs is then not taken in its place."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.edge.key_rig import ask, made
from tests.edge.limits_rig import Instance
from tests.service.outage_rig import USED_NANO_USD

CONFIG = """
model_list:
  - model_name: dear
    litellm_params: {model: openai/dear, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: gratis
    litellm_params: {model: openai/gratis, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0, output_cost_per_token: 0}
  - model_name: gratis-too
    litellm_params: {model: openai/gratis-too, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0, output_cost_per_token: 0}
  - model_name: gratis-with-others
    litellm_params: {model: openai/gratis-with-others, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0, output_cost_per_token: 0}
scalix:
  default_tier: poor
  fallbacks: {gratis-with-others: [dear, gratis-too]}
  tiers:
    poor: {models: ["*"], spend_usd: {month: 0.0002}, requests: {month: 3}}
"""


@pytest.fixture
async def one(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    instance = Instance(store_url, tmp_path, key_prefix, "one")
    yield instance
    await instance.close()


async def chat(one: Instance, model: str, user: str = "ann") -> httpx.Response:
    body = {"model": model, "user": user, "messages": [{"role": "user", "content": "hi"}]}
    return await one.http.post("/v1/chat/completions", json=body)


async def spend_all(one: Instance, user: str = "ann") -> None:
    """Have the user spend more than there is, as an overrun does."""
    assert (await chat(one, "dear", user)).status_code == 200
    cut = {"user_id": user, "limits": {"spend_usd": {"month": USED_NANO_USD / 2 / 1e9}}}
    assert (await one.http.put("/user/limits", json=cut)).status_code == 200
    refused = await chat(one, "dear", user)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize("model", ["gratis", "gratis-with-others"])
async def test_who_has_no_money_left_may_use_what_costs_nothing(one: Instance, model: str) -> None:
    await spend_all(one)
    for _ in range(2):
        answer = await chat(one, model)
        assert (answer.status_code, answer.headers["x-scalix-model-served"]) == (200, model)
    refused = await chat(one, model)  # the other limits hold
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert refused.json()["error"]["scalix"]["limit"] == "requests-month"


async def test_a_fallback_that_costs_is_then_passed_over(one: Instance) -> None:
    failing = one.provider.failing = {"gratis-with-others"}
    rich = await chat(one, "gratis-with-others", "rich")
    assert rich.headers["x-scalix-model-served"] == "dear"
    await spend_all(one)
    answer = await chat(one, "gratis-with-others")
    assert (answer.status_code, answer.headers["x-scalix-model-served"]) == (200, "gratis-too")
    failing.add("gratis-too")
    assert (await chat(one, "gratis-with-others")).status_code == 503
    assert "dear" not in [served.attempt.model for served in list(one.provider.served)[-2:]]


async def test_a_key_without_money_may_use_what_costs_nothing(one: Instance) -> None:
    key = await made(one, user_id="bob", max_budget=USED_NANO_USD / 2 / 1e9)
    assert (await ask(one, key["key"], model="dear")).status_code == 429
    assert (await ask(one, key["key"], model="gratis-with-others")).status_code == 200
