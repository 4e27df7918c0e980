"""A request that is built and sent by us is the one that LiteLLM's router sends for the same body and deployment."""

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import httpx
import litellm
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from litellm import Router
from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport
from litellm.proxy import proxy_server

from scalix.domain.engines import DIRECT
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.direct_client import DirectRequest
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.litellm_adapter.kept_builds import KeptBuilds
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.request_building import built_request
from scalix.service.exchange.exchanges import CURRENT
from tests.adapter.request_shapes import PARAMS, PLAIN, shapes
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
HOSTS = {
    "openai": "api.openai.com",
    "hosted_vllm": "vllm.test",
    "openrouter": "openrouter.ai",
    "deepseek": "api.deepseek.com",
    "groq": "api.groq.com",
    "mistral": "api.mistral.ai",
    "together_ai": "api.together.ai",
    "fireworks_ai": "api.fireworks.ai",
    "xai": "api.x.ai",
}
CHATTING = sorted(provider for provider, routes in DIRECT.items() if Route.CHAT in routes and provider != "azure")
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
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
        patch.setattr(httpx.HTTPTransport, "handle_request", httpx.HTTPTransport.handle_request)
        patch.setattr(litellm, "suppress_debug_info", True)
        patch.setattr(litellm, "disable_hf_tokenizer_download", True)
        install_reading()
        yield recorder


def what_is_sent(request: httpx.Request | DirectRequest | None) -> Any:
    if request is None:
        return None
    headers = {
        name: value
        for name, value in request.headers.items()
        if not name.startswith("x-stainless-")
        and name not in ("host", "connection", "content-length", "accept-encoding", "transfer-encoding")
    }
    return str(request.url), headers, json.loads(request.content)


def deployment_of(provider: str, **params: Any) -> tuple[Router, dict[str, Any]]:
    """LiteLLM's router with one deployment, and that."""
    params = {"model": f"{provider}/{MODELS.get(provider, 'gpt-4o')}", "api_key": f"sk-{provider}", **params}
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=0, disable_cooldowns=True)
    return router, (router.get_model_list(model_name="m") or [])[0]


def compared(provider: str, params: dict[str, Any], recorder: Recorder, every: int) -> tuple[int, list[Any]]:
    """How many shapes LiteLLM has sent, and those of which we would have sent something else."""
    router, deployment = deployment_of(provider, **params)
    offset = sorted(MODELS).index(provider) + len(params)
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
            built = await built_request(deployment, copy.deepcopy(body))
            ours = what_is_sent(built[0] if built else None)
            sent += stock is not None
            if ours != stock:
                differing.append((body, ours, stock))

    asyncio.run(compare())
    return sent, differing


# Parameters of a deployment, of which each changes what is sent.
DEFAULTS: dict[str, dict[str, Any]] = {
    "no address": {},
    "an address": {"api_base": BASE},
    "a temperature": {"api_base": BASE, "temperature": 0.3},
    "headers": {"api_base": BASE, "extra_headers": {"x-team": "a"}},
    "an organization": {"api_base": BASE, "organization": "org-1"},
    "drop_params": {"api_base": BASE, "drop_params": True},
    "additional_drop_params": {"api_base": BASE, "additional_drop_params": ["seed", "user"]},
    "allowed_openai_params": {"api_base": BASE, "allowed_openai_params": ["reasoning_effort", "logit_bias"]},
    "extra_body": {"api_base": BASE, "extra_body": {"top_k": 3}},
}
FIRST = ("no address", "an address")


@pytest.mark.parametrize("params", FIRST)
@pytest.mark.parametrize("provider", CHATTING)
def test_what_we_build_is_what_litellm_sends(provider: str, params: str, recorder: Recorder) -> None:
    sent, differing = compared(provider, DEFAULTS[params], recorder, EVERY)
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
        assert request.target.extensions["timeout"] == recorder.sent.extensions["timeout"]

    asyncio.run(compare())


@pytest.mark.parametrize("params", [name for name in DEFAULTS if name not in FIRST])
@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "openrouter"])
def test_so_it_is_for_a_deployment_with_parameters_of_its_own(provider: str, params: str, recorder: Recorder) -> None:
    sent, differing = compared(provider, DEFAULTS[params], recorder, 5 * EVERY)
    assert sent >= 2
    assert differing == []


@pytest.mark.soak
@pytest.mark.parametrize("params", DEFAULTS)
@pytest.mark.parametrize("provider", CHATTING)
def test_each_shape_is_what_litellm_sends(provider: str, params: str, recorder: Recorder) -> None:
    sent, differing = compared(provider, DEFAULTS[params], recorder, 1)
    assert sent >= len(SHAPES) // 2
    assert differing == []


@pytest.mark.parametrize("provider", CHATTING)
def test_a_key_goes_to_the_host_of_its_own_provider_alone(
    provider: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the deployment has no address, and calls of other providers were built before."""
    for other in CHATTING:
        monkeypatch.setenv(f"{other.upper()}_API_KEY", f"sk-environment-{other}")
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://vllm.test/v1")
    for other in (*CHATTING, provider):
        built = asyncio.run(built_request(deployment_of(other)[1], {"messages": PLAIN}))
        assert built is not None
        request, _ = built
        assert request.url.host == HOSTS[other]
        keys = [value for value in request.headers.values() if "sk-" in value]
        assert keys == [f"Bearer sk-{other}"]


_TEXTS = st.one_of(
    st.text(max_size=9), st.lists(st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=5)))
)
_CALLS = st.lists(
    st.builds(
        lambda name, arguments: {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}},
        st.sampled_from(["look", "f"]),
        st.sampled_from(["{}", '{"x":1}', "no JSON", ""]),
    ),
    min_size=1,
    max_size=2,
)
_MESSAGE = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "developer", "tool"]), "content": _TEXTS},
        optional={"name": st.sampled_from(["anna", ""]), "tool_call_id": st.just("c")},
    ),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": st.none(), "tool_calls": _CALLS}),
)
_TEXT = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(min_size=1, max_size=9)}
)
_MESSAGE_LISTS = st.one_of(st.lists(_MESSAGE, min_size=1, max_size=4), st.lists(_TEXT, min_size=1, max_size=4))


_PARAMS = [name for name in DEFAULTS if name != "no address"]


def test_an_assistants_texts_are_looked_at_by_litellm_which_makes_one_of_them_for_vllm() -> None:
    texts = [{"type": "text", "text": "Hi"}]
    for content, is_kept in ((texts, False), ([], False), ("Hi", True)):
        body = {"messages": [*PLAIN, {"role": "assistant", "content": content}]}
        assert (KeptBuilds().key("m", "hosted_vllm", body, {}) is not None) == is_kept


@property_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_kept_makes_the_request_that_litellm_would_make_anew(recorder: Recorder, data: st.DataObject) -> None:
    kept_is_anew(data)


@pytest.mark.soak
@property_settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_so_it_does_two_thousand_times(recorder: Recorder, data: st.DataObject) -> None:
    kept_is_anew(data)


def kept_is_anew(data: st.DataObject) -> None:
    provider, params = data.draw(st.sampled_from([*CHATTING, "azure"])), data.draw(st.sampled_from(_PARAMS))
    deployment = plain_deployment(provider, params)
    rest = {**data.draw(st.sampled_from(PARAMS)), **data.draw(st.sampled_from(PARAMS))}
    rest |= data.draw(st.sampled_from([{}, {"temperature": 2}, {"max_tokens": 5}, {"extra_body": {"a": {"b": 1}}}]))
    first, second = data.draw(_MESSAGE_LISTS), data.draw(_MESSAGE_LISTS)
    options = data.draw(st.sampled_from([{}, {"lazy_edits": True}, {"smart_context": True}]))
    kept, read = KeptBuilds(), CURRENT.set(exchange(options))
    try:
        keys = [kept.key("m", provider, {"messages": messages, **rest}, options) for messages in (first, second)]
        built = asyncio.run(built_request(deployment, copy.deepcopy({"messages": first, **rest})))
        if built is None or keys[0] is None or keys[1] is None:
            return
        assert keys[0] == keys[1]
        kept.put(keys[0], built[0], first, built[1])
        if (found := kept.get(keys[1])) is None:
            return
        anew = asyncio.run(built_request(deployment, copy.deepcopy({"messages": second, **rest})))
    finally:
        CURRENT.reset(read)
    assert anew is not None
    assert what_is_sent(found.request(second)) == what_is_sent(anew[0])
    assert found.left_out == anew[1]


@lru_cache
def plain_deployment(provider: str, params: str) -> dict[str, Any]:
    deployment = deployment_of(provider, **DEFAULTS[params])[1]
    return {**deployment, "model_info": {**(deployment.get("model_info") or {}), "features": ["lazy_edits"]}}


def exchange(options: dict[str, bool] | None = None) -> Any:
    return SimpleNamespace(admission=SimpleNamespace(offer=SimpleNamespace(options=options or {})))
