"""Embeddings that are built and sent by us are what LiteLLM's router sends for the same body and deployment."""

import asyncio
import copy
import itertools
from contextlib import suppress
from typing import Any

import pytest
from litellm import Router
from litellm.proxy import proxy_server

from scalix.domain.engines import DIRECT
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.direct_requests import DirectRequests
from tests.adapter.test_request_building import BASE, MODELS, Recorder, recorder, what_is_sent
from tests.exchanges import made_exchange

__all__ = ["recorder"]

INPUTS: tuple[Any, ...] = ("Hello", "", ["Hello"], ["Hello", "again"], [1, 2, 3], [[1, 2], [3]], ["x"] * 300)
PARAMS: tuple[dict[str, Any], ...] = (
    {},
    {"dimensions": 256},
    *({"encoding_format": value} for value in ("float", "base64")),
    {"encoding_format": "float", "dimensions": 64, "user": "end-user-1"},
    {"user": "end-user-1"},
    {"truncate_prompt_tokens": 8, "input_type": "query"},
    {"extra_headers": {"x-a": "b"}},
    {"metadata": {"a": "b"}},
)
SHAPES = [{"input": texts, **params} for texts, params in itertools.product(INPUTS, PARAMS)]
NAMES = {**MODELS, "openai": "text-embedding-3-small", "mistral": "mistral-embed"}
# Each fourth is compared in the everyday tests, from another one on for each provider.
EVERY = 4
WITH_THE_ROUTE = {provider for provider, routes in DIRECT.items() if Route.EMBEDDINGS in routes}


@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("settings", [{}, {"api_base": BASE}, {"api_base": BASE, "drop_params": True}])
@pytest.mark.parametrize("provider", sorted(NAMES))
def test_what_we_build_is_what_litellm_sends(
    provider: str, settings: dict[str, Any], every: int, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"model": f"{provider}/{NAMES[provider]}", "api_key": f"sk-{provider}", **settings}
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=0, disable_cooldowns=True)
    monkeypatch.setattr(proxy_server, "llm_router", router)
    requests = DirectRequests()
    built, differing = 0, []

    async def compare() -> None:
        nonlocal built
        for body in SHAPES[sorted(NAMES).index(provider) % every :: every]:
            recorder.sent = None
            with suppress(Exception):  # the recorder's answer embeds nothing
                await router.aembedding(model="m", **copy.deepcopy(body))
            stock = what_is_sent(recorder.sent)
            ours = made_exchange(route=Route.EMBEDDINGS)
            ours.attempt.model = "m"
            request = what_is_sent(await requests.build(ours, copy.deepcopy(body)))
            built += request is not None
            tokens = isinstance(body["input"], list) and isinstance(body["input"][0], list)
            if request != (None if tokens and provider not in ("openai", "hosted_vllm") else stock):
                differing.append((body, request, stock))

    asyncio.run(compare())
    assert differing == []
    assert (built > 0) is (provider in WITH_THE_ROUTE and (provider != "hosted_vllm" or bool(settings)))
