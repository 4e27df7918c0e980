"""One gateway for the tests of what answers look like, with models of several formats at one scripted provider.

The gateway is a fixture of the folder's, so that the modules share it; `http` and `provider` are to be imported."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.complete_provider import complete
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Provider, scripted

OPENAI, REASONING, BY_CHAT = "shape-openai", "shape-reasoning", "shape-by-chat"
VLLM, DEEPSEEK, CLAUDE, GEMINI = "shape-vllm", "shape-deepseek", "shape-claude", "shape-gemini"
_PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_output_tokens": 4096}
MODELS: list[dict[str, Any]] = [
    {
        "model_name": name,
        "litellm_params": {
            "model": model,
            "api_base": f"${{TEST_PROVIDER_ROOT}}{path}",
            "api_key": "${TEST_PROVIDER_KEY}",
            **more,
        },
        "model_info": _PRICES,
    }
    for name, model, path, more in (
        (OPENAI, "openai/scripted", "/v1", {}),
        (REASONING, "openai/gpt-5", "/v1", {}),
        (BY_CHAT, "openai/scripted", "/v1", {"use_chat_completions_api": True}),
        (VLLM, "hosted_vllm/scripted", "/v1", {}),
        (DEEPSEEK, "deepseek/deepseek-chat", "/v1", {}),
        (CLAUDE, "anthropic/claude-sonnet-4-5", "", {}),
        (GEMINI, "gemini/gemini-2.5-flash", "", {}),
    )
]


@pytest.fixture(scope="session")
def shaped_provider() -> Iterator[Provider]:
    with scripted(complete) as made:
        yield made


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory, shaped_provider: Provider) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("shaped"), shaped_provider.url, models=MODELS).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def provider(shaped_provider: Provider) -> Provider:
    return shaped_provider


@pytest.fixture
def http(shaped: Gateway, provider: Provider) -> Iterator[httpx.Client]:
    with shaped.client() as client:
        yield client
    provider.answer = complete
