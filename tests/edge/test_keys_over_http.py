"""Virtual keys over HTTP at two instances on one store: acts at one hold for the other's next request."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.identity.key_secrets import digest_of, is_well_formed
from scalix.service.administration.key_administration import new_secret
from tests.edge.key_rig import act, ask, code_of, info, made, until, with_key
from tests.edge.limits_rig import Instance
from tests.service.outage_rig import USED_NANO_USD

Pair = tuple[Instance, Instance]
CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/free-model, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: dear-model
    litellm_params: {model: openai/dear-model, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: free-unpriced
    litellm_params: {model: openai/free-unpriced, api_key: none}
scalix:
  default_tier: free
  upgrade_url: https://scalix.world/pricing
  tiers:
    free: {models: [free-*], requests: {day: 100000}}
    two: {models: [free-*], requests: {day: 2}}
    pro: {models: ["*"], requests: {day: 100000}, features: [lazy_edits, smart_context]}
"""


@pytest.fixture
async def pair(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Pair]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    one, two = (Instance(store_url, tmp_path, key_prefix, name) for name in ("one", "two"))
    yield one, two
    await one.close()
    await two.close()


async def test_a_key_is_shown_once_and_counts_for_its_user(pair: Pair) -> None:
    one, two = pair
    key = await made(one, user_id="alice", key_alias="laptop", metadata={"team": "x"})
    assert is_well_formed(key["key"])
    assert key["token"] == digest_of(key["key"])
    assert key["key_name"] == f"sk-...{key['key'][-4:]}"
    answer = await ask(two, key["key"], user="somebody else")
    assert answer.status_code == 200
    assert answer.headers["x-scalix-tier"] == "free"
    assert str(two.provider.served[-1].admission.caller.subject) == "user:alice"
    for identifier in (key["key"], key["token"]):
        shown = await info(one, identifier)
        assert (shown["spend"], shown["requests"], shown["tokens"]) == (USED_NANO_USD / 1e9, 1, 12)
        assert (shown["key_alias"], shown["metadata"], shown["status"]) == ("laptop", {"team": "x"}, "active")
        assert key["key"] not in str(shown)
    other = await one.http.get("/user/info", params={"user_id": "somebody else"})
    assert other.status_code == 404


async def test_a_key_without_a_user_is_a_user_of_its_own(pair: Pair) -> None:
    one, two = pair
    answer = await one.http.post("/key/generate", json={})
    user_id = answer.json()["user_id"]
    assert user_id.startswith("key:")
    assert (await ask(two, answer.json()["key"])).headers["x-scalix-tier"] == "free"
    await act(one, "/user/update", user_id=user_id, tier="pro")
    assert (await ask(two, answer.json()["key"])).headers["x-scalix-tier"] == "pro"


async def test_x_api_key_works_too(pair: Pair) -> None:
    key = await made(pair[0])
    del pair[1].http.headers["authorization"]
    answer = await pair[1].http.get("/v1/models", headers={"x-api-key": key["key"]})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("act_path", "fields", "expected"),
    [
        ("/key/delete", {"keys": "{token}"}, (401, "invalid_api_key")),
        ("/key/block", {"key": "{token}"}, (403, "key_blocked")),
        ("/key/update", {"key": "{token}", "duration": "1s"}, (200, None)),
        ("/key/update", {"key": "{token}", "models": ["dear-*"]}, (403, "model_not_allowed")),
        ("/key/update", {"key": "{token}", "max_budget": 0.000001}, (429, "insufficient_quota")),
        ("/key/regenerate", {"key": "{token}"}, (401, "invalid_api_key")),
        ("/user/update", {"user_id": "{user_id}", "blocked": True}, (403, "user_blocked")),
        ("/user/delete", {"user_ids": "{user_id}"}, (401, "invalid_api_key")),
    ],
)
async def test_what_is_done_at_one_instance_holds_for_the_next_request_at_the_other(
    pair: Pair, act_path: str, fields: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    one, two = pair
    key = await made(one)
    assert (await ask(two, key["key"])).status_code == 200
    filled = {name: str(value).format(**key) if "{" in str(value) else value for name, value in fields.items()}
    body = {name: [value] if name in ("keys", "user_ids") else value for name, value in filled.items()}
    await act(one, act_path, **body)
    assert code_of(await ask(two, key["key"])) == expected
    assert code_of(await ask(one, key["key"])) == expected


async def test_what_was_blocked_is_let_in_again_at_once(pair: Pair) -> None:
    one, two = pair
    key = await made(one, blocked=True)
    assert code_of(await ask(two, key["key"])) == (403, "key_blocked")
    await act(one, "/key/unblock", key=key["key"])
    assert code_of(await ask(two, key["key"])) == (200, None)
    await act(two, "/key/block", key=key["token"])
    assert code_of(await ask(two, key["key"])) == (403, "key_blocked")


async def test_a_change_of_tier_holds_for_the_keys_next_request(pair: Pair) -> None:
    one, two = pair
    key = await made(one)
    assert code_of(await ask(two, key["key"], model="dear-model")) == (403, "model_not_allowed")
    await act(one, "/user/update", user_id=key["user_id"], tier="pro")
    assert code_of(await ask(two, key["key"], model="dear-model")) == (200, None)
    await act(one, "/user/update", user_id=key["user_id"], tier="free")
    assert code_of(await ask(two, key["key"], model="dear-model")) == (403, "model_not_allowed")


async def test_in_the_time_of_grace_both_secrets_work_and_count_on_one_key(pair: Pair) -> None:
    one, two = pair
    key = await made(one, rpm_limit=1_000)
    await ask(two, key["key"])
    rotated = await act(one, f"/key/{key['token']}/regenerate", grace_period="24h")
    assert rotated["key"] != key["key"]
    assert rotated["replaced_keys_valid_until"]
    for secret in (key["key"], rotated["key"]):
        for instance in pair:
            assert (await ask(instance, secret)).status_code == 200
    assert (await info(one, rotated["token"]))["requests"] == 5
    last = await act(one, "/key/regenerate", key=rotated["key"])
    assert code_of(await ask(two, rotated["key"])) == (401, "invalid_api_key")
    assert code_of(await ask(two, key["key"])) == (200, None)
    assert code_of(await ask(two, last["key"])) == (200, None)


async def test_an_expired_key_is_refused_by_the_clock(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = pair
    key = await made(one, duration="30d")
    assert (await ask(one, key["key"])).status_code == 200
    credentials = one.core.administration.keys.credentials
    now_ms = credentials.now_ms()
    monkeypatch.setattr(credentials, "now_ms", lambda: now_ms + 30 * 86_400_000 + 5_000)
    answer = await ask(one, key["key"])
    assert code_of(answer) == (401, "invalid_api_key")
    assert "expired" in answer.json()["error"]["message"]
    await act(one, "/key/update", key=key["token"], duration="-1")
    assert code_of(await ask(one, key["key"])) == (200, None)


async def test_of_two_hundred_at_once_a_key_with_room_for_fifty_lets_fifty_through(pair: Pair) -> None:
    key = await made(pair[0], rpm_limit=50)
    # Two minutes may be touched, which is twice the room: then the test says nothing, and is done again.
    for _ in range(3):
        answers = await asyncio.gather(*(ask(pair[number % 2], key["key"]) for number in range(200)))
        passed = sum(answer.status_code == 200 for answer in answers)
        if passed == 50:
            break
        key = await made(pair[0], rpm_limit=50)
    assert passed == 50
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["scalix"]["limit"] == "key.rpm_limit"
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_a_budget_is_never_exceeded_however_many_call_at_once(pair: Pair) -> None:
    one, two = pair
    one.provider.gate.clear()
    two.provider.gate.clear()
    most_usd = 0.0005
    key = await made(one, max_budget=most_usd)
    calls = [asyncio.create_task(ask(pair[number % 2], key["key"])) for number in range(40)]
    await until(lambda: sum(call.done() for call in calls) + sum(len(item.provider.served) for item in pair) == 40)
    one.provider.gate.set()
    two.provider.gate.set()
    answers = await asyncio.gather(*calls)
    assert {code_of(answer)[1] for answer in answers} == {None, "quota_reserved"}
    while (answer := await ask(one, key["key"])).status_code == 200:
        assert (await info(two, key["token"]))["spend"] <= most_usd
    assert code_of(answer) == (429, "insufficient_quota")
    assert answer.json()["error"]["scalix"]["limit"] == "key.max_budget"
    assert "retry-after" not in answer.headers
    shown = await info(two, key["token"])
    assert 0.8 * most_usd <= shown["spend"] <= most_usd
    await act(one, "/key/update", key=key["token"], spend=0)
    assert (await ask(two, key["key"])).status_code == 200


async def test_the_keys_and_the_users_limits_both_hold(pair: Pair) -> None:
    one, two = pair
    roomy, tight = await made(one, user_id="both"), await made(one, user_id="both", rpm_limit=1)
    await act(one, "/user/update", user_id="both", tier="two")
    assert (await ask(two, tight["key"])).status_code == 200
    assert (await ask(two, tight["key"])).json()["error"]["scalix"]["limit"] == "key.rpm_limit"
    assert (await ask(one, roomy["key"])).status_code == 200
    assert (await ask(one, roomy["key"])).json()["error"]["scalix"]["limit"] == "requests-day"


async def test_no_more_are_in_flight_with_a_key_than_it_may_have(pair: Pair) -> None:
    one, two = pair
    one.provider.gate.clear()
    key = await made(one, max_parallel_requests=1)
    first = asyncio.create_task(ask(one, key["key"]))
    await until(lambda: bool(one.provider.served))
    answer = await ask(two, key["key"])
    assert code_of(answer) == (429, "rate_limit_exceeded")
    assert answer.json()["error"]["scalix"]["limit"] == "key.max_parallel_requests"
    one.provider.gate.set()
    await first
    assert (await ask(two, key["key"])).status_code == 200


async def test_models_are_those_of_the_tier_and_the_key(pair: Pair) -> None:
    one, two = pair
    key = await made(one, models=["dear-*", "free-model"])

    async def listed() -> list[str]:
        answer = await two.http.get("/v1/models", headers=with_key(key["key"]))
        return [model["id"] for model in answer.json()["data"]]

    assert await listed() == ["free-model"]
    await act(one, "/user/update", user_id=key["user_id"], tier="pro")
    assert await listed() == ["free-model", "dear-model"]
    await act(one, "/key/update", key=key["token"], models=["dear-model"])
    assert await listed() == ["dear-model"]
    answer = await two.http.get("/v1/models/free-model", headers=with_key(key["key"]))
    assert code_of(answer) == (404, "model_not_found")
    assert code_of(await ask(two, key["key"])) == (403, "model_not_allowed")


async def test_a_model_without_a_price_can_t_be_used_on_a_budget(pair: Pair) -> None:
    key = await made(pair[0], max_budget=1)
    assert code_of(await ask(pair[0], key["key"], model="free-unpriced")) == (403, "model_not_allowed")


async def test_operators_routes_are_closed_to_keys(pair: Pair) -> None:
    key, other = await made(pair[0]), await made(pair[0])
    for path in ("/key/list", f"/key/info?key={other['token']}", "/user/list", "/scalix/v1/audit"):
        assert code_of(await pair[1].http.get(path, headers=with_key(key["key"]))) == (403, "not_permitted")
    for path in ("/key/generate", "/key/delete", "/user/new"):
        assert code_of(await pair[1].http.post(path, headers=with_key(key["key"]), json={})) == (403, "not_permitted")


async def test_features_are_for_tiers_that_have_them(pair: Pair) -> None:
    one, two = pair
    key = await made(one)
    options = {"enable_lazy_edits": True, "enable_smart_context": False}
    refused = await ask(two, key["key"], scalix_options=options)
    assert code_of(refused) == (403, "feature_not_allowed")
    assert refused.json()["error"]["scalix"]["available_in"] == ["pro"]
    assert "pro tier" in refused.json()["error"]["message"]
    assert (await ask(two, key["key"], scalix_options={"enable_lazy_edits": False})).status_code == 200
    await act(one, "/user/update", user_id=key["user_id"], tier="pro")
    assert (await ask(two, key["key"], scalix_options=options)).status_code == 200
    assert two.provider.served[-1].admission.offer.options == options
    for wrong in ({"enable_everything": True}, {"enable_lazy_edits": "yes"}, ["enable_lazy_edits"]):
        assert code_of(await ask(two, key["key"], scalix_options=wrong)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"team_id": "t1"}, "team_id"),
        ({"model_max_budget": {"free-model": 1}}, "model_max_budget"),
        ({"soft_budget": 3}, "soft_budget"),
        ({"key": "sk-mine"}, "key"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"models": ["gpt-17"]}, "models"),
        ({"models": "free-model"}, "models"),
        ({"max_budget": -1}, "max_budget"),
        ({"rpm_limit": 1.5}, "rpm_limit"),
        ({"tpm_limit": True}, "tpm_limit"),
        ({"max_parallel_requests": -1}, "max_parallel_requests"),
        ({"duration": "soon"}, "duration"),
        ({"budget_duration": "0d"}, "budget_duration"),
        ({"duration": "99999999w"}, "duration"),
        ({"key_alias": "sk-secret"}, "key_alias"),
        ({"key_alias": "a\nb"}, "key_alias"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ({"blocked": "no"}, "blocked"),
        ({"user_id": ""}, "user_id"),
        ({"key_type": "management"}, "key_type"),
        ({"spend": -1}, "spend"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(pair: Pair, body: dict[str, Any], named: str) -> None:
    answer = await pair[0].http.post("/key/generate", json=body)
    assert code_of(answer) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == named
    assert (await pair[0].http.get("/key/list")).json()["total_count"] == 0


async def test_empty_values_of_fields_that_mean_nothing_here_are_taken(pair: Pair) -> None:
    await made(pair[0], team_id=None, aliases={}, config={}, permissions={}, send_invite_email=False, models=[])


async def test_keys_are_listed_updated_and_deleted_as_litellm_does_it(pair: Pair) -> None:
    one, two = pair
    keys = [await made(one, key_alias=f"key {number}", user_id="lister") for number in range(3)]
    await made(one)
    page = (await two.http.get("/key/list", params={"page": 1, "size": 2})).json()
    assert (page["total_count"], page["current_page"], page["total_pages"]) == (4, 1, 2)
    assert len(page["keys"]) == 2
    params = {"user_id": "lister", "return_full_object": "true"}
    full = (await two.http.get("/key/list", params=params)).json()["keys"]
    assert {item["key_alias"] for item in full} == {"key 0", "key 1", "key 2"}
    assert {item["key_name"] for item in full} == {f"sk-...{key['key'][-4:]}" for key in keys}
    found = (await two.http.get("/key/list", params={"key_alias": "key 1"})).json()["keys"]
    assert found == [keys[1]["token"]]
    assert code_of(await one.http.get("/key/list", params={"team_id": "x"})) == (400, "invalid_request")
    assert code_of(await one.http.post("/key/generate", json={"key_alias": "key 1"})) == (409, "key_alias_taken")
    changed = await act(two, "/key/update", key=keys[0]["key"], key_alias="renamed", tpm_limit=9, max_budget=2.5)
    assert (changed["key_alias"], changed["tpm_limit"], changed["max_budget"]) == ("renamed", 9, 2.5)
    changed = await act(two, "/key/update", key=keys[0]["key"], tpm_limit=None)
    assert (changed["key_alias"], changed["tpm_limit"], changed["max_budget"]) == ("renamed", None, 2.5)
    unknown = new_secret()
    answer = await one.http.post("/key/delete", json={"keys": [keys[0]["token"], unknown]})
    assert code_of(answer) == (404, "key_not_found")
    deleted = await act(one, "/key/delete", keys=[keys[0]["key"]], key_aliases=["key 1"])
    assert deleted == {"deleted_keys": [keys[0]["token"], keys[1]["token"]]}
    assert code_of(await one.http.get("/key/info", params={"key": keys[0]["key"]})) == (404, "key_not_found")
    answer = await one.http.post("/key/update", json={"key": keys[2]["key"], "user_id": "another"})
    assert answer.json()["error"]["param"] == "user_id"


async def test_changes_made_at_once_all_hold(pair: Pair) -> None:
    key = await made(pair[0])
    changes: list[dict[str, Any]] = [{"rpm_limit": 11}, {"tpm_limit": 12}, {"max_parallel_requests": 13}]
    changes.append({"metadata": {"a": 1}})
    await asyncio.gather(
        *(act(pair[number % 2], "/key/update", key=key["token"], **change) for number, change in enumerate(changes))
    )
    shown = await info(pair[0], key["token"])
    assert (shown["rpm_limit"], shown["tpm_limit"], shown["max_parallel_requests"]) == (11, 12, 13)
    assert shown["metadata"] == {"a": 1}


async def test_a_budget_of_a_period_says_when_it_begins_anew(pair: Pair) -> None:
    key = await made(pair[0], max_budget=0.0002, budget_duration="30d")
    assert key["budget_reset_at"]
    assert (await ask(pair[0], key["key"])).status_code == 200
    answer = await ask(pair[0], key["key"])
    while answer.status_code == 200:
        answer = await ask(pair[0], key["key"])
    assert code_of(answer) == (429, "insufficient_quota")
    assert answer.json()["error"]["scalix"]["reset_at"] == key["budget_reset_at"]
    assert 29 * 86_400 < int(answer.headers["retry-after"]) <= 30 * 86_400


async def test_prompts_of_unknown_size_are_refused_where_a_key_counts_tokens(pair: Pair) -> None:
    key = await made(pair[0], tpm_limit=1_000)
    image = {"type": "input_image", "image_url": "https://example.com/a.png"}
    body = {"model": "free-model", "input": [{"role": "user", "content": [image]}]}
    answer = await pair[0].http.post("/v1/responses", headers=with_key(key["key"]), json=body)
    assert code_of(answer) == (400, "invalid_request")
    assert "API key" in answer.json()["error"]["message"]


async def test_the_secret_is_nowhere_but_in_the_answer_that_shows_it(pair: Pair, caplog: Any, key_prefix: str) -> None:
    caplog.set_level("DEBUG")
    one, two = pair
    key = await made(one, key_alias="canary", metadata={"note": "n"})
    secrets_shown = [key["key"]]
    await ask(two, key["key"])
    rotated = await act(one, "/key/regenerate", key=key["key"], grace_period="1h")
    secrets_shown.append(rotated["key"])
    await act(one, "/key/block", key=rotated["key"])
    refused = await ask(two, rotated["key"])
    told = [refused.text, (await one.http.get("/key/list?return_full_object=true")).text]
    told += [(await one.http.get("/scalix/v1/audit")).text, caplog.text]
    client = one.core.store.client
    async for name in one.core.store.session.names_like("*"):
        kind = await client.execute_command("TYPE", name)
        reads = {"hash": "HGETALL", "string": "GET", "set": "SMEMBERS"}
        if kind in reads:
            told.append(f"{name} {await client.execute_command(reads[kind], name)}")
        elif kind == "zset":
            told.append(f"{name} {await client.execute_command('ZRANGE', name, 0, -1)}")
        else:
            told.append(f"{name} {await client.execute_command('XRANGE', name, '-', '+')}")
    assert "key.regenerate" in caplog.text
    assert key["token"] in str(told)
    for secret in secrets_shown:
        for text in told:
            assert secret not in text
            assert secret[10:40] not in text


async def test_every_act_is_in_the_audit_log(pair: Pair) -> None:
    one, _ = pair
    key = await made(one)
    await act(one, "/key/update", key=key["token"], rpm_limit=5)
    await act(one, "/key/block", key=key["token"])
    await act(one, "/key/unblock", key=key["token"])
    rotated = await act(one, "/key/regenerate", key=key["token"])
    await act(one, "/key/delete", keys=[rotated["token"]])
    log = (await one.http.get("/scalix/v1/audit")).text
    for name in ("generate", "update", "block", "unblock", "regenerate", "delete"):
        assert f'"key.{name}"' in log


@pytest.mark.parametrize("asked", [{}, {"auto_create_key": True}, {"auto_create_key": None}])
async def test_a_user_is_made_with_a_key_unless_none_is_wanted_and_null_says_nothing(
    pair: Pair, asked: dict[str, Any]
) -> None:
    one, two = pair
    fields = {"user_id": "new-with-key", "tier": None, "limits": None, "metadata": None, "team_id": None}
    answer = await one.http.post("/user/new", json={**fields, **asked})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (await ask(two, told["key"])).status_code == 200
    assert str(two.provider.served[-1].admission.caller.subject) == "user:new-with-key"
    assert (told["key_name"], told["token"]) == (f"sk-...{told['key'][-4:]}", digest_of(told["key"]))
    assert told["expires"] is None
    assert (await one.http.get("/key/list", params={"user_id": "new-with-key"})).json()["total_count"] == 1
    without = await one.http.post("/user/new", json={"user_id": "new-without", "auto_create_key": False})
    assert "key" not in without.json()
    assert (await one.http.get("/key/list", params={"user_id": "new-without"})).json()["total_count"] == 0
    odd = await one.http.post("/user/new", json={"user_id": "new-odd", "auto_create_key": "yes"})
    assert (odd.status_code, odd.json()["error"]["param"]) == (400, "auto_create_key")


async def test_litellms_word_for_all_models_leaves_them_to_the_tier(pair: Pair) -> None:
    made_for_all = await one_key(pair, models=["all-proxy-models"])
    plain = await one_key(pair)
    listed = [
        (await pair[1].http.get("/v1/models", headers={"authorization": f"Bearer {key}"})).json()["data"]
        for key in (made_for_all, plain)
    ]
    assert listed[0] == listed[1] != []


async def one_key(pair: Pair, **fields: Any) -> str:
    answer = await pair[0].http.post("/key/generate", json=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


async def test_a_key_reads_what_is_known_of_itself_and_of_no_other(pair: Pair) -> None:
    one, two = pair
    mine, other = await made(one), await made(one)
    for query in ({}, {"key": mine["key"]}, {"key": mine["token"]}):
        answer = await two.http.get("/key/info", params=query, headers={"authorization": f"Bearer {mine['key']}"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["key"] == mine["token"]
        assert mine["key"] not in answer.text
    foreign = await two.http.get(
        "/key/info", params={"key": other["token"]}, headers={"authorization": f"Bearer {mine['key']}"}
    )
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "not_permitted")
