"""Settings of a LiteLLM config that the gateway keeps itself, over HTTP: second names, wildcards, the header that names
a user, what keys have and may not exceed, and fallbacks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalix.domain.limits.calendar import DAY_MS
from scalix.service.exchange.names_of_day import MOST_NAMES_A_DAY
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import LedgerReader
from tests.edge.key_rig import ask, code_of, info, made
from tests.edge.limits_rig import Instance
from tests.edge.usage_rig import now_ms
from tests.service.outage_rig import PROMPT

INFO = "model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}"
NAME_OF_CLIENTS = "free-opus 5[1m]"
CONFIG = f"""
model_list:
  - model_name: free-model
    litellm_params: {{model: openai/free-model, api_key: none}}
    {INFO}
  - model_name: dear-model
    litellm_params: {{model: openai/dear-model, api_key: none}}
    {INFO}
  - model_name: free/*
    litellm_params: {{model: openai/*, api_base: "http://localhost:1234/v1", api_key: none}}
    {INFO}
  - model_name: free/exact
    litellm_params: {{model: openai/exactly, api_key: none}}
    {INFO}
  - model_name: "{NAME_OF_CLIENTS}"
    litellm_params: {{model: openai/odd, api_key: none}}
    {INFO}
router_settings:
  model_group_alias: {{free-nick: dear-model, dear-nick: free-model, nobody: nowhere}}
  fallbacks: [{{free-model: [dear-model, free/any-name]}}]
general_settings: {{user_header_name: X-App-User-Id}}
litellm_settings:
  default_key_generate_params: {{max_budget: 2, models: [free-model], rpm_limit: 7}}
  upperbound_key_generate_params: {{max_budget: 10, duration: 30d, tpm_limit: 500}}
scalix:
  default_tier: free
  tiers:
    free: {{models: [free-*, free/*]}}
    pro: {{models: ["*"]}}
"""


@pytest.fixture
async def one(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    instance = Instance(store_url, tmp_path, key_prefix, "one")
    yield instance
    await instance.close()


async def test_a_second_name_is_judged_by_the_tier_of_its_target(one: Instance) -> None:
    def body(model: str) -> dict[str, object]:
        return {**PROMPT, "model": model, "user": "alice"}

    # Its own name would be in the tier, that of its target is not.
    assert code_of(await one.http.post("/v1/chat/completions", json=body("free-nick"))) == (403, "model_not_allowed")
    assert (await one.http.post("/v1/chat/completions", json=body("dear-nick"))).status_code == 200
    assert one.provider.served[-1].admission.model == "free-model"
    assert code_of(await one.http.post("/v1/chat/completions", json=body("nobody"))) == (404, "model_not_found")
    listed = [item["id"] for item in (await one.http.get("/v1/models?user=alice")).json()["data"]]
    assert listed == ["free-model", "free/exact", NAME_OF_CLIENTS, "free/any-name", "dear-nick"]


async def test_what_is_told_of_models_has_second_names_and_what_a_wildcard_serves(one: Instance) -> None:
    listed = [item["id"] for item in (await one.http.get("/v1/models?user=alice")).json()["data"]]
    for path, name in (("/model/info", "model_name"), ("/model_group/info", "model_group")):
        told = (await one.http.get(f"{path}?user=alice")).json()["data"]
        assert [entry[name] for entry in told] == listed
    for model, status in (("dear-nick", 200), ("free/qwen3:8b", 200), ("free-nick", 404), ("other/qwen3", 404)):
        assert (await one.http.get(f"/v1/models/{model}?user=alice")).status_code == status


async def test_the_mode_of_a_model_is_told_by_the_config_else_by_litellms_map(one: Instance) -> None:
    more = f"""  - model_name: free-known
    litellm_params: {{model: openai/text-embedding-3-small, api_key: none}}
  - model_name: free-said
    litellm_params: {{model: openai/own, api_key: none, api_base: "http://localhost:1234/v1"}}
    {INFO.replace("{", "{mode: embedding, ", 1)}
router_settings:"""
    one.config.write_text(one.config.read_text(encoding="utf-8").replace("router_settings:", more), encoding="utf-8")
    one.reload()
    for path, name in (("/model/info", "model_name"), ("/model_group/info", "model_group")):
        told = (await one.http.get(f"{path}?user=alice")).json()["data"]
        modes = {entry[name]: entry.get("model_info", entry)["mode"] for entry in told}
        assert (modes["free-known"], modes["free-said"], modes["free-model"]) == ("embedding", "embedding", "chat")


async def test_prompts_are_counted_for_second_names_and_for_those_of_a_wildcard(one: Instance) -> None:
    for model, status in (("dear-nick", 200), ("free/qwen3:8b", 200), ("free-nick", 403), ("nobody", 404)):
        body = {"model": model, "user": "alice", "input": "hello"}
        assert (await one.http.post("/v1/responses/input_tokens", json=body)).status_code == status


async def test_a_wildcard_of_a_server_of_ones_own_serves_any_fitting_name_in_its_tier(one: Instance) -> None:
    async def code(model: str) -> int:
        answer = await one.http.post("/v1/chat/completions", json={**PROMPT, "model": model, "user": "bob"})
        return answer.status_code

    assert await code("free/qwen3:8b") == 200
    assert one.provider.served[-1].admission.model == "free/qwen3:8b"
    assert await code("free/exact") == 200
    wrong = ["free/", "free/a,b", "free/../b", "free/ü", "free/a b", f"free/{'x' * 128}", "other/qwen3"]
    assert [await code(model) for model in wrong] == [404] * len(wrong)
    models = one.core.policy.current.models_with("free/qwen3:8b")
    assert models["free/qwen3:8b"].provider_model == "openai/qwen3:8b"
    assert models["free/exact"].provider_model == "openai/exactly"


async def test_a_name_with_spaces_and_brackets_is_a_name_for_tiers_keys_and_wildcards(one: Instance) -> None:
    for name in (NAME_OF_CLIENTS, "free/opus[1m]"):
        key = await made(one, user_id="frank", models=[name])
        held = {"authorization": f"Bearer {key['key']}"}
        answer = await one.http.post("/v1/chat/completions", json={**PROMPT, "model": name}, headers=held)
        assert answer.status_code == 200, answer.text
        assert one.provider.served[-1].admission.model == name
        other = await one.http.post("/v1/chat/completions", json={**PROMPT, "model": "free-opus 51"}, headers=held)
        assert other.status_code == 404


async def test_beyond_a_days_most_names_sums_and_metrics_say_other_and_events_the_name(
    one: Instance, key_prefix: str
) -> None:
    day = await now_ms(one) // DAY_MS
    names = [f"free/of-another-worker-{number}" for number in range(MOST_NAMES_A_DAY)]
    await one.core.store.client.sadd(Keys(key_prefix).wildcard_names(day), *names)
    for model in ("free/one-more", names[7], "free/any-name", "free-model", "free/and-another"):
        answer = await one.http.post("/v1/chat/completions", json={**PROMPT, "model": model, "user": "gail"})
        assert answer.status_code == 200, answer.text
    expected = {"other": 2, names[7]: 1, "free/any-name": 1, "free-model": 1}
    reader = LedgerReader(StoreSession(one.core.store.client, Keys(key_prefix)))
    for sums in (await reader.by_day(day, day), await reader.summaries("user:gail", day, day)):
        found: dict[str, int] = {}
        for item in sums:
            found[item.model] = found.get(item.model, 0) + item.sums.events
        assert found == expected
    events = await reader.events("user:gail", day)
    assert {event.detail.model for event in events} == {"free/one-more", "free/and-another", *expected} - {"other"}
    metrics = (await one.http.get("/metrics")).text
    assert 'model="other"' in metrics
    assert "one-more" not in metrics


async def test_the_header_names_the_user_of_requests_with_the_master_key_and_of_no_others(one: Instance) -> None:
    header = {"X-App-User-Id": "carol"}
    assert (await one.http.post("/v1/chat/completions", json=PROMPT, headers=header)).status_code == 200
    assert str(one.provider.served[-1].admission.caller.subject) == "user:carol"
    same = await one.http.post("/v1/chat/completions", json={**PROMPT, "user": "carol"}, headers=header)
    assert same.status_code == 200
    number = await one.http.post(
        "/v1/responses/input_tokens",
        json={"model": "free-model", "input": "hi", "user": 7},
        headers={"X-App-User-Id": "7"},
    )
    assert number.status_code == 200
    other = await one.http.post("/v1/chat/completions", json={**PROMPT, "user": "dave"}, headers=header)
    assert (other.status_code, other.json()["error"]["param"]) == (400, "user")
    key = await made(one, user_id="erin")
    held = {"authorization": f"Bearer {key['key']}", **header}
    assert (await one.http.post("/v1/chat/completions", json=PROMPT, headers=held)).status_code == 200
    assert str(one.provider.served[-1].admission.caller.subject) == "user:erin"


async def test_keys_have_what_the_config_says_and_none_exceeds_its_bounds(one: Instance) -> None:
    shown = await info(one, (await made(one))["key"])
    assert (shown["max_budget"], shown["models"], shown["rpm_limit"], shown["tpm_limit"]) == (2, ["free-model"], 7, 500)
    assert shown["expires"] is not None
    own = await info(one, (key := await made(one, max_budget=9, models=["*"], duration="1h"))["key"])
    assert (own["max_budget"], own["models"]) == (9, ["*"])
    for field, value in (("max_budget", 10.5), ("duration", "31d"), ("tpm_limit", 501)):
        refused = await one.http.post("/key/generate", json={field: value})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, field)
        changed = await one.http.post("/key/update", json={"key": key["key"], field: value})
        assert (changed.status_code, changed.json()["error"]["param"]) == (400, field)
    # What has a bound can't be made endless.
    assert (await one.http.post("/key/update", json={"key": key["key"], "max_budget": None})).status_code == 200
    assert (await info(one, key["key"]))["max_budget"] == 10
    assert (await ask(one, key["key"])).status_code == 200


async def test_a_user_whose_key_can_not_be_made_is_not_made_either(one: Instance) -> None:
    text = one.config.read_text(encoding="utf-8")
    one.config.write_text(text.replace("max_budget: 2,", "max_budget: 20,"), encoding="utf-8")
    one.reload()
    refused = await one.http.post("/user/new", json={"user_id": "eve"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "max_budget")
    one.config.write_text(text, encoding="utf-8")
    one.reload()
    again = await one.http.post("/user/new", json={"user_id": "eve"})
    assert again.status_code == 200, again.text
    assert again.json()["key"]


async def test_keys_that_were_made_before_there_were_bounds_go_on_as_they_are(one: Instance) -> None:
    text = one.config.read_text(encoding="utf-8")
    bounds = next(line for line in text.splitlines() if "upperbound_key" in line)
    one.config.write_text(text.replace(bounds, ""), encoding="utf-8")
    one.reload()
    key = (await made(one, max_budget=99))["key"]
    one.config.write_text(text, encoding="utf-8")
    one.reload()
    assert (await ask(one, key)).status_code == 200
    assert (await one.http.post("/key/update", json={"key": key, "key_alias": "old"})).status_code == 200
    shown = await info(one, key)
    assert (shown["key_alias"], shown["max_budget"]) == ("old", 99)
    changed = await one.http.post("/key/update", json={"key": key, "max_budget": 98})
    assert code_of(changed)[0] == 400


async def test_a_fallback_of_litellms_config_is_only_for_those_whose_tier_has_it(one: Instance) -> None:
    policy = one.core.policy.current
    served_by_wildcard = "free/any-name"
    assert policy.fallbacks == {"free-model": ("dear-model", served_by_wildcard)}
    assert policy.models[served_by_wildcard].provider_model == "openai/any-name"
    for user, tier, models in (
        ("f", "free", ["free-model", served_by_wildcard]),
        ("p", "pro", ["free-model", "dear-model", served_by_wildcard]),
    ):
        await one.http.post("/user/new", json={"user_id": user, "tier": tier})
        caller = await one.core.callers.users.caller(user)
        assert [model.name for model in one.core.exchange.fallbacks.candidates(caller, "free-model").models] == models
