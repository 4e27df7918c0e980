"""What LiteLLM's router makes of a deployment's settings for a request holds for requests that we send too."""

import asyncio
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
