"""Health checks of deployments, on both engines of two workers: the provider's log says who was asked, and for what."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import METRICS_TOKEN, Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_deployments import ENGINES, ask, entry
from tests.e2e.test_who_is_to_blame import proper

INTERVAL_S = 5
DOWN = {"a", "e"}
"""The places of the provider that do not answer."""


def answer(path: str, body: dict[str, Any]) -> Answer:
    if path[1] in DOWN:
        return whole({"error": {"message": "canary-of-the-provider", "type": "api_error"}}, 500)
    if path[1] == "c" and (body.get("max_tokens") or 16) < 16:
        return whole({"error": {"message": "max_tokens is too small", "type": "invalid_request_error"}}, 400)
    return proper(path[2:], body)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    root = "${TEST_PROVIDER_ROOT}"
    models = [
        entry(f"free-{engine}", model, f"{root}/{place}") for engine, model in ENGINES.items() for place in ("a", "b")
    ]
    models += [entry("free-picky", "openai/m", f"{root}/c"), entry("free-dead", "openai/m", f"{root}/e")]
    models.append(entry("free-vectors", "openai/v", f"{root}/v"))
    models[-1]["model_info"] |= {"mode": "embedding", "health_check_model": "openai/v-of-the-check"}
    models.append(entry("free-left-alone", "openai/m", f"{root}/f"))
    models[-1]["model_info"]["disable_background_health_check"] = True
    made = Gateway(
        tmp_path_factory.mktemp("health"),
        provider.url,
        options=("--workers", "2"),
        models=models,
        section={"cooldown": {"seconds": 60}},
        general_settings={
            "background_health_checks": True,
            "health_check_interval": INTERVAL_S,
            "background_health_check_model_groups": [str(one["model_name"]) for one in models],
        },
    ).start()
    yield made
    made.stop()


def health_of(http: httpx.Client) -> dict[str, Any]:
    entries = http.get("/scalix/v1/models").json()["data"]
    return {one["deployment"] or one["model"]: one["health"] for one in entries if one["health"] is not None}


def soon(look: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end_s, what
        time.sleep(0.1)


def test_who_does_not_answer_is_taken_out_and_told_and_back_when_it_answers(
    gateway: Gateway, provider: Provider
) -> None:
    failing = {f"free-{engine}#1" for engine in ENGINES} | {"free-dead"}
    well = {f"free-{engine}#2" for engine in ENGINES} | {"free-picky", "free-vectors"}
    with gateway.client() as http:

        def is_told() -> bool:
            health = health_of(http)
            return health.keys() == failing | well and all(health[name]["answers"] is False for name in failing)

        soon(is_told, "the checks have not found who is down")
        health = health_of(http)
        assert {name for name in health if health[name]["answers"]} == well
        assert {health[name]["reason"] for name in failing} == {"it does not answer as it should (500)"}
        assert health["free-picky"]["reason"] == "it refuses the check (400)"  # and so is there
        # Small, of nobody, in the format of each engine; one worker of two makes each.
        checks = [(path, body) for path, body in provider.asked if path[1] != "v"]
        assert {body["max_tokens"] for _, body in checks} == {1}
        assert {path[2:] for path, _ in checks} == {"/chat/completions", "/v1/messages"}
        assert {(p, b["model"]) for p, b in provider.asked if p[1] == "v"} == {("/v/embeddings", "v-of-the-check")}
        assert not [path for path, _ in provider.asked if path[1] == "f"]

        made = 0

        def only_the_other_is_asked() -> bool:
            nonlocal made
            provider.asked.clear()
            for engine in ENGINES:
                answers = [ask(http, f"free-{engine}") for _ in range(6)]
                made += len(answers)
                assert {one.status_code for one in answers} == {200}, answers[0].text
            return {path[1] for path, body in provider.asked if body.get("max_tokens") == 50} == {"b"}

        # A worker that has not checked hears of it half a second later.
        soon(only_the_other_is_asked, "who is down is still asked")
        # The only one of its model is asked all the same.
        assert ask(http, "free-dead").status_code == 503
        assert [path for path, body in provider.asked if path[1] == "e" and body.get("max_tokens") == 50]

        metrics = http.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"}).text
        assert 'scalix_store_deployment_up{deployment="free-direct#1"} 0' in metrics
        assert 'scalix_store_deployment_up{deployment="free-direct#2"} 1' in metrics
        status = json.loads(gateway.command("--status", "--json").stdout)
        assert (status["state"], status["alarms"]["deployments_failing"]) == ("ready", 3)
        assert {one["deployment"] for one in status["failing"]} == failing
        assert {one["reason"] for one in status["failing"]} == {"it does not answer as it should (500)"}
        told = {one["model"]: one for one in http.get("/health").json()["background_checks"]}
        assert told["free-litellm#1"]["answers"] is False
        # Nobody was billed for a check, and none was a request.
        events = [one for one in metrics.splitlines() if one.startswith("scalix_requests_total{")]
        assert sum(float(one.rpartition(" ")[2]) for one in events) == made + 1, events

        DOWN.clear()
        soon(lambda: all(one["answers"] for one in health_of(http).values()), "they answer again")
        provider.asked.clear()
        for engine in ENGINES:
            for _ in range(6):
                assert ask(http, f"free-{engine}").status_code == 200
        assert {path[1] for path, body in provider.asked if body.get("max_tokens") == 50} == {"a", "b"}
    log = gateway.log_text()
    for name in failing:
        assert log.count(f"{name} fails its health checks: it does not answer as it should (500)") == 1
        assert log.count(f"{name} answers its health checks again") == 1
    # A check says it in words of ours; of a request that has failed the log has the provider's reason.
    of_checks = [line for line in log.splitlines() if "health checks" in line]
    assert not [line for line in of_checks if "canary-of-the-provider" in line]


def test_load_on_a_provider_is_that_of_one_worker(gateway: Gateway, provider: Provider) -> None:
    provider.asked.clear()
    began_s = time.monotonic()
    soon(lambda: sum(path[1] == "v" for path, _ in provider.asked) >= 3, "three checks in a row")
    assert time.monotonic() - began_s > INTERVAL_S * 1.5
