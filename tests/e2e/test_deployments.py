"""Several deployments of one model, on both engines of a running gateway: the provider's log says who was asked."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted
from tests.e2e.test_who_is_to_blame import proper

ENGINES = {"direct": "openai/m", "litellm": "anthropic/claude-3-demo"}
WEIGHTS = {"a": 3, "b": 2, "c": 1}
NANO_USD = {"a": 1_000, "b": 2_000, "c": 4_000}  # a token


def entry(name: str, model: str, base: str, *, usd: float = 1e-6, **params: Any) -> dict[str, Any]:
    return {
        "model_name": name,
        "litellm_params": {"model": model, "api_base": base, "api_key": "${TEST_PROVIDER_KEY}", **params},
        "model_info": {"input_cost_per_token": usd, "output_cost_per_token": usd, "max_output_tokens": 4096},
    }


def models() -> Iterator[dict[str, Any]]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for engine, model in ENGINES.items():
        for place, weight in WEIGHTS.items():
            usd = NANO_USD[place] * 1e-9
            yield entry(f"free-{engine}", model, f"${{TEST_PROVIDER_ROOT}}/{place}", usd=usd, weight=weight)
        for base in (nobody, "${TEST_PROVIDER_ROOT}/d"):
            yield entry(f"free-{engine}-half", model, base)


def answer(path: str, body: dict[str, Any]) -> Answer:
    return proper(path[2:], body)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    section = {"cooldown": {"seconds": 60}}
    folder = tmp_path_factory.mktemp("deployments")
    made = Gateway(folder, provider.url, models=tuple(models()), section=section).start()
    yield made
    made.stop()


@pytest.fixture
def http(gateway: Gateway, provider: Provider) -> Iterator[httpx.Client]:
    provider.asked.clear()
    with gateway.client() as client:
        yield client


def ask(http: httpx.Client, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50, **more}
    return http.post("/v1/chat/completions", json=body)


def places(provider: Provider) -> list[str]:
    return [path[1] for path, _ in provider.asked]


@pytest.mark.parametrize("at_once", [1, 16])
@pytest.mark.parametrize("engine", ENGINES)
def test_requests_are_shared_by_weight(engine: str, at_once: int, http: httpx.Client, provider: Provider) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda _: ask(http, f"free-{engine}"), range(60)))
    assert {one.status_code for one in answers} == {200}, answers[0].text
    assert {one.json()["model"] for one in answers} == {f"free-{engine}"}
    shares = Counter(places(provider))
    for place, weight in WEIGHTS.items():
        assert abs(shares[place] - 10 * weight) <= 1, shares


@pytest.mark.parametrize("engine", ENGINES)
def test_charged_is_the_price_of_the_one_that_served(engine: str, http: httpx.Client, provider: Provider) -> None:
    user = f"payer-{engine}"
    assert http.post("/user/new", json={"user_id": user, "tier": "all-models"}).status_code == 200
    for _ in range(6):
        assert ask(http, f"free-{engine}", user=user).status_code == 200
    asked = places(provider)
    assert set(asked) == set(WEIGHTS)
    events = http.get("/scalix/v1/usage/events", params={"user_id": user}).json()["events"]
    costs = sorted(round(event["provider_cost_usd"] * 1e9) for event in events)
    assert costs == sorted(12 * NANO_USD[place] for place in asked), events


@pytest.mark.parametrize("engine", ENGINES)
def test_turns_of_one_conversation_reach_one_provider_and_users_are_keyed_apart(
    engine: str, http: httpx.Client, provider: Provider
) -> None:
    system, reached = {"role": "system", "content": "word " * 3_000}, set()
    for number in range(12):
        user = f"talker-{engine}-{number}"
        assert http.post("/user/new", json={"user_id": user, "tier": "all-models"}).status_code == 200
        provider.asked.clear()
        said: list[dict[str, str]] = []
        for turn in ("one", "two", "three"):
            said.append({"role": "user", "content": turn})
            answered = ask(http, f"free-{engine}", user=user, messages=[system, *said])
            assert answered.status_code == 200, answered.text
            said.append({"role": "assistant", "content": "hello"})
        assert len(places(provider)) == 3
        assert len(set(places(provider))) == 1, places(provider)
        reached.update(places(provider))
    assert len(reached) > 1


ROUTES: dict[str, dict[str, Any]] = {
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": "hi"},
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_shares_by_weight(route: str, engine: str, http: httpx.Client, provider: Provider) -> None:
    for _ in range(12):
        answer = http.post(route, json={"model": f"free-{engine}", **ROUTES[route]})
        assert answer.status_code == 200, answer.text
    shares = Counter(places(provider))
    for place, weight in WEIGHTS.items():
        assert abs(shares[place] - 2 * weight) <= 1, shares


@pytest.mark.parametrize("engine", ENGINES)
def test_one_that_is_gone_is_passed_over_and_nobody_notices(
    engine: str, http: httpx.Client, provider: Provider, gateway: Gateway
) -> None:
    answers = [ask(http, f"free-{engine}-half") for _ in range(6)]
    assert {one.status_code for one in answers} == {200}, answers[0].text
    assert {one.headers["x-scalix-model-served"] for one in answers} == {f"free-{engine}-half"}
    assert places(provider) == ["d"] * 6
    # From its first failure on it rests, for everybody, and the model with it does not.
    assert gateway.log_text().count(f"model free-{engine}-half#1 rests") == 1
