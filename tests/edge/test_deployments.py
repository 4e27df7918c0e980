"""A model of several deployments at the edge: which one is asked, which next, and who rests. Over a real store."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scalix.domain.tokens.usage import Usage
from scalix.edge.asgi import send_bytes
from tests.edge.fallback_rig import (
    ANSWER,
    CONFIG,
    Asked,
    Behaviour,
    Edge,
    break_off,
    crash,
    edge,
    empty,
    fail,
    hang,
    serve,
)

SEVERAL = """
  - model_name: free-several
    litellm_params: {model: openai/a, api_key: none, weight: 3}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: free-several
    litellm_params: {model: openai/b, api_key: none, weight: 2}
    model_info: {max_output_tokens: 90, input_cost_per_token: 0.000003, output_cost_per_token: 0.000003}
  - model_name: free-several
    litellm_params: {model: openai/c, api_key: none, weight: 1}
    model_info: {id: third, max_output_tokens: 80, input_cost_per_token: 0.000002, output_cost_per_token: 0.000002}
  - model_name: free-tiers
    litellm_params: {model: openai/spare, api_key: none, order: 2}
    model_info: {max_output_tokens: 80, input_cost_per_token: 0.000002, output_cost_per_token: 0.000002}
  - model_name: free-tiers
    litellm_params: {model: openai/main, api_key: none, order: 1}
    model_info: {max_output_tokens: 80, input_cost_per_token: 0.000002, output_cost_per_token: 0.000002}
scalix:"""
LIMITED = """
  - model_name: free-limited
    litellm_params: {model: openai/a, api_key: none, rpm: 6}
    model_info: {max_output_tokens: 50, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: free-limited
    litellm_params: {model: openai/b, api_key: none, rpm: 4}
    model_info: {max_output_tokens: 50, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: free-limited-alone
    litellm_params: {model: openai/a, api_key: none, rpm: 3, tpm: 10000}
    model_info: {max_output_tokens: 50, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
scalix:"""
WITH_SEVERAL = CONFIG.replace("\nscalix:", SEVERAL).replace("fallbacks: {", "fallbacks: {free-several: [free-one], ")
ONE, TWO, THREE = "free-several#1", "free-several#2", "third"


@pytest.fixture
async def one(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix, WITH_SEVERAL) as made:
        yield made


def by_deployment(asked: list[str], **behaviours: Behaviour) -> Behaviour:
    """Behaves as the deployment does that is asked, and notes in `asked` which it was."""
    named = {name.replace("_", "#"): behaviour for name, behaviour in behaviours.items()}

    async def behave(call: Asked) -> None:
        ident = call.exchange.attempt.deployment_id
        asked.append(ident)
        await named.get(ident.rpartition("-")[2], serve)(call)

    return behave


async def test_requests_are_shared_by_weight(one: Edge) -> None:
    asked: list[str] = []
    one.app.behaviours["free-several"] = [by_deployment(asked)]
    for number in range(60):
        await one.ask("free-several", user=f"u{number % 9}")
    shares = Counter(asked)
    for ident, due in ((ONE, 30), (TWO, 20), (THREE, 10)):
        assert abs(shares[ident] - due) <= 1, shares


async def test_charged_is_the_price_of_the_one_that_served_and_reserved_the_dearest(one: Edge) -> None:
    asked: list[str] = []
    one.app.behaviours["free-several"] = [by_deployment(asked)]
    for _ in range(6):
        answer = await one.ask("free-several", max_tokens=95)
        assert answer.headers["x-scalix-model-served"] == "free-several"
    rates = {ONE: 1_000, TWO: 3_000, THREE: 2_000}
    assert [charge.nano_usd for _, charge in one.charges] == [12 * rates[ident] for ident in asked]
    asks = [exchange.admission.reservation.ask for exchange in one.exchanges]
    assert {ask.prices.output_pico_usd_per_token for ask in asks} == {3_000_000}
    assert {ask.output_cap_tokens for ask in asks} == {80}


async def test_after_a_failure_another_deployment_is_asked_before_the_next_model(one: Edge) -> None:
    asked: list[str] = []
    down = fail(500)
    one.app.behaviours["free-several"] = [by_deployment(asked, several_1=down, several_2=down)]
    for _ in range(3):
        answer = await one.ask("free-several")
        assert (answer.status_code, answer.headers["x-scalix-model-served"]) == (200, "free-several")
        assert asked[-1] == THREE
    assert {charge.detail.fallbacks for _, charge in one.charges if charge.detail} == {()}
    # None is asked twice for one request where there are others.
    assert {body["num_retries"] for body in one.app.bodies if body["model"] == "free-several"} == {0, 1}


async def test_the_next_model_serves_when_no_deployment_can(one: Edge) -> None:
    asked: list[str] = []
    one.app.behaviours["free-several"] = [
        by_deployment(asked, several_1=fail(500), several_2=fail(500), third=fail(500))
    ]
    answer = await one.ask("free-several")
    assert sorted(asked) == [ONE, TWO, THREE]
    assert answer.headers["x-scalix-model-served"] == "free-one"
    assert one.charges[0][1].detail.fallbacks == ("free-several",)


async def test_a_wrong_request_is_shown_to_one_deployment_only(one: Edge) -> None:
    asked: list[str] = []
    wrong = fail(400, "no")
    one.app.behaviours["free-several"] = [by_deployment(asked, several_1=wrong, several_2=wrong, third=wrong)]
    assert (await one.ask("free-several")).status_code == 400
    assert len(asked) == 1


async def test_one_that_rests_is_left_out_and_its_share_is_the_others(one: Edge) -> None:
    asked: list[str] = []
    one.app.behaviours["free-several"] = [by_deployment(asked)]
    one.core.exchange.fallbacks.cooldowns.failed(TWO, "user:x", 60, is_everybodys=True)
    for _ in range(40):
        await one.ask("free-several")
    shares = Counter(asked)
    assert shares.keys() == {ONE, THREE}
    assert abs(shares[ONE] - 30) <= 1


async def test_another_worker_leaves_it_out_once_it_has_looked(
    one: Edge, tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    cooldowns = one.core.exchange.fallbacks.cooldowns
    cooldowns.failed(ONE, "user:x", 60, is_everybodys=True)
    async with edge(tmp_path, store_url, key_prefix, WITH_SEVERAL, "two") as two:
        asked: list[str] = []
        two.app.behaviours["free-several"] = [by_deployment(asked)]
        for task in list(cooldowns._sending):
            await task
        await two.core.exchange.fallbacks.cooldowns.refresh()
        for _ in range(6):
            await two.ask("free-several")
        assert ONE not in asked


async def test_the_model_rests_when_all_its_deployments_do(one: Edge) -> None:
    for ident in ("free-tiers#1", "free-tiers#2"):
        one.core.exchange.fallbacks.cooldowns.failed(ident, "user:x", 60, is_everybodys=True)
    answer = await one.ask("free-tiers")
    assert answer.status_code == 503
    assert one.app.asked == []


async def test_those_of_a_higher_order_are_asked_only_when_the_lower_ones_fail(one: Edge) -> None:
    asked: list[str] = []
    one.app.behaviours["free-tiers"] = [by_deployment(asked)]
    for _ in range(5):
        await one.ask("free-tiers")
    assert set(asked) == {"free-tiers#2"}
    one.app.behaviours["free-tiers"] = [by_deployment(asked, tiers_2=fail(500))]
    assert (await one.ask("free-tiers")).status_code == 200
    assert asked[-2:] == ["free-tiers#2", "free-tiers#1"]


async def test_a_model_with_one_deployment_rests_under_its_own_name(one: Edge) -> None:
    one.app.behaviours["alone"] = [fail(401)]
    await one.ask("alone")
    assert one.core.exchange.fallbacks.cooldowns.wait_s("alone") > 0


async def test_after_failures_cancels_and_cache_hits_nothing_is_in_flight(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    async def cached(call: Asked) -> None:
        call.exchange.attempt.cache_hit = True
        await serve(call)

    arrived = asyncio.Queue[str]()

    async def hanging(call: Asked) -> None:
        arrived.put_nowait(call.exchange.attempt.deployment_id)
        await hang(call)

    config = "router_settings: {routing_strategy: least-busy}\n" + WITH_SEVERAL + "  cooldown: {seconds: 0}\n"
    async with edge(tmp_path, store_url, key_prefix, config) as one:
        load = one.core.exchange.fallbacks.chooser.load
        for behaviour in (serve, cached, fail(500), crash, break_off, empty):
            one.app.behaviours["free-several"] = [behaviour]
            await one.ask("free-several")
            await one.ask("free-several", stream=True)
        one.app.behaviours["free-several"] = [hanging]
        asking = [asyncio.ensure_future(one.ask("free-several")) for _ in range(6)]
        assert Counter([await arrived.get() for _ in range(6)]) == {ONE: 2, TWO: 2, THREE: 2}
        assert sorted(load._in_flight.values()) == [2, 2, 2]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert not load._in_flight


LONG = "word " * 3_000
NAMED = ("x-session-id", "x-claude-code-session-id", "session_id", "session-id", "x-session-affinity")


def turns(number: int) -> list[dict[str, str]]:
    """The messages of the `number`th turn of a conversation with a long prefix."""
    said = [{"role": "user", "content": f"turn {turn}"} for turn in range(number)]
    return [{"role": "system", "content": LONG}, *said]


async def test_turns_of_one_conversation_reach_one_deployment_and_users_are_keyed_apart(one: Edge) -> None:
    reached = set()
    for user in range(16):
        asked: list[str] = []
        one.app.behaviours["free-several"] = [by_deployment(asked)]
        for number in (1, 2, 3):
            answer = await one.ask("free-several", user=f"u{user}", messages=turns(number))
            assert answer.status_code == 200, answer.text
        assert len(set(asked)) == 1, asked
        reached.update(asked)
    assert len(reached) > 1


@pytest.mark.parametrize("name", [*NAMED, "prompt_cache_key"])
async def test_the_id_that_a_client_gives_its_conversation_counts_whatever_is_said(one: Edge, name: str) -> None:
    reached = set()
    for session in range(16):
        asked: list[str] = []
        one.app.behaviours["free-several"] = [by_deployment(asked)]
        for number in range(3):
            messages = [{"role": "user", "content": f"{number}"}]
            body = {"model": "free-several", "user": "u", "messages": messages}
            ids = {name: f"conversation-{session}"}
            in_body, headers = (ids, {}) if name == "prompt_cache_key" else ({}, ids)
            answer = await one.http.post("/v1/chat/completions", json={**body, **in_body}, headers=headers)
            assert answer.status_code == 200, answer.text
        assert len(set(asked)) == 1, asked
        reached.update(asked)
    assert len(reached) > 1


async def test_after_a_failure_a_conversation_has_its_second_deployment(one: Edge) -> None:
    asked: list[str] = []
    one.app.behaviours["free-several"] = [by_deployment(asked)]
    await one.ask("free-several", messages=turns(1))
    first = asked.pop()
    one.core.exchange.fallbacks.cooldowns.failed(first, "user:x", 60, is_everybodys=True)
    for number in (2, 3, 4):
        await one.ask("free-several", messages=turns(number))
    assert len(set(asked)) == 1
    assert first not in asked


async def test_another_worker_sends_a_conversation_to_the_same_deployment(
    one: Edge, tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    async with edge(tmp_path, store_url, key_prefix, WITH_SEVERAL, "two") as two:
        reached: list[dict[str, str]] = []
        users = [f"u{number}" for number in range(12)]
        for worker in (one, two):
            asked: list[str] = []
            worker.app.behaviours["free-several"] = [by_deployment(asked)]
            for user in users:
                assert (await worker.ask("free-several", user=user, messages=turns(1))).status_code == 200
            reached.append(dict(zip(users, asked, strict=True)))
            random.Random(5).shuffle(users)
        assert reached[0] == reached[1]


@pytest.fixture
async def limited(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix, CONFIG.replace("\nscalix:", LIMITED)) as made:
        made.core.exchange.fallbacks.chooser.load._now_s = lambda: 1_000.0
        yield made


async def test_when_all_deployments_are_at_their_limits_it_is_said_whose_limit_it_is_and_nothing_is_charged(
    limited: Edge,
) -> None:
    asked: list[str] = []
    limited.app.behaviours["free-limited"] = [by_deployment(asked)]
    answers = await asyncio.gather(*(limited.ask("free-limited", user="u") for _ in range(30)))
    assert Counter(asked) == {"free-limited#1": 6, "free-limited#2": 4}
    assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 20}
    late = await limited.ask("free-limited", user="u")
    error = late.json()["error"]
    assert (error["code"], error["scalix"]["limit"]) == ("model_at_limit", "deployment-minute")
    assert "no limit of yours" in error["message"]
    assert (late.headers["retry-after"], late.headers["x-should-retry"]) == ("20", "false")
    counted = [charge for _, charge in limited.charges if charge.requests]
    assert (len(counted), sum(charge.tokens for charge in counted)) == (10, 120)
    assert (await limited.ask("free-one", user="u")).status_code == 200
    limited.core.exchange.fallbacks.chooser.load._now_s = lambda: 1_020.0
    assert (await limited.ask("free-limited", user="u")).status_code == 200


async def test_the_limits_of_a_models_only_deployment_hold_too(limited: Edge) -> None:
    answers = await asyncio.gather(*(limited.ask("free-limited-alone", user="u") for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 5}
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 429} == {"model_at_limit"}
    load = limited.core.exchange.fallbacks.chooser.load
    assert load.used("free-limited-alone") == (3, 3 * 12)
    load._now_s = lambda: 1_020.0
    assert (await limited.ask("free-limited-alone", user="u")).status_code == 200


async def test_the_next_model_serves_when_all_deployments_are_at_their_limits(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    config = CONFIG.replace("\nscalix:", LIMITED).replace("fallbacks: {", "fallbacks: {free-limited: [free-two], ")
    async with edge(tmp_path, store_url, key_prefix, config) as one:
        one.core.exchange.fallbacks.chooser.load._now_s = lambda: 1_000.0
        answers = await asyncio.gather(*(one.ask("free-limited") for _ in range(20)))
        served = Counter(answer.headers["x-scalix-model-served"] for answer in answers)
        assert served == {"free-limited": 10, "free-two": 10}


async def test_a_deployment_that_is_at_its_limit_is_not_tried_after_a_failure(limited: Edge) -> None:
    asked: list[str] = []
    limited.app.behaviours["free-limited"] = [by_deployment(asked, limited_1=fail(500))]
    statuses = [(await limited.ask("free-limited")).status_code for _ in range(6)]
    assert Counter(asked)["free-limited#2"] == 4
    assert statuses.count(200) == 4


async def test_the_operator_reads_of_each_request_who_has_served_and_who_has_failed_before_and_users_do_not(
    one: Edge,
) -> None:
    down, asked = fail(503), list[str]()
    one.app.behaviours["free-several"] = [by_deployment(asked, several_1=down, several_2=down)]
    await one.ask("free-several")
    await one.ask("free-one")
    one.app.behaviours["alone"] = [fail(429)]
    assert (await one.ask("alone")).status_code == 503
    url = "/scalix/v1/usage/events"
    shown = (await one.http.get(url, params={"user_id": "u"})).json()["events"]
    found = {row["model"]: (row["deployment"], row["engine"], row["failed_deployments"]) for row in shown}
    first, second = (f"{name}:litellm:provider_down" for name in asked[:2])
    assert found == {
        "free-several": (THREE, "litellm", [first, second]),
        "free-one": ("free-one", "litellm", []),
        "alone": (None, None, ["alone:litellm:provider_rate_limit"]),
    }
    key = (await one.http.post("/key/generate", json={"user_id": "u"})).json()["key"]
    for form in ("json", "csv"):
        own = await one.http.get(url, params={"format": form}, headers={"authorization": f"Bearer {key}"})
        assert own.status_code == 200
        assert "free-several" in own.text
        assert not [word for word in ("deployment", THREE, "free-several#", "engine") if word in own.text]


async def test_failures_that_another_made_good_are_in_the_report_of_errors_as_the_ledger_has_them(one: Edge) -> None:
    down, asked = fail(503), list[str]()
    one.app.behaviours["free-several"] = [by_deployment(asked, several_1=down, several_2=down)]
    one.app.behaviours["alone"] = [fail(429)]
    for number in range(3):
        await one.ask("free-several", user=f"u{number}")
        await one.ask("alone", user=f"u{number}")
    await one.core.exchange.deployments.flush()
    report = (await one.http.get("/scalix/v1/reports/errors")).json()
    events: list[dict[str, Any]] = []
    for number in range(3):
        url = "/scalix/v1/usage/events"
        events += (await one.http.get(url, params={"user_id": f"u{number}"})).json()["events"]
    attempts = Counter(failed.rsplit(":", 2)[2] for event in events for failed in event["failed_deployments"])
    attempts += Counter(event["error"] for event in events if event["engine"] and event["error"])
    by_class: Counter[str] = Counter()
    for row in report["rows"]:
        by_class[row["error"]] += row["failed_attempts"]
    assert by_class == attempts
    assert attempts["provider_down"] == sum(name != THREE for name in asked) > 0
    assert report["total"]["failed_attempts"] == attempts.total()
    assert report["total"]["errors"] == sum(bool(event["error"]) for event in events) == 3
    rows = {(row["provider"], row["model"], row["error"]): row for row in report["rows"]}
    saved = rows["openai", "free-several", "provider_down"]
    assert (saved["errors"], saved["events"], saved["failed_attempts"]) == (0, 3, attempts["provider_down"])
    ended = rows["openai", "alone", "provider_rate_limit"]
    assert (ended["errors"], ended["failed_attempts"]) == (3, attempts["provider_rate_limit"])


async def test_reports_and_metrics_have_each_deployments_requests_failures_and_cached_share(one: Edge) -> None:
    asked: list[str] = []

    async def cached(call: Asked) -> None:
        call.exchange.attempt.asked = True
        call.exchange.attempt.usage = Usage(1_000, 10, cached_tokens=250)
        call.exchange.attempt.reported.set()
        usage = {"prompt_tokens": 1_000, "completion_tokens": 10}
        await send_bytes(call.send, 200, orjson.dumps({**ANSWER, "usage": usage}))

    both = {"several_1": fail(503), "several_2": cached, "third": cached}
    one.app.behaviours["free-several"] = [by_deployment(asked, **both)]
    for number in range(4):
        await one.ask("free-several", user=f"u{number}")
    await one.core.exchange.deployments.flush()
    found = (await one.http.get("/scalix/v1/reports/deployment")).json()
    rows = {row["deployment"]: row for row in found["rows"]}
    assert Counter({name: row["requests"] for name, row in rows.items()}) == Counter(asked)
    assert sum(row["errors"] for row in rows.values()) == asked.count(ONE) > 0
    assert rows[ONE]["cached_percent"] is None
    assert {rows[name]["cached_percent"] for name in rows if name != ONE} == {25.0}
    by_model = (await one.http.get("/scalix/v1/reports/model")).json()["rows"]
    assert [(row["model"], row["cached_percent"]) for row in by_model] == [("free-several", 25.0)]
    shown = (await one.http.get("/metrics")).text
    failed = float(asked.count(ONE))
    assert f'scalix_deployment_attempts_total{{deployment="{ONE}",result="failed"}} {failed}\n' in shown
    errors = re.findall(r'scalix_provider_errors_total\{provider="\w+",error="provider_down"\} ([\d.]+)', shown)
    assert sum(map(float, errors)) == failed  # though a fallback has served all of them
    assert 'scalix_tokens_total{model="free-several",kind="cached"} 1000.0\n' in shown
