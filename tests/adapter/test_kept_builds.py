"""What is kept of one request serves another only where LiteLLM would send the same."""

import asyncio
import copy
import json
from typing import Any

import httpx
import litellm
import pytest
from litellm import Router
from litellm.proxy import proxy_server

from scalix.domain.engines import DIRECT
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter import direct_requests, request_building
from scalix.litellm_adapter.direct_client import DirectRequest
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.request_building import built_request
from tests.adapter.test_request_building import BASE, what_is_sent
from tests.exchanges import made_exchange

USER = {"role": "user", "content": "hi"}
SYSTEM = {"role": "system", "content": "be kind"}
PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
VLLM = {"model": "hosted_vllm/served"}
NO_SYSTEM = {**VLLM, "supports_system_message": False}
IN_TURNS = {**VLLM, "ensure_alternating_roles": True}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    for transport, name in (
        (httpx.AsyncHTTPTransport, "handle_async_request"),
        (httpx.HTTPTransport, "handle_request"),
    ):
        monkeypatch.setattr(transport, name, getattr(transport, name))
    monkeypatch.setattr(litellm, "suppress_debug_info", True)
    install_reading()

    def deploy(params: dict[str, Any]) -> None:
        entry = {"model_name": "m", "litellm_params": {"api_base": BASE, "api_key": "sk-x", **params}}
        monkeypatch.setattr(proxy_server, "llm_router", Router(model_list=[entry], num_retries=0))

    return deploy


def built(bodies: list[dict[str, Any]], route: Route = Route.CHAT) -> tuple[DirectRequest, str]:
    """The last of the requests that are built for these bodies, one after the other, and what is left out of it."""

    async def build() -> tuple[DirectRequest, str]:
        requests, request = DirectRequests(), None
        for body in bodies:
            exchange = made_exchange(route=route, streamed=False)
            exchange.attempt.model = "m"
            request = await requests.build(exchange, {"model": "m", **copy.deepcopy(body)})
        assert request is not None
        return request, str(exchange.dropped)

    return asyncio.run(build())


@pytest.mark.parametrize(
    ("params", "messages"),
    [
        (NO_SYSTEM, [SYSTEM, USER]),
        (IN_TURNS, [USER, USER]),
        ({"model": "openai/o3-mini"}, [SYSTEM, USER]),
        (VLLM, [USER, {"role": "assistant", "content": PARTS}, USER]),
        (VLLM, [{**USER, "name": None}]),
        (VLLM, [SYSTEM, USER, USER]),
        (VLLM, [{"role": "user", "content": PARTS}, {"role": "assistant", "content": "", "tool_calls": [CALL]}, USER]),
    ],
)
def test_messages_are_sent_as_if_no_others_had_been_before(
    params: dict[str, Any], messages: list[Any], serve: Any
) -> None:
    serve(params)
    assert what_is_sent(built([{"messages": [USER]}, {"messages": messages}])[0]) == what_is_sent(
        built([{"messages": messages}])[0]
    )


@pytest.mark.parametrize("model", ["openai/served", "hosted_vllm/served", "openai/gpt-4o-mini"])
@pytest.mark.parametrize("prompt", ["", "Grüße \u2028", ["a"], ["a", "b"]])
def test_so_are_prompts(model: str, prompt: Any, serve: Any) -> None:
    serve({"model": model})
    bodies = [{"prompt": "Say", "echo": True}, {"prompt": prompt, "echo": True}]
    after, alone = built(bodies, Route.COMPLETIONS), built(bodies[1:], Route.COMPLETIONS)
    assert what_is_sent(after[0]) == what_is_sent(alone[0])


def test_litellm_is_not_asked_again_where_it_passes_a_prompt_on(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(VLLM)
    asked: list[Any] = []
    build = request_building.built_request

    async def noted(*args: Any) -> Any:
        asked.append(args)
        return await build(*args)

    monkeypatch.setattr(direct_requests, "built_request", noted)
    request, _ = built([{"prompt": "Say"}, {"prompt": "it"}], Route.COMPLETIONS)
    assert (len(asked), json.loads(request.content)["prompt"]) == (1, "it")


def test_the_order_of_a_schema_is_that_of_its_own_request(serve: Any) -> None:
    serve(VLLM)

    def body(*names: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        answer = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        return {"messages": [USER], "response_format": answer}

    request, _ = built([body("reason", "answer"), body("answer", "reason")])
    assert request.content.index(b'"answer"') < request.content.index(b'"reason"')


def test_what_is_left_out_is_said_each_time(serve: Any) -> None:
    serve({"model": "openai/o4-mini", "drop_params": True})
    body = {"messages": [USER], "temperature": 0.3}
    _, first = built([body])
    _, second = built([body, body])
    assert first == second == "temperature"


@pytest.mark.parametrize("provider", [name for name, routes in DIRECT.items() if Route.CHAT in routes])
def test_litellm_builds_but_the_first_request_of_a_kind(
    provider: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve({"model": f"{provider}/m"})
    asked: list[Any] = []

    async def counted(deployment: Any, body: Any, *route: Any) -> Any:
        asked.append(body["messages"])
        return await built_request(deployment, body, *route)

    monkeypatch.setattr(direct_requests, "built_request", counted)
    bodies: list[dict[str, Any]] = [{"messages": [SYSTEM, {"role": "user", "content": text}]} for text in "abc"]
    request, _ = built(bodies)
    assert request.content.endswith(b'"content":"c"}]}')
    assert [messages for messages in asked if messages in [body["messages"] for body in bodies]] == [
        bodies[0]["messages"]
    ]
