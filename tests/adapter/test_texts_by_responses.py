"""Completions of texts by a model that the config has asked by the Responses API."""

from collections.abc import Iterator
from typing import Any

import litellm
import pytest

from scalix.litellm_adapter.callbacks import GatewayCallbacks
from tests.clients.acting_model import ActingModel
from tests.e2e.scripted_provider import Provider, scripted

SAID = "Hello there"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with scripted(ActingModel(SAID)) as made:
        yield made


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_completion_of_a_model_of_the_responses_api_is_asked_by_that_api(
    provider: Provider, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "open_ai_chat_completion_models", set(litellm.open_ai_chat_completion_models))
    asked: dict[str, Any] = {"model": "openai/responses/not-known", "api_base": f"{provider.url}/v1", "api_key": "none"}
    asked |= {"prompt": "Hello", "max_tokens": 32, "stream": streamed}
    kwargs = await GatewayCallbacks().async_pre_call_deployment_hook(asked, "atext_completion")
    answer = await litellm.atext_completion(**(kwargs or asked))
    parts = [chunk async for chunk in answer] if streamed else [answer]
    assert "".join(part.choices[0].text or "" for part in parts if part.choices) == SAID
    assert [(path, body["model"]) for path, body in provider.asked] == [("/v1/responses", "not-known")]
