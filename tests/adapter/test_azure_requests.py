"""What we build for Azure, whose address names deployment and version, is what LiteLLM's router sends."""

import asyncio
import copy
from contextlib import suppress
from typing import Any

import pytest
from litellm import Router

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.request_building import built_request
from tests.adapter.request_shapes import PLAIN, shapes
from tests.adapter.test_completion_requests import SHAPES as TEXTS
from tests.adapter.test_embedding_requests import SHAPES as EMBEDDINGS
from tests.adapter.test_request_building import Recorder, recorder, what_is_sent

__all__ = ["recorder"]

BASE = {"api_base": "https://ours.openai.azure.com", "api_key": "sk-azure", "api_version": "2024-10-21"}
CHATS = list(shapes())
ASKED = {
    Route.CHAT: ("acompletion", CHATS, 9),
    Route.COMPLETIONS: ("atext_completion", TEXTS, 9),
    Route.EMBEDDINGS: ("aembedding", EMBEDDINGS, 3),
}
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "a name": {"model": "azure/ours"},
    "a base model": {"model": "azure/ours", "base_model": "azure/gpt-4o"},
    "a model that thinks": {"model": "azure/o3-mini"},
    "a base model that thinks": {"model": "azure/ours", "base_model": "azure/gpt-5"},
    "o_series": {"model": "azure/o_series/ours"},
    "an older version": {"model": "azure/gpt-4o", "api_version": "2023-05-15"},
    "no version": {"model": "azure/gpt-4o", "api_version": None},
    "version 1": {"model": "azure/gpt-4o", "api_version": "v1"},
    "the whole address": {
        "model": "azure/ours",
        "api_base": "https://ours.openai.azure.com/openai/deployments/ours/chat/completions?api-version=2024-10-21",
    },
    "drop_params": {"model": "azure/gpt-4o", "drop_params": True},
    "settings": {"model": "azure/gpt-4o", "temperature": 0.3, "extra_headers": {"x-team": "a"}, "timeout": 7},
    "texts": {"model": "azure_text/gpt-35-turbo-instruct"},
}
# An address of chats, and a model of texts.
NOT_ASKED = {("the whole address", Route.EMBEDDINGS), ("texts", Route.CHAT), ("texts", Route.EMBEDDINGS)}
# The same, but with the model's name where LiteLLM reads it too.
INFO = {"base_model": "azure/gpt-5-mini"}


@pytest.mark.parametrize("route", ASKED)
@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_what_we_build_is_what_litellm_sends(deployment: str, route: Route, recorder: Recorder) -> None:
    sent = compared(DEPLOYMENTS[deployment], {}, route, recorder, ASKED[route][2])
    assert (sent > 0) is ((deployment, route) not in NOT_ASKED)


def test_so_it_is_where_the_model_stands_in_the_deployments_info(recorder: Recorder) -> None:
    assert compared({"model": "azure/ours"}, INFO, Route.CHAT, recorder, 5) > 0


@pytest.mark.soak
@pytest.mark.parametrize("route", ASKED)
@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_each_shape_is_what_litellm_sends(deployment: str, route: Route, recorder: Recorder) -> None:
    compared(DEPLOYMENTS[deployment], {}, route, recorder, 1)


def test_a_key_goes_to_its_own_host_alone(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where calls to another one were built before, whose clients LiteLLM keeps."""
    monkeypatch.setenv("AZURE_API_KEY", "sk-environment")
    monkeypatch.setenv("AZURE_API_BASE", "https://elsewhere.openai.azure.com")
    for host in ("one", "other", "one"):
        params = {
            **BASE,
            "model": "azure/ours",
            "api_base": f"https://{host}.openai.azure.com",
            "api_key": f"sk-{host}",
        }
        built = asyncio.run(built_request({"model_name": "m", "litellm_params": params}, {"messages": PLAIN}))
        assert built is not None
        assert built[0].url.host == f"{host}.openai.azure.com"
        assert [value for value in built[0].headers.values() if "sk-" in value] == [f"sk-{host}"]


def compared(params: dict[str, Any], info: dict[str, Any], route: Route, recorder: Recorder, every: int) -> int:
    """How many requests LiteLLM has sent, each of which was built in the same way."""
    entry = {"model_name": "m", "litellm_params": {**BASE, **params}, "model_info": info}
    router = Router(model_list=[entry], num_retries=0, disable_cooldowns=True)
    deployment = (router.get_model_list(model_name="m") or [])[0]
    name, bodies, _ = ASKED[route]
    sent, differing = 0, []

    async def compare() -> None:
        nonlocal sent
        for body in bodies[len(str(params)) % every :: every]:
            recorder.sent = None
            with suppress(Exception):  # the recorder's answer is that of a chat
                answer: Any = await getattr(router, name)(model="m", **copy.deepcopy(body))
                if body.get("stream"):
                    async for _ in answer:
                        pass
            stock = what_is_sent(recorder.sent)
            if stock is not None and not stock[0].partition("?")[0].endswith(route.row.provider_paths):
                stock = None  # another API, of which LiteLLM translates the answer
            built = await built_request(deployment, copy.deepcopy(body), route)
            sent += stock is not None
            if what_is_sent(built[0] if built else None) != stock:
                differing.append((body, what_is_sent(built[0] if built else None), stock))

    asyncio.run(compare())
    assert differing == []
    return sent
