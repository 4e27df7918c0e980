"""The rehearsal before a worker is ready reaches no provider, and nobody else may leave the provider out."""

import asyncio
from typing import Any

import pytest
from litellm import Router
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.litellm_pre_call_utils import _CLIENT_MOCK_CONTROL_FIELDS, _key_or_team_allows_client_mock_response

from scalix.litellm_adapter.bridge import marks_of
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.warm_up import _rehearsal, warm_up_direct
from tests.adapter.test_trimmed_calls import exchange


def test_litellm_takes_the_mock_answer_of_a_rehearsal_alone() -> None:
    assert "mock_response" in _CLIENT_MOCK_CONTROL_FIELDS
    assert _key_or_team_allows_client_mock_response(UserAPIKeyAuth(metadata=marks_of(_rehearsal(False))))
    assert not _key_or_team_allows_client_mock_response(UserAPIKeyAuth(metadata=marks_of(exchange())))


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "mistral", "groq", "gemini"])
def test_requests_without_litellms_app_are_rehearsed_and_none_is_sent(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_reading()
    entry = {"model": f"{provider}/m", "api_key": "sk-x", "api_base": "http://nobody.invalid/v1"}
    router = Router(model_list=[{"model_name": "m", "litellm_params": entry}])
    monkeypatch.setattr(proxy_server, "llm_router", router)
    requests = DirectRequests()
    answered: list[int] = []
    ask = requests.ask

    async def counted(exchange: Any, request: Any) -> Any:
        status, answer = await ask(exchange, request)
        answered.append(status)
        return status, answer

    monkeypatch.setattr(requests, "ask", counted)

    async def run() -> None:
        await requests.open()
        await warm_up_direct(requests, ["m"])

    asyncio.run(run())
    assert answered == ([] if provider == "gemini" else [200, 200])
