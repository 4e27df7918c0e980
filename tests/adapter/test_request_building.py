"""A request that is built and sent by us is the one that LiteLLM's router sends for the same body and deployment."""

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import litellm
import pytest
from litellm import Router
from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport
from litellm.proxy import proxy_server

from scalix.domain.engines import DIRECT
from scalix.domain.requests.dropped import Dropped
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.request_building import built_request
from tests.adapter.request_shapes import shapes
from tests.exchanges import made_exchange

MODELS = {
    "openai": "gpt-4o-mini",
    "hosted_vllm": "served",
    "openrouter": "meta-llama/llama-3.1-8b",
    "deepseek": "deepseek-chat",
    "groq": "llama-3.1-8b-instant",
    "mistral": "mistral-small-latest",
    "together_ai": "meta-llama/Llama-3-8b",
    "fireworks_ai": "llama-v3p1-8b-instruct",
    "xai": "grok-3",
}
BASE = "http://provider.test/v1"
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
END = (
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
SHAPES = list(shapes())
# Of some 1,800 pairs of a provider and a shape each ninth is compared in the everyday tests, in turn.
EVERY = 9


class Recorder:
    """The last request that left LiteLLM's clients, which all get the same answer."""

    def __init__(self) -> None:
        self.sent: httpx.Request | None = None

    async def handle(self, transport: Any, request: httpx.Request) -> httpx.Response:
        self.sent = request
        if b'"stream": true' in request.content or b'"stream":true' in request.content:
            return httpx.Response(200, content=END, headers={"content-type": "text/event-stream"}, request=request)
        return httpx.Response(200, json=ANSWER, request=request)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:

        async def handle(self: Any, request: httpx.Request) -> httpx.Response:
            return await recorder.handle(self, request)

        patch.setattr(LiteLLMAiohttpTransport, "handle_async_request", handle)
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", httpx.AsyncHTTPTransport.handle_async_request)
        patch.setattr(httpx.HTTPTransport, "handle_request", httpx.HTTPTransport.handle_request)
        patch.setattr(litellm, "suppress_debug_info", True)
        patch.setattr(litellm, "disable_hf_tokenizer_download", True)
        install_reading()
        yield recorder


def what_is_sent(request: httpx.Request | None) -> Any:
    if request is None:
        return None
    headers = {
        name: value
        for name, value in request.headers.items()
        if not name.startswith("x-stainless-")
        and name not in ("host", "connection", "content-length", "accept-encoding", "transfer-encoding")
    }
    return str(request.url), headers, json.loads(request.content)


def compared(provider: str, base: str | None, recorder: Recorder, every: int) -> tuple[int, list[Any]]:
    """How many shapes LiteLLM has sent, and those of which we would have sent something else."""
    params = {"model": f"{provider}/{MODELS[provider]}", "api_key": f"sk-{provider}"}
    if base:
        params["api_base"] = base
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=0, disable_cooldowns=True)
    deployment = (router.get_model_list(model_name="m") or [])[0]
    offset = sorted(MODELS).index(provider) + (1 if base else 0)
    sent, differing = 0, []

    async def compare() -> None:
        nonlocal sent
        for body in SHAPES[offset % every :: every]:
            recorder.sent = None
            with suppress(Exception):  # what it says to a provider, or the provider to it, is not in question
                answer = await router.acompletion(model="m", **copy.deepcopy(body))
                if body.get("stream"):
                    async for _ in answer:
                        pass
            stock = what_is_sent(recorder.sent)
            ours = what_is_sent(await built_request(deployment, copy.deepcopy(body), exchange()))
            sent += stock is not None
            if ours != stock:
                differing.append((body, ours, stock))

    asyncio.run(compare())
    return sent, differing


def exchange() -> Any:
    return SimpleNamespace(dropped=Dropped())


@pytest.mark.parametrize("base", [None, BASE])
@pytest.mark.parametrize("provider", sorted(DIRECT))
def test_what_we_build_is_what_litellm_sends(provider: str, base: str | None, recorder: Recorder) -> None:
    sent, differing = compared(provider, base, recorder, EVERY)
    assert sent >= len(SHAPES) // EVERY // 2
    assert differing == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("params", "settings"),
    [
        ({"timeout": 3}, {}),
        ({"stream_timeout": 4}, {}),
        ({"timeout": 3, "stream_timeout": 4}, {}),
        ({"timeout_by_service_tier": {"flex": 9}}, {}),
        ({}, {"timeout": 7}),
        ({}, {"stream_timeout": 8}),
        ({}, {}),
    ],
)
def test_a_provider_has_the_time_that_litellms_router_gives_it(
    params: dict[str, Any], settings: dict[str, Any], stream: bool, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"model": "hosted_vllm/served", "api_base": BASE, "api_key": "sk-x", **params}
    router = Router(model_list=[{"model_name": "m", "litellm_params": entry}], num_retries=0, **settings)
    monkeypatch.setattr(proxy_server, "llm_router", router)
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream, "service_tier": "flex"}

    async def compare() -> None:
        await router.acompletion(model="m", **copy.deepcopy(body))
        ours = made_exchange(streamed=stream)
        ours.attempt.model = "m"
        request = await DirectRequests().build(ours, copy.deepcopy(body))
        assert request is not None
        assert recorder.sent is not None
        assert request.extensions["timeout"] == recorder.sent.extensions["timeout"]

    asyncio.run(compare())
