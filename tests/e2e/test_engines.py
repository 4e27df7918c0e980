"""Which engine has served, seen by a callback of LiteLLM's that the config does not name, and by the access log."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway
from tests.e2e.test_streams import body_of, streamed

DIRECT, BY_LITELLM, TRANSLATED = "free-deepseek-chat", "free-by-litellm", "free-claude-format"
# A provider's module may do more than serve a provider; no setting that decides between the engines names it.
NOTING = """
import os
import litellm
from litellm.integrations.custom_logger import CustomLogger

class Noting(CustomLogger):
    def log_pre_api_call(self, model, messages, kwargs):
        with open(os.environ["NOTED"], "a") as file:
            file.write(str(messages) + "\\n")

litellm.callbacks.append(Noting())
handler = litellm.CustomLLM()
"""
MODELS = [
    {
        "model_name": BY_LITELLM,
        "litellm_params": {"model": f"openai/{BY_LITELLM}", "api_base": "${TEST_PROVIDER_URL}", "api_key": "none"},
        "model_info": {"engine": "litellm"},
    }
]


def noting(folder: Path, provider: DemoServer, section: dict[str, Any]) -> Gateway:
    folder.mkdir()
    (folder / "noting.py").write_text(textwrap.dedent(NOTING))
    settings = {"custom_provider_map": [{"provider": "noting", "custom_handler": "noting.handler"}]}
    extra = {"NOTED": str(folder / "noted")}
    return Gateway(folder, provider.url, models=MODELS, section=section, litellm_settings=settings, extra=extra)


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Gateway]:
    gateway = noting(tmp_path_factory.mktemp("engines") / "auto", demo_server, {"engine": "auto"})
    yield gateway.start()
    gateway.stop()


@pytest.fixture(scope="module")
def forced(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Gateway]:
    gateway = noting(tmp_path_factory.mktemp("engines") / "forced", demo_server, {"engine": "litellm"})
    yield gateway.start()
    gateway.stop()


def ask(gateway: Gateway, model: str, marker: str, **more: Any) -> httpx.Response:
    with gateway.client() as http:
        body = {"model": model, "messages": [{"role": "user", "content": f"{model} {marker}"}], "max_tokens": 20}
        answer = http.post("/v1/chat/completions", json=body | more)
    assert answer.status_code == 200, answer.text
    return answer


def noted(gateway: Gateway, marker: str) -> set[str]:
    """The models of whose requests LiteLLM's callback has heard."""
    path = gateway.folder / "noted"
    lines = path.read_text().splitlines() if path.exists() else []
    return {model for model in (DIRECT, BY_LITELLM, TRANSLATED) if any(f"{model} {marker}" in line for line in lines)}


@pytest.mark.parametrize("stream", [False, True])
def test_litellms_callbacks_hear_of_what_litellm_serves_and_of_nothing_else(
    auto: Gateway, marker: str, stream: bool
) -> None:
    for model in (DIRECT, BY_LITELLM, TRANSLATED):
        ask(auto, model, marker, stream=stream)
    assert noted(auto, marker) == {BY_LITELLM, TRANSLATED}


@pytest.mark.parametrize("stream", [False, True])
def test_with_litellm_forced_its_callbacks_hear_of_every_request(forced: Gateway, marker: str, stream: bool) -> None:
    for model in (DIRECT, BY_LITELLM, TRANSLATED):
        ask(forced, model, marker, stream=stream)
    assert noted(forced, marker) == {DIRECT, BY_LITELLM, TRANSLATED}


def test_the_operator_reads_who_serves_a_model_and_why_and_callers_do_not(auto: Gateway) -> None:
    with auto.client() as http:
        entries = {one["model"]: one for one in http.get("/scalix/v1/models").json()["data"]}
        key = http.post("/user/new", json={"user_id": "asks-for-engines", "tier": "premium"}).json()["key"]
    assert entries[DIRECT]["engine"] == "direct"
    assert "/v1/chat/completions" in entries[DIRECT]["direct_routes"]
    assert entries[BY_LITELLM] == {
        "model": BY_LITELLM,
        "deployment": None,
        "engine": "litellm",
        "direct_routes": [],
        "reason": "model_info.engine is litellm",
        "health": None,
        "rests_s": 0,
    }
    with auto.client(key) as http:
        assert http.get("/scalix/v1/models").status_code == 403


def test_the_access_log_names_the_engine_that_asked(auto: Gateway, marker: str) -> None:
    ids = {model: ask(auto, model, marker).headers["x-request-id"] for model in (DIRECT, TRANSLATED)}
    auto.stop()
    lines = {model: next(line for line in auto.log_text().splitlines() if ids[model] in line) for model in ids}
    auto.start()
    assert " engine=direct " in lines[DIRECT]
    assert " engine=litellm " in lines[TRANSLATED]


def test_a_burst_through_litellm_comes_in_far_fewer_events(forced: Gateway) -> None:
    usage = {"stream_options": {"include_usage": True}}
    with forced.client() as http:
        burst = streamed(http, "/v1/chat/completions", body_of("bursts", "words=400 burst=1", **usage))
    assert len(burst) < 40
    assert burst[-1]["usage"]["completion_tokens"] == 400


def test_so_does_one_of_the_older_completions_route(forced: Gateway) -> None:
    body = {"model": DIRECT, "prompt": "Rivers. [[demo words=300 burst=1]]", "stream": True, "max_tokens": 1000}
    with forced.client() as http:
        burst = streamed(http, "/v1/completions", body)
    assert len(burst) < 40
