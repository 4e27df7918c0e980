"""Requests of the Responses API that are built and sent by us are what LiteLLM's router sends for the same body and
deployment."""

import asyncio
import copy
from contextlib import suppress
from typing import Any

import pytest
from litellm import Router
from litellm.proxy import proxy_server

from scalix.domain.engines import DIRECT
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.stored_answers import stored_answer
from scalix.service.exchange.exchanges import CURRENT, Exchange
from tests.adapter.response_shapes import FUNCTION, shapes
from tests.adapter.test_request_building import BASE, DEFAULTS, FIRST, HOSTS, MODELS, Recorder, recorder, what_is_sent
from tests.exchanges import made_exchange

__all__ = ["recorder"]

SHAPES = list(shapes())
WITH_THE_ROUTE = sorted(provider for provider, routes in DIRECT.items() if Route.RESPONSES in routes)
EVERY = 9
# Files are searched by LiteLLM itself, with calls of its own, for these.
_SEARCHED = ("fireworks_ai",)


class Asked:
    """A deployment of `provider`, asked by LiteLLM's router and by us."""

    def __init__(self, recorder: Recorder, provider: str, **params: Any) -> None:
        params = {"model": f"{provider}/{MODELS[provider]}", "api_key": f"sk-{provider}", **params}
        entry = {"model_name": "m", "litellm_params": params, "model_info": {"id": "kept-here"}}
        self.router = Router(model_list=[entry], num_retries=0, disable_cooldowns=True)
        self._recorder = recorder
        self._requests = DirectRequests()
        self.exchange: Exchange = made_exchange()

    async def stock(self, body: dict[str, Any]) -> Any:
        self._recorder.sent = None
        with suppress(Exception):  # the recorder's answer is none of this API
            await self.router.aresponses(model="m", **copy.deepcopy(body))
        return self._recorder.sent

    async def ours(self, body: dict[str, Any]) -> Any:
        self.exchange = made_exchange(route=Route.RESPONSES, streamed=bool(body.get("stream")))
        self.exchange.attempt.model = "m"
        noted = CURRENT.set(self.exchange)
        try:
            return await self._requests.build(self.exchange, copy.deepcopy(body))
        finally:
            CURRENT.reset(noted)


@pytest.fixture
def asked(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(provider: str, **params: Any) -> Asked:
        made = Asked(recorder, provider, **params)
        monkeypatch.setattr(proxy_server, "llm_router", made.router)
        return made

    return make


def compared(one: Asked, provider: str, every: int, offset: int = 0) -> tuple[int, list[Any]]:
    """How many shapes LiteLLM has sent, and those of which we would have sent something else."""

    async def compare() -> tuple[int, list[Any]]:
        sent, differing = 0, []
        for body in SHAPES[offset % every :: every]:
            stock, ours = what_is_sent(await one.stock(body)), what_is_sent(await one.ours(body))
            sent += stock is not None
            searches = any(tool.get("type") == "file_search" for tool in body.get("tools") or ())
            if ours != (None if searches and provider in _SEARCHED else stock):
                differing.append((body, ours, stock))
        return sent, differing

    return asyncio.run(compare())


@pytest.mark.parametrize("params", FIRST)
@pytest.mark.parametrize("provider", WITH_THE_ROUTE)
def test_what_we_build_is_what_litellm_sends(provider: str, params: str, asked: Any) -> None:
    offset = WITH_THE_ROUTE.index(provider) + len(params)
    sent, differing = compared(asked(provider, **DEFAULTS[params]), provider, EVERY, offset)
    assert differing == []
    assert sent >= len(SHAPES) // EVERY // 2 or (provider == "hosted_vllm" and not DEFAULTS[params])


@pytest.mark.parametrize("params", [name for name in DEFAULTS if name not in FIRST])
@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_so_it_is_for_a_deployment_with_parameters_of_its_own(provider: str, params: str, asked: Any) -> None:
    sent, differing = compared(asked(provider, **DEFAULTS[params]), provider, 5 * EVERY)
    assert differing == []
    assert sent >= 2


@pytest.mark.soak
@pytest.mark.parametrize("params", DEFAULTS)
@pytest.mark.parametrize("provider", WITH_THE_ROUTE)
def test_each_shape_is_what_litellm_sends(provider: str, params: str, asked: Any) -> None:
    sent, differing = compared(asked(provider, **DEFAULTS[params]), provider, 1)
    assert differing == []
    assert sent >= len(SHAPES) // 2 or (provider == "hosted_vllm" and not DEFAULTS[params])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "params",
    [
        {"timeout": 3},
        {"stream_timeout": 4},
        {"timeout": 3, "stream_timeout": 4},
        {"timeout_by_service_tier": {"flex": 9}},
    ],
)
def test_a_provider_has_the_time_that_litellms_router_gives_it(
    params: dict[str, Any], stream: bool, asked: Any
) -> None:
    one = asked("hosted_vllm", api_base=BASE, **params)
    body = {"input": "hi", "stream": stream, "service_tier": "flex"}
    stock, ours = asyncio.run(one.stock(body)), asyncio.run(one.ours(body))
    assert ours.target.extensions["timeout"] == stock.extensions["timeout"]


@pytest.mark.parametrize(
    ("provider", "params", "body"),
    [
        ("openai", {"use_chat_completions_api": True}, {}),
        ("openai", {"model": "openai/chat_completions/m"}, {}),
        ("openai", {"model": "openai/o1-pro"}, {"stream": True}),
        ("openai", {}, {"tools": [{"type": "mcp", "server_label": "l", "server_url": "litellm_proxy"}]}),
        ("fireworks_ai", {}, {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
        ("openai", {"mock_response": "mocked"}, {}),
        ("hosted_vllm", {}, {}),
    ],
    ids=["its setting", "its model's name", "no stream", "tools of its own", "a search of its own", "mocked", "no URL"],
)
def test_what_is_no_single_request_for_the_providers_own_path_is_left_to_litellm(
    provider: str, params: dict[str, Any], body: dict[str, Any], asked: Any
) -> None:
    one = asked(provider, **params)
    assert asyncio.run(one.ours({"input": "hi", "tools": [FUNCTION], **body})) is None


@pytest.mark.parametrize("provider", WITH_THE_ROUTE)
def test_a_key_goes_to_the_host_of_its_own_provider_alone(
    provider: str, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in WITH_THE_ROUTE:
        monkeypatch.setenv(f"{other.upper()}_API_KEY", f"sk-environment-{other}")
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://vllm.test/v1")
    for other in (*WITH_THE_ROUTE, provider):
        url, headers, _ = what_is_sent(asyncio.run(asked(other).ours({"input": "hi"})))
        assert HOSTS[other] in url
        assert [value for value in headers.values() if "sk-" in value] == [f"Bearer sk-{other}"]


@pytest.mark.parametrize("provider", WITH_THE_ROUTE)
def test_an_answer_is_found_again_by_its_id_at_the_deployment_that_made_it(provider: str, asked: Any) -> None:
    one = asked(provider, api_base=BASE)
    asyncio.run(one.ours({"input": "hi"}))
    given = one.exchange.attempt.kept_id("resp_1")
    found = stored_answer(given)
    assert found is not None
    assert (found.model, found.params["api_base"]) == ("m", BASE)
    assert one.exchange.attempt.kept_id(given) == given  # another gateway's, of LiteLLM's kind
    follow_up = what_is_sent(asyncio.run(one.ours({"input": "hi", "previous_response_id": given})))
    assert follow_up[2]["previous_response_id"] == "resp_1"
