"""What LiteLLM's router makes of a deployment's settings for a request holds for requests that we send too."""

import asyncio
import copy
import json
from typing import Any

import pytest
from litellm import Router
from litellm.proxy import proxy_server

from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.provider_transport import install_reading
from tests.exchanges import made_exchange


def test_a_requests_effort_takes_the_place_of_its_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    install_reading()
    entry = {"model": "deepseek/deepseek-chat", "api_key": "k", "thinking": {"type": "disabled"}}
    router = Router(model_list=[{"model_name": "m", "litellm_params": entry}], num_retries=0)
    monkeypatch.setattr(proxy_server, "llm_router", router)

    async def sent(**more: Any) -> dict[str, Any]:
        exchange = made_exchange()
        exchange.attempt.model = "m"
        body = {"messages": [{"role": "user", "content": "hi"}], **more}
        request = await DirectRequests().build(exchange, body)
        assert request is not None
        made: dict[str, Any] = json.loads(request.content)
        return made

    assert asyncio.run(sent())["thinking"] == {"type": "disabled"}
    assert asyncio.run(sent(reasoning_effort="high")).get("thinking") != {"type": "disabled"}


@pytest.mark.parametrize(
    ("model", "sent_id"),
    [
        ("openai/gpt-4o", "call_1"),
        ("deepseek/deepseek-chat", "call_1"),
        ("openrouter/google/gemini-3-pro", "call_1__thought__c2lnbmVk"),
    ],
)
def test_what_gemini_signed_reaches_nobody_else(model: str, sent_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI refuses an id of a call that is longer than 40 characters, and a signature has hundreds."""
    install_reading()
    router = Router(model_list=[{"model_name": "m", "litellm_params": {"model": model, "api_key": "k"}}], num_retries=0)
    monkeypatch.setattr(proxy_server, "llm_router", router)
    signed = "call_1__thought__c2lnbmVk"
    call = {"id": signed, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": signed, "content": "x"},
    ]

    async def sent() -> list[str]:
        requests, found = DirectRequests(), []
        for _ in range(2):  # as it is built, and as it is kept
            exchange = made_exchange()
            exchange.attempt.model, exchange.attempt.written = "m", json.dumps({"messages": messages}).encode()
            request = await requests.build(exchange, {"messages": copy.deepcopy(messages)})
            assert request is not None
            _, asked, told = json.loads(request.content)["messages"]
            found += [asked["tool_calls"][0]["id"], told["tool_call_id"]]
        return found

    assert asyncio.run(sent()) == [sent_id] * 4
