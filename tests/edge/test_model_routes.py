"""A name that leads each tier to models of its own, at the edge, over a real store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scalix.domain.tokens.usage import Usage
from scalix.edge.asgi import send_bytes
from tests.edge.fallback_rig import ANSWER, CONFIG, Asked, Behaviour, Edge, edge, fail

ROUTES = """
  routes:
    auto:
      free:
        - {tokens_day_left_percent_under: 20, models: [free-two]}
        - {prompt_tokens_over: 200, models: [alone]}
        - {models: [free-one]}
      premium: {models: [best]}
    fast:
      premium:
        - {tools: true, models: [best]}
        - {images: true, models: [alone]}
        - {models: [free-two]}
"""
WITH_ROUTES = CONFIG.rstrip().replace("tokens: {day: 1000000}", "tokens: {day: 1000}", 1) + ROUTES
ROUTED, SERVED = "x-scalix-routed", "x-scalix-model-served"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


@pytest.fixture
async def one(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix, WITH_ROUTES) as made:
        yield made


def using(prompt_tokens: int, output_tokens: int) -> Behaviour:
    """An answer that has used so much."""

    async def behave(asked: Asked) -> None:
        asked.exchange.attempt.asked = True
        asked.exchange.attempt.usage = Usage(prompt_tokens, output_tokens)
        asked.exchange.attempt.reported.set()
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": output_tokens}
        await send_bytes(asked.send, 200, orjson.dumps({**ANSWER, "usage": usage}))

    return behave


MOST_OF_A_DAY, A_DAY = using(800, 50), using(990, 50)


def reads_of(one: Edge) -> list[str]:
    """Whose windows are read from now on, besides by admissions."""
    store: Any = one.core.exchange.fallbacks.routing._left._store
    reads, tallies = list[str](), store.tallies

    async def noting(subject: str) -> Any:
        reads.append(subject)
        return await tallies(subject)

    store.tallies = noting
    return reads


async def test_tiers_see_different_models_under_one_name(one: Edge) -> None:
    rich = await one.premium()
    free, dear = await one.ask("auto"), await one.ask("auto", user=rich)
    assert (free.headers[SERVED], free.headers[ROUTED]) == ("free-one", "auto -> free-one; else")
    assert (dear.headers[SERVED], dear.headers[ROUTED]) == ("best", "auto -> best; else")
    assert one.app.asked == ["free-one", "best"]
    assert ROUTED not in (await one.ask("free-one")).headers


async def test_the_chosen_models_name_price_and_fallbacks_hold(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    answer = await one.ask("auto")
    assert (answer.headers[SERVED], answer.headers[ROUTED]) == ("free-two", "auto -> free-one; else")
    asked = [exchange.admission.reservation.ask for exchange in one.exchanges]
    assert [(ask.model, ask.output_cap_tokens) for ask in asked] == [("free-one", 100)]
    details = [charge.detail for _, charge in one.charges if charge.detail]
    assert [(detail.model, detail.served) for detail in details] == [("free-one", "free-two")]


async def test_below_a_fifth_of_the_day_the_cheaper_model_serves_and_it_is_said(one: Edge) -> None:
    one.app.behaviours["free-one"] = [MOST_OF_A_DAY]
    reads = reads_of(one)
    answers = [await one.ask("auto") for _ in range(3)]
    assert [answer.headers[ROUTED] for answer in answers] == [
        "auto -> free-one; else",
        "auto -> free-two; tokens_day_left_percent_under",
        "auto -> free-two; tokens_day_left_percent_under",
    ]
    assert reads == ["user:u"]  # before the first answer only


async def test_what_was_used_at_another_worker_is_read_once_and_only_for_such_a_rule(
    one: Edge, tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    one.app.behaviours["free-one"] = [MOST_OF_A_DAY]
    await one.ask("auto")
    async with edge(tmp_path, store_url, key_prefix, WITH_ROUTES, name="two") as other:
        rich = await other.premium()
        reads = reads_of(other)
        assert [(await other.ask("auto")).headers[SERVED] for _ in range(2)] == ["free-two", "free-two"]
        assert reads == ["user:u"]
        await other.ask("auto", user=rich)
        await other.ask("free-one", user="v")
        assert reads == ["user:u"]


async def test_the_size_of_the_prompt_tools_and_images_decide(one: Edge) -> None:
    rich = await one.premium()
    long = [{"role": "user", "content": "many words of a prompt " * 80}]
    assert (await one.ask("auto", messages=long)).headers[ROUTED] == "auto -> alone; prompt_tokens_over"
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    assert (await one.ask("fast", user=rich, tools=[tool])).headers[ROUTED] == "fast -> best; tools"
    picture = [{"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]}]
    assert (await one.ask("fast", user=rich, messages=picture)).headers[ROUTED] == "fast -> alone; images"
    assert (await one.ask("fast", user=rich)).headers[ROUTED] == "fast -> free-two; else"


async def test_a_tier_without_rules_does_not_know_the_name(one: Edge) -> None:
    answer = await one.ask("fast")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert one.app.asked == []


async def test_a_route_never_leads_to_a_model_that_the_key_may_not_use(one: Edge) -> None:
    made = (await one.http.post("/key/generate", json={"user_id": "u", "models": ["free-two"]})).json()
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    bearer = {"authorization": f"Bearer {made['key']}"}
    answer = await one.http.post("/v1/chat/completions", json=body, headers=bearer)
    assert answer.status_code == 404, answer.text
    assert [model["id"] for model in (await one.http.get("/v1/models", headers=bearer)).json()["data"]] == [
        "free-two",
        "auto",
    ]


async def test_callers_are_listed_the_routes_of_their_tier(one: Edge) -> None:
    rich = await one.premium()
    listed = {
        user: [model["id"] for model in (await one.http.get("/v1/models", params={"user": user})).json()["data"]]
        for user in ("u", rich)
    }
    assert [name for name in listed["u"] if name in ("auto", "fast")] == ["auto"]
    assert [name for name in listed[rich] if name in ("auto", "fast")] == ["auto", "fast"]


async def test_a_caller_with_nothing_left_is_refused_by_the_routes_name_too(one: Edge) -> None:
    one.app.behaviours["free-one"] = [A_DAY]
    await one.ask("auto")
    for _ in range(4):
        answer = await one.ask("auto")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
        assert answer.headers[ROUTED] == "auto -> free-two; tokens_day_left_percent_under"


async def test_errors_say_where_the_route_has_led_whoever_has_failed(one: Edge) -> None:
    for name in ("free-one", "best", "free-two"):
        one.app.behaviours[name] = [fail(503)]
    of_providers = await one.ask("auto")
    ours = await one.ask("auto", messages=[{"role": "user", "content": "hi"}], n=10_000)
    assert (of_providers.status_code, of_providers.headers[ROUTED]) == (503, "auto -> free-one; else")
    assert (ours.status_code, ours.headers[ROUTED]) == (400, "auto -> free-one; else"), ours.text
    wrong = await one.ask("auto", messages="hi")
    assert wrong.status_code == 400
    assert ROUTED not in wrong.headers


async def test_prompts_for_a_route_are_counted_as_the_chosen_models(one: Edge) -> None:
    body = {"model": "auto", "user": "u", "messages": [{"role": "user", "content": "hi"}]}
    answer = await one.http.post("/v1/messages/count_tokens", json=body)
    assert answer.status_code == 200, answer.text


CUSTOM = """
def choose(user_id, model, messages):
    answer = messages[0]["content"]
    if answer == "boom":
        raise ValueError(answer)
    return None if answer == "hello" else answer
"""


@pytest.fixture
async def custom(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    (tmp_path / "edge_routing.py").write_text(CUSTOM, encoding="utf-8")
    routes = ROUTES.replace("    auto:\n", "    auto:\n      custom_router: edge_routing:choose\n")
    async with edge(tmp_path, store_url, key_prefix, WITH_ROUTES.replace(ROUTES, routes)) as made:
        made.core.exchange.fallbacks.routing.custom.load()
        yield made


async def ask_for(one: Edge, answer: str, user: str = "anyone") -> str:
    messages = [{"role": "user", "content": answer}]
    return str((await one.ask("auto", user=user, messages=messages)).headers[ROUTED])


async def test_the_operators_function_chooses_and_where_it_does_not_the_rules_do(custom: Edge) -> None:
    assert await ask_for(custom, "free-two") == "auto -> free-two; custom_router"
    assert await ask_for(custom, "hello") == "auto -> free-one; else"
    assert custom.app.asked == ["free-two", "free-one"]


async def test_its_answer_never_leads_to_a_model_that_the_tier_may_not_use(
    custom: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert await ask_for(custom, "best") == "auto -> free-one; else"
        assert await ask_for(custom, "canary-of-nobody") == "auto -> free-one; else"
    rich = await custom.premium()
    assert await ask_for(custom, "best", rich) == "auto -> best; custom_router"
    told = [one.getMessage() for one in caplog.records if one.name == "scalix.routing"]
    assert told == [
        "custom_router edge_routing:choose: it answered best for a caller who may not use it; the route's rules decide",
        "custom_router edge_routing:choose: it answered with no model of this gateway; the route's rules decide",
    ]


async def test_one_that_fails_is_off_after_three_and_metrics_and_readiness_say_so(custom: Edge) -> None:
    for _ in range(3):
        assert await ask_for(custom, "boom") == "auto -> free-one; else"
    assert await ask_for(custom, "free-two") == "auto -> free-one; else"
    readiness = (await custom.http.get("/health/readiness")).json()
    assert readiness["custom_routers_off"] == 1
    metrics = (await custom.http.get("/metrics")).text
    assert 'scalix_custom_router_off{name="edge_routing:choose"} 1.0\n' in metrics
    assert 'scalix_custom_router_overruns{name="edge_routing:choose"} 3.0\n' in metrics
