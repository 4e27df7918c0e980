"""One name that leads each tier to its own model, on a running gateway: the provider's log says which was asked."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted
from tests.e2e.test_deployments import ask
from tests.e2e.test_who_is_to_blame import proper

HOOK = """
import time

def choose(user_id, model, messages):
    if user_id == "slow":
        time.sleep(600)
    return {"chosen": "free-gemini-flash", "greedy": "gpt-4"}.get(user_id)
"""
CHEAP, DEAR = "free-deepseek-chat", "scalix-engine"
ROUTES = {
    "auto": {
        "free": {"models": [CHEAP]},
        "ten-thousand-tokens": [
            {"tokens_day_left_percent_under": 20, "models": [CHEAP]},
            {"tools": True, "models": {"gpt-4": 1}},
            {"models": {DEAR: 3}},
        ],
    },
    "mine": {"custom_router": "routing_of_a_test:choose", "free": {"models": [CHEAP]}},
}


def answer(path: str, body: dict[str, Any]) -> Answer:
    return proper(path, body)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("routes")
    (folder / "routing_of_a_test.py").write_text(HOOK, encoding="utf-8")
    made = Gateway(folder, provider.url, section={"routes": ROUTES}).start()
    yield made
    made.stop()


def test_each_tier_is_led_to_its_own_model_and_the_cheaper_one_near_the_end_of_its_day(
    gateway: Gateway, provider: Provider
) -> None:
    with gateway.client() as http:
        assert http.post("/user/new", json={"user_id": "dear", "tier": "ten-thousand-tokens"}).status_code == 200
        told = [ask(http, "auto", user=user) for user in ("nobody", "dear")]
        assert [one.status_code for one in told] == [200, 200], told[0].text
        assert http.post("/user/update", json={"user_id": "dear", "limits": {"tokens": {"day": 500}}}).is_success
        told += [ask(http, "auto", user="dear", max_tokens=20) for _ in range(34)]
        names = [model["id"] for model in http.get("/v1/models", params={"user": "nobody"}).json()["data"]]
    assert {one.status_code for one in told} == {200}, told[-1].text
    routed = [one.headers.get("x-scalix-routed") for one in told]
    assert routed[:2] == [f"auto -> {CHEAP}; else", f"auto -> {DEAR}; else"]
    assert routed[-1] == f"auto -> {CHEAP}; tokens_day_left_percent_under"
    asked = [body["model"] for _, body in provider.asked]
    assert [*asked[:3], asked[-1]] == [CHEAP, DEAR, DEAR, CHEAP]
    assert told[0].json()["model"] == CHEAP
    assert "auto" in names


def test_the_operators_function_chooses_hangs_is_off_with_an_alarm_and_back_with_new_code(gateway: Gateway) -> None:
    by_rule = (f"mine -> {CHEAP}; else", 200)
    with gateway.client() as http:

        def routed(user: str) -> tuple[str | None, int]:
            answer = ask(http, "mine", user=user)
            return answer.headers.get("x-scalix-routed"), answer.status_code

        by_function = ("mine -> free-gemini-flash; custom_router", 200)
        assert [routed(user) for user in ("chosen", "other", "greedy")] == [by_function, by_rule, by_rule]
        assert [routed("slow") for _ in range(3)] == [by_rule] * 3
        assert routed("chosen") == by_rule
    status = json.loads(gateway.command("--status", "--json").stdout)
    assert (status["state"], status["alarms"]) == ("ready", {"custom_routers_off": 1})
    assert "custom_router routing_of_a_test:choose is off in this worker" in gateway.log_text()
    (gateway.folder / "routing_of_a_test.py").write_text("def choose(user_id):\n    pass\n", encoding="utf-8")
    refused = gateway.command("--reload")
    assert refused.returncode == 2
    assert "it can't be called with user_id, model and messages" in refused.stderr
    new = "def choose(user_id, model, messages):\n    return 'free-gemini-pro'\n"
    (gateway.folder / "routing_of_a_test.py").write_text(new, encoding="utf-8")
    assert gateway.command("--reload").returncode == 0
    with gateway.client() as http:
        assert ask(http, "mine", user="other").headers["x-scalix-routed"] == "mine -> free-gemini-pro; custom_router"
