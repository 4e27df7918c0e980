"""Callers without a credential, and what becomes of their use at sign-up: real edge, services and store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.outage_rig import MASTER_KEY, PROMPT, USED, World

CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/free-model, api_key: none}
  - model_name: dear-model
    litellm_params: {model: openai/dear-model, api_key: none}
scalix:
  default_tier: free
  tiers:
    visitor: {models: [free-*], requests: {day: 3}}
    free: {models: ["*"], requests: {day: 5}}
  anonymous: {enabled: true, tier: visitor}
  trusted_proxies: [10.0.0.0/8]
"""
OPERATOR = {"authorization": f"Bearer {MASTER_KEY}"}


@pytest.fixture
async def world(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[World]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    async with World(store_url, tmp_path, key_prefix, jobs=False) as made:
        yield made


async def call(world: World, path: str, peer: str, body: Any = None, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(world.app, client=(peer, 5000))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=named) as client:
        return await (client.get(path) if body is None else client.post(path, json=body))


async def chat(world: World, peer: str, body: Any = PROMPT, **headers: str) -> httpx.Response:
    return await call(world, "/v1/chat/completions", peer, body, **headers)


async def merge(world: World, **body: str) -> httpx.Response:
    return await call(world, "/scalix/v1/merge", "127.0.0.1", body, **OPERATOR)


async def statuses(world: World, peer: str, number: int, **headers: str) -> list[int]:
    return [(await chat(world, peer, **headers)).status_code for _ in range(number)]


async def test_an_address_has_a_quota_of_its_tier(world: World) -> None:
    first = await chat(world, "192.0.2.1")
    assert (first.status_code, first.headers["x-scalix-tier"]) == (200, "visitor")
    assert first.headers["x-ratelimit-remaining-requests"] == "2"
    assert await statuses(world, "192.0.2.1", 3) == [200, 200, 429]
    assert await statuses(world, "192.0.2.2", 1) == [200]


async def test_many_at_once_from_one_network_are_held_to_its_quota(world: World) -> None:
    answers = await asyncio.gather(*(chat(world, f"2001:db8:0:1::{number:x}") for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 17
    assert await statuses(world, "2001:db8:0:2::1", 1) == [200]


async def test_other_addresses_cannot_be_claimed_from_outside(world: World) -> None:
    forged = [await statuses(world, "192.0.2.1", 1, x_forwarded_for=f"198.51.100.{number}") for number in range(4)]
    assert forged == [[200], [200], [200], [429]]
    behind = [await statuses(world, "10.0.0.1", 1, x_forwarded_for=f"198.51.100.{number}") for number in range(4)]
    assert behind == [[200]] * 4


async def test_an_address_may_not_act_for_a_user_nor_use_what_its_tier_lacks(world: World) -> None:
    await world.user("alice", "free")
    assert (await chat(world, "192.0.2.1", {**PROMPT, "user": "alice"})).status_code == 200
    assert (await world.day("alice")).requests_used == 0
    assert (await chat(world, "192.0.2.1", {**PROMPT, "model": "dear-model"})).status_code == 403
    assert (await call(world, "/user/new", "192.0.2.1", {"user_id": "eve"})).status_code == 403
    assert (await call(world, "/scalix/v1/merge", "192.0.2.1", {})).status_code == 403
    models = (await call(world, "/v1/models", "192.0.2.1")).json()["data"]
    assert [model["id"] for model in models] == ["free-model"]


async def test_a_wrong_credential_gets_no_quota_of_an_address(world: World) -> None:
    answer = await chat(world, "192.0.2.1", authorization="Bearer sk-wrong")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_new_account_is_no_new_quota(world: World) -> None:
    await statuses(world, "192.0.2.1", 3)
    answer = await merge(world, user_id="bob", address="192.0.2.1")
    assert answer.json() == {"user_id": "bob", "address": "192.0.2.1", "merged": True}
    day = await world.day("bob")
    tokens = 3 * (USED.total_tokens)
    assert (day.requests_used, day.tokens_used, day.requests_held) == (3, tokens, 0)
    asked = [(await chat(world, "192.0.2.9", {**PROMPT, "user": "bob"}, **OPERATOR)).status_code for _ in range(3)]
    assert asked == [200, 200, 429]
    assert (await chat(world, "192.0.2.1")).status_code == 429


async def test_a_merge_counts_once_however_often_it_is_called(world: World) -> None:
    await statuses(world, "192.0.2.1", 1)
    assert (await merge(world, user_id="bob", address="192.0.2.1")).json()["merged"]
    await statuses(world, "192.0.2.1", 1)
    for address in ("192.0.2.1", "192.0.2.2"):
        assert not (await merge(world, user_id="bob", address=address)).json()["merged"]
    assert (await world.day("bob")).requests_used == 1


async def test_any_address_of_the_network_and_any_spelling_names_it(world: World) -> None:
    await statuses(world, "2001:db8::1", 2)
    await merge(world, user_id="bob", address="2001:DB8:0::ffff")
    assert (await world.day("bob")).requests_used == 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"user_id": "bob"}, "address"),
        ({"user_id": "bob", "address": "here"}, "address"),
        ({"user_id": "bob", "address": "192.0.2.0/24"}, "address"),
        ({"address": "192.0.2.1"}, "user_id"),
        ({"user_id": "bob", "address": "192.0.2.1", "force": "yes"}, "force"),
    ],
)
async def test_what_a_merge_can_t_understand_is_named(world: World, body: dict[str, str], param: str) -> None:
    answer = await merge(world, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_an_address_sees_its_own_usage_and_nobody_elses(world: World) -> None:
    await chat(world, "198.51.100.7")
    await chat(world, "198.51.100.7")
    found = (await call(world, "/scalix/v1/usage", "198.51.100.7")).json()
    assert (found["user_id"], found["tier"], found["requests_today"]) == ("address:198.51.100.7", "visitor", 2)
    assert found["limits"][0]["remaining"] == 1
    other = (await call(world, "/scalix/v1/usage", "198.51.100.8")).json()
    assert (other["requests_today"], other["by_model"]) == (0, [])
    events = (await call(world, "/scalix/v1/usage/events", "198.51.100.7")).json()["events"]
    assert len(events) == 2
    assert (await call(world, "/scalix/v1/usage/events", "198.51.100.8")).json()["events"] == []
    for name in ("198.51.100.7", "address:198.51.100.7"):
        assert (await call(world, f"/scalix/v1/usage?user_id={name}", "198.51.100.8")).status_code == 403


async def test_without_a_credential_there_are_no_metrics_and_no_reports(world: World) -> None:
    assert (await call(world, "/metrics", "198.51.100.7")).status_code == 401
    assert (await call(world, "/scalix/v1/reports/day", "198.51.100.7")).status_code == 403
