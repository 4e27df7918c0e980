"""What foreign clients meet while the store is away, where the tier goes on: their paths, names, fields and counts."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.edge.key_rig import code_of, made, with_key
from tests.edge.limits_rig import Instance
from tests.service.outage_rig import PROMPT, StoreProcess

DAY_TOKENS = 2_000
CONFIG = f"""
model_list:
  - model_name: free-model
    litellm_params: {{model: openai/free-model, api_key: none}}
    model_info: {{max_output_tokens: 100, input_cost_per_token: 0, output_cost_per_token: 0}}
  - model_name: own/*
    litellm_params: {{model: openai/*, api_base: "http://localhost:1234/v1", api_key: none}}
    model_info: {{max_output_tokens: 100, input_cost_per_token: 0, output_cost_per_token: 0}}
router_settings: {{model_group_alias: {{nick: free-model}}}}
general_settings: {{user_header_name: X-App-User-Id}}
scalix:
  default_tier: free
  cors: {{origins: ["https://app.example.com"]}}
  tiers:
    free: {{models: ["*"], requests: {{hour: 100}}, on_store_failure: deny}}
    pro: {{models: ["*"], tokens: {{day: {DAY_TOKENS}}}, on_store_failure: allow}}
"""
CHAT = "/v1/chat/completions"
ORIGIN = {"origin": "https://app.example.com"}


@pytest.fixture
async def alone(tmp_path: Path, key_prefix: str) -> AsyncIterator[Instance]:
    """An instance that has seen the user pat of tier pro, and whose store is gone."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    store = StoreProcess(tmp_path)
    one = Instance(store.url, tmp_path, key_prefix, "one")
    one.core.exchange.counting._tokenizer = lambda encoding, text: len(text.split())
    try:
        await one.http.post("/user/new", json={"user_id": "pat", "tier": "pro"})
        assert (await one.ask("pat")).status_code == 200
        store.kill()
        yield one
    finally:
        await one.close()
        store.stop()


async def chat(one: Instance, path: str = CHAT, **changes: object) -> httpx.Response:
    return await one.http.post(path, json={**PROMPT, "user": "pat", **changes})


async def test_every_way_to_ask_goes_on_without_the_store(alone: Instance) -> None:
    assert (await chat(alone)).status_code == 200
    assert (await chat(alone, "/openai/deployments/free-model/chat/completions", model=None)).status_code == 200
    assert (await chat(alone, "/openai/v1/chat/completions")).status_code == 200
    for name, served in (("nick", "free-model"), ("own/qwen3:8b", "own/qwen3:8b")):
        assert (await chat(alone, model=name)).status_code == 200
        assert alone.provider.served[-1].admission.model == served
    dropped = await chat(alone, invented_field=1)
    assert dropped.headers["x-scalix-dropped"] == "invented_field"
    named = await alone.http.post(CHAT, json=PROMPT, headers={"X-App-User-Id": "pat"})
    assert named.status_code == 200
    assert str(alone.provider.served[-1].admission.caller.subject) == "user:pat"


async def test_what_is_only_told_is_told_without_the_store(alone: Instance) -> None:
    for path in ("/v1/models", "/model/info", "/model_group/info", "/v1/models/nick"):
        assert (await alone.http.get(f"{path}?user=pat")).status_code == 200
    anthropics = await alone.http.get("/v1/models", headers={"anthropic-version": "2023-06-01"})
    assert anthropics.json()["has_more"] is False
    asked = {"model": "nick", "user": "pat", "messages": [{"role": "user", "content": "one two"}]}
    assert (await alone.http.post("/v1/messages/count_tokens", json=asked)).json()["input_tokens"] > 1
    preflight = await alone.http.options(CHAT, headers={**ORIGIN, "access-control-request-method": "POST"})
    assert preflight.status_code == 204


async def test_a_refusal_for_want_of_the_store_is_of_the_clients_kind_and_a_page_may_read_it(alone: Instance) -> None:
    body = {"model": "free-model", "user": "nobody-yet", "max_tokens": 9, "messages": PROMPT["messages"]}
    refused = await alone.http.post("/v1/messages", json=body, headers=ORIGIN)
    assert (refused.status_code, refused.json()["type"]) == (503, "error")
    assert refused.headers["retry-after"]
    assert refused.headers["access-control-allow-origin"] == ORIGIN["origin"]


async def test_prompts_are_counted_without_the_store_and_the_limit_is_hard(alone: Instance) -> None:
    words = "and what do you think of it " * 190  # 1,330 words: estimated at more than what is left
    assert (await chat(alone, messages=[{"role": "user", "content": words}])).status_code == 200
    refused = await chat(alone, messages=[{"role": "user", "content": words * 2}])
    assert code_of(refused) == (429, "insufficient_quota")
    assert "needs about 3" in refused.json()["error"]["message"]  # 2,660 words, as a family nobody knows counts them


async def test_a_second_credential_that_nobody_can_check_keeps_nobody_out(tmp_path: Path, key_prefix: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    store = StoreProcess(tmp_path)
    other = Instance(store.url, tmp_path, key_prefix, "other")
    one = Instance(store.url, tmp_path, key_prefix, "one")
    try:
        keys = {}
        for user in ("pat", "sam"):
            await one.http.post("/user/new", json={"user_id": user, "tier": "pro"})
            keys[user] = str((await made(other, user_id=user))["key"])
        held = with_key(keys["pat"])
        assert (await one.http.post(CHAT, json=PROMPT, headers=held)).status_code == 200
        store.kill()
        for second in ("sk-ant-somebody-elses", keys["sam"]):
            asked = await one.http.post(CHAT, json=PROMPT, headers={**held, "x-api-key": second})
            assert asked.status_code == 200
    finally:
        await one.close()
        await other.close()
        store.stop()
