"""One name that leads each tier to its own model, on a running gateway: the provider's log says which was asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted
from tests.e2e.test_deployments import ask
from tests.e2e.test_who_is_to_blame import proper

CHEAP, DEAR = "free-deepseek-chat", "scalix-engine"
ROUTES = {
    "auto": {
        "free": {"models": [CHEAP]},
        "ten-thousand-tokens": [
            {"tokens_day_left_percent_under": 20, "models": [CHEAP]},
            {"tools": True, "models": {"gpt-4": 1}},
            {"models": {DEAR: 3}},
        ],
    }
}


def answer(path: str, body: dict[str, Any]) -> Answer:
    return proper(path, body)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("routes"), provider.url, section={"routes": ROUTES}).start()
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
