"""Completions that are built and sent by us are what LiteLLM's router sends for the same body and deployment."""

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
from scalix.litellm_adapter.request_building import built_request
from scalix.litellm_adapter.texts_by_responses import let_know
from tests.adapter.test_request_building import BASE, HOSTS, MODELS, Recorder, recorder, what_is_sent
from tests.exchanges import made_exchange

__all__ = ["recorder"]

PROMPTS: tuple[Any, ...] = (
    "Say",
    "",
    "Grüße, 你好, \U0001f600 \u2028",
    ["Say"],
    ["Say", "it", ""],
    [1, 2, 3],
    [[1, 2], [3]],
    "x" * 3_000,
)
PARAMS: tuple[dict[str, Any], ...] = (
    {},
    {"max_tokens": 5},
    {"n": 2, "best_of": 3},
    {"echo": True},
    {"logprobs": 0},
    {"logprobs": 3, "echo": True, "max_tokens": 1},
    {"suffix": "the end"},
    {"stop": "x"},
    {"stop": ["x", "y"], "temperature": 0},
    {"temperature": 0.7, "top_p": 0.5},
    {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    {"logit_bias": {"50256": -100}},
    {"seed": 7},
    {"user": "end-user-1"},
    {"min_p": 0.1, "top_k": 4, "repetition_penalty": 1.1},
    {"guided_regex": "a+", "add_special_tokens": False},
    {"extra_headers": {"x-a": "b"}},
    {"extra_body": {"ignore_eos": True}, "max_tokens": 4},
    {"metadata": {"a": "b"}},
    {"reasoning_effort": "low"},
    {"response_format": {"type": "json_object"}},
    {"stream": False},
    {"stream": True},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"stream": True, "n": 2, "logprobs": 2, "max_tokens": 9},
    {"stream": True, "echo": True, "suffix": "x", "seed": 3},
)
SHAPES = [{"prompt": prompt, **params} for prompt, params in itertools.product(PROMPTS, PARAMS)]
NAMES = {
    **MODELS,
    "openai": "scalix-engine",
    "text-completion-openai": "gpt-3.5-turbo-instruct",
    "openai ": "gpt-4o-mini",  # asked by chat completions
    "openai  ": "responses/gpt-5",  # by responses
}
SETTINGS: dict[str, dict[str, Any]] = {
    "no address": {},
    "an address": {"api_base": BASE},
    "drop_params": {"api_base": BASE, "drop_params": True},
    "of its own": {"api_base": BASE, "temperature": 0.3, "extra_headers": {"x-team": "a"}, "timeout": 7},
}
# Each ninth is compared in the everyday tests, from another one on for each provider.
EVERY = 9


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("provider", sorted(NAMES))
def test_what_we_build_is_what_litellm_sends(
    provider: str, settings: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(provider, settings, recorder, monkeypatch, EVERY)


@pytest.mark.soak
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("provider", sorted(NAMES))
def test_each_shape_is_what_litellm_sends(
    provider: str, settings: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(provider, settings, recorder, monkeypatch, 1)


def compared(provider: str, settings: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    name = provider.strip()
    params = {"model": f"{name}/{NAMES[provider]}", "api_key": f"sk-{name}", **SETTINGS[settings]}
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=0, disable_cooldowns=True)
    monkeypatch.setattr(proxy_server, "llm_router", router)
    requests = DirectRequests()
    let_know(params)  # as the gateway's callback does
    built, differing = 0, []

    async def compare() -> None:
        nonlocal built
        for body in SHAPES[sorted(NAMES).index(provider) % every :: every]:
            recorder.sent = None
            with suppress(Exception):  # the recorder's answer completes nothing
                answer: Any = await router.atext_completion(model="m", **copy.deepcopy(body))
                if body.get("stream"):
                    async for _ in answer:
                        pass
            stock = what_is_sent(recorder.sent)
            if stock is not None and not stock[0].endswith("/completions"):
                stock = None  # another API, of which LiteLLM translates the answer
            for _ in range(2):  # the second one may be what was kept of the first
                ours = made_exchange(route=Route.COMPLETIONS, streamed=bool(body.get("stream")))
                ours.attempt.model = "m"
                request = await requests.build(ours, copy.deepcopy(body))
                built += request is not None
                if what_is_sent(request) != stock:
                    differing.append((body, what_is_sent(request), stock))
                elif request is not None and recorder.sent is not None:
                    assert request.target.extensions["timeout"] == recorder.sent.extensions["timeout"]

    asyncio.run(compare())
    assert differing == []
    assert (built > 0) is (Route.COMPLETIONS in DIRECT[name] and not NAMES[provider].startswith("responses/"))


@pytest.mark.parametrize("provider", sorted({name.strip() for name in NAMES}))
def test_a_key_goes_to_the_host_of_its_own_provider_alone(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the deployment has no address."""
    for other in sorted(DIRECT):
        monkeypatch.setenv(f"{other.upper()}_API_KEY", f"sk-environment-{other}")
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://vllm.test/v1")
    params = {"model": f"{provider}/{NAMES[provider]}", "api_key": f"sk-{provider}"}
    deployment = {"model_name": "m", "litellm_params": params}
    built = asyncio.run(built_request(deployment, {"prompt": "Say"}, Route.COMPLETIONS))
    assert built is not None
    assert built[0].url.host == {**HOSTS, "text-completion-openai": "api.openai.com"}[provider]
    assert [value for value in built[0].headers.values() if "sk-" in value] == [f"Bearer sk-{provider}"]
