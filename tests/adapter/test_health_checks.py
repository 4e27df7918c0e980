"""What a check of a deployment finds: a scripted provider over HTTP, asked by LiteLLM."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from scalix.domain.deployments import Deployment
from scalix.domain.health_checks import Verdict
from scalix.domain.policy import Model
from scalix.litellm_adapter import health_checks
from scalix.litellm_adapter.health_checks import check_deployment, check_models
from scalix.litellm_adapter.provider_transport import install_reading
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_who_is_to_blame import proper

MODELS = {"openai": "openai/m", "anthropic": "anthropic/claude-3-demo"}
OK = Verdict(is_failing=False)


class Script:
    """What the provider says next."""

    def __init__(self) -> None:
        self.status = 200
        self.error: dict[str, Any] = {}
        self.held = threading.Event()
        self.held.set()

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        self.held.wait(30)
        return proper(path, body) if self.status == 200 else whole({"error": self.error}, self.status)


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()
    yield made
    made.held.set()


@pytest.fixture
def provider(script: Script) -> Iterator[Provider]:
    with scripted(script.answer) as made:
        yield made


@pytest.fixture
def deployment(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    install_reading()
    made: dict[str, Any] = {
        "model_name": "m",
        "litellm_params": {"model": MODELS["openai"], "api_base": provider.url, "api_key": "sk-canary"},
        "model_info": {},
    }
    monkeypatch.setattr(health_checks, "deployment_of", lambda model, chosen: made if model == "m" else None)
    return made


@pytest.mark.parametrize("engine", MODELS)
async def test_one_that_answers_is_asked_for_one_token_and_its_settings_stay(
    engine: str, deployment: dict[str, Any], provider: Provider
) -> None:
    deployment["litellm_params"]["model"] = MODELS[engine]
    before = str(deployment)
    assert await check_deployment("m", "", 10) == OK
    ((_, body),) = provider.asked
    assert body["max_tokens"] == 1
    assert str(deployment) == before


async def test_litellms_settings_of_a_check_hold(deployment: dict[str, Any], provider: Provider) -> None:
    deployment["model_info"] = {"health_check_model": "openai/other", "health_check_max_tokens": 20}
    assert await check_deployment("m", "", 10) == OK
    deployment["model_info"] = {"mode": "embedding"}
    assert await check_deployment("m", "", 10) == OK
    (_, chat), (path, embedding) = provider.asked
    assert (chat["model"], chat["max_tokens"]) == ("other", 20)
    assert path == "/embeddings"
    assert "max_tokens" not in embedding


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (500, {"message": "canary"}, Verdict(is_failing=True, reason="it does not answer as it should (500)")),
        (503, {"message": "canary"}, Verdict(is_failing=True, reason="it does not answer as it should (503)")),
        (404, {"message": "no such model"}, Verdict(is_failing=True, reason="it does not answer as it should (404)")),
        (401, {"message": "sk-canary"}, Verdict(is_failing=True, reason="it does not take the gateway's key (401)")),
        (
            429,
            {"message": "canary", "code": "insufficient_quota"},
            Verdict(is_failing=True, reason="the gateway's account there is used up (429)"),
        ),
        (429, {"message": "slow down"}, Verdict(is_failing=True, reason="it takes no more requests for now (429)")),
        (400, {"message": "max_tokens"}, Verdict(is_failing=False, reason="it refuses the check (400)")),
    ],
)
@pytest.mark.parametrize("engine", MODELS)
async def test_what_it_says_decides_and_is_never_quoted(
    engine: str, status: int, error: dict[str, Any], expected: Verdict, deployment: dict[str, Any], script: Script
) -> None:
    deployment["litellm_params"]["model"] = MODELS[engine]
    script.status, script.error = status, error
    assert await check_deployment("m", "", 10) == expected


async def test_one_that_hangs_fails_in_time(deployment: dict[str, Any], script: Script) -> None:
    script.held.clear()
    assert await check_deployment("m", "", 1) in (
        Verdict(is_failing=True, reason="it did not answer within 1 s"),
        Verdict(is_failing=True, reason="it takes too long"),
    )


async def test_one_that_is_not_there_can_not_be_reached(deployment: dict[str, Any]) -> None:
    deployment["litellm_params"]["api_base"] = "http://127.0.0.1:1"
    assert await check_deployment("m", "", 10) == Verdict(is_failing=True, reason="it can't be reached")


async def test_what_litellm_can_not_ask_blames_no_deployment(deployment: dict[str, Any], provider: Provider) -> None:
    deployment["model_info"] = {"mode": "no_such_mode"}
    verdict = await check_deployment("m", "", 10)
    assert not verdict.is_failing
    assert verdict.reason.startswith("LiteLLM can't check it: ")
    unknown = await check_deployment("of-nobody", "", 10)
    assert unknown == Verdict(is_failing=False, reason="LiteLLM does not know it")
    assert not provider.asked


async def test_all_are_told_by_their_public_names_with_the_reason_and_nothing_of_the_providers(
    script: Script, deployment: dict[str, Any]
) -> None:
    models = (Model("m", "openai/m", deployments=(Deployment("m#1", "openai/m"),)), Model("other", "openai/x"))
    assert await check_models(models) == {
        "healthy_endpoints": [
            {"model": "m", "deployment": "m#1"},
            {"model": "other", "note": "LiteLLM does not know it"},
        ],
        "unhealthy_endpoints": [],
        "healthy_count": 2,
        "unhealthy_count": 0,
    }
    script.status, script.error = 401, {"message": "Incorrect API key: sk-canary", "code": "invalid_api_key"}
    told = await check_models(models)
    assert told["unhealthy_endpoints"] == [
        {"model": "m", "deployment": "m#1", "error": "it does not take the gateway's key (401)"}
    ]
    assert "canary" not in str(told)
