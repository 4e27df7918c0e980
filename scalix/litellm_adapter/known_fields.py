"""What models can be told, by LiteLLM's own lists of parameters: it fails at what is not on them."""

import logging
from collections.abc import Mapping
from functools import lru_cache, reduce
from typing import Any

import litellm
from litellm import get_supported_openai_params
from litellm.exceptions import UnsupportedParamsError
from litellm.llms.base_llm.responses.transformation import BaseResponsesAPIConfig
from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.types.llms.openai import Reasoning, ResponsesAPIOptionalRequestParams
from litellm.types.utils import LlmProviders
from litellm.utils import ProviderConfigManager, get_optional_params_embeddings

from scalix.domain.requests.model_fields import CAPS, EVERYTHING, Known, KnownFields, unknown_fields
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.providers import provider_of

log = logging.getLogger("scalix.provider")

_MOST_KNOWN = 4_096
_OPENAI = "openai"
# Beside those that LiteLLM lists as such. OpenAI's own servers and Azure's refuse what is not of their API.
_OF_OPENAIS_FORMAT = frozenset({_OPENAI, "hosted_vllm", "vllm", "openai_like", "custom_openai", "openrouter"})
_THOUGHT = ("reasoning_effort", "thinking")
_STRICT = frozenset({"azure", "azure_ai", "azure_text"})
_OF_EMBEDDINGS: Mapping[str, Any] = {"dimensions": 8, "encoding_format": "base64", "user": "u"}


def known_fields() -> KnownFields:
    """A function of a model's public name and a route, which asks LiteLLM's router for the deployments once."""
    return lru_cache(maxsize=_MOST_KNOWN)(_of_model)


def _of_model(model: str, route: Route) -> Known:
    from litellm.proxy import proxy_server

    router = proxy_server.llm_router
    deployments = router.get_model_list(model_name=model) if router is not None else None
    if not deployments:
        return EVERYTHING
    return reduce(_both, (of_deployment(filled(one["litellm_params"], model), route) for one in deployments))


def filled(params: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The parameters of a deployment that serves `model`, which may be one of many (`openai/*`)."""
    pattern = str(params.get("model"))
    before, star, _ = pattern.partition("*")
    name = pattern if not star else model if model.startswith(before) else pattern.replace("*", model)
    return {**params, "model": name}


def _both(one: Known, other: Known) -> Known:
    """What both of two deployments can be told."""
    caps = {cap for cap in (one.cap, other.cap) if cap is not None}
    return Known(
        unknown=one.unknown | other.unknown,
        left_out=one.left_out | other.left_out,
        extras=one.extras and other.extras,
        drops=one.drops and other.drops,
        cap=caps.pop() if len(caps) == 1 else "" if caps else None,
    )


def of_deployment(params: Mapping[str, Any], route: Route) -> Known:
    """What a deployment with these `litellm_params` can be told."""
    own = params.get("additional_drop_params")
    left_out = frozenset(name for name in own if isinstance(name, str)) if isinstance(own, list) else frozenset[str]()
    drops = litellm.drop_params is True or str(params.get("drop_params")).lower() == "true"
    try:
        model, provider = provider_of(params)
        extras = _reads_extras(provider, params.get("api_base") or params.get("base_url"))
        names, translated = _params(route, model, provider, bool(params.get("use_chat_completions_api")))
    except Exception as error:
        log.warning("what %s knows is not to be had: %s", params.get("model"), type(error).__name__)
        return Known(drops=drops)
    left_out -= {*CAPS, "max_output_tokens"}
    if names is None:
        return Known(left_out=left_out, extras=extras, drops=drops)
    names = names | set(params.get("allowed_openai_params") or ())
    unknown = unknown_fields(route, names, translated=translated)
    return Known(unknown=unknown, left_out=left_out, extras=extras, drops=drops, cap=_cap(route, names, translated))


def _reads_extras(provider: str, base: Any) -> bool:
    if provider == _OPENAI:
        return bool(base)
    return provider not in _STRICT and (
        provider in _OF_OPENAIS_FORMAT or provider in litellm.openai_compatible_providers
    )


def _params(route: Route, model: str, provider: str, by_chat: bool) -> tuple[frozenset[str] | None, bool]:
    """The parameters that LiteLLM lets through, `None` for any, and whether they are those of chat completions."""
    kind = LlmProviders(provider) if provider in LlmProviders.__members__.values() else None
    if route is Route.EMBEDDINGS:
        return _of_embeddings(model, provider), False
    if route is Route.MESSAGES and kind and ProviderConfigManager.get_provider_anthropic_messages_config(model, kind):
        return None, False
    if route is Route.RESPONSES and kind is not None and not by_chat:
        config = ProviderConfigManager.get_provider_responses_api_config(model=model, provider=kind)
        if config is not None:
            names = set(config.get_supported_openai_params(model))
            return frozenset(names if _takes_effort(config, model) else names - {"reasoning"}), False
    if route is Route.COMPLETIONS and provider in _OF_OPENAIS_FORMAT | {"text-completion-openai", "azure_text"}:
        return None, False  # sent as they are
    supported = get_supported_openai_params(model, provider) or get_supported_openai_params(model, _OPENAI) or ()
    if route is Route.MESSAGES and provider == _OPENAI and not _takes_effort(OpenAIResponsesAPIConfig(), model):
        # With a word on thinking LiteLLM sends these the Responses API's way.
        return frozenset(supported).difference(_THOUGHT), True
    return frozenset(supported), True


def _takes_effort(config: BaseResponsesAPIConfig, model: str) -> bool:
    try:
        asked = ResponsesAPIOptionalRequestParams(reasoning=Reasoning(effort="low"))
        config.map_openai_params(response_api_optional_params=asked, model=model, drop_params=False)
    except UnsupportedParamsError:
        return False
    return True


def _of_embeddings(model: str, provider: str) -> frozenset[str]:
    """Of embeddings LiteLLM has no list for every provider; but it can be tried."""
    known = set[str]()
    for name, value in _OF_EMBEDDINGS.items():
        try:
            get_optional_params_embeddings(
                model=model, custom_llm_provider=provider, drop_params=False, **{name: value}
            )
        except UnsupportedParamsError:
            continue
        known.add(name)
    return frozenset(known)


def _cap(route: Route, names: frozenset[str], translated: bool) -> str | None:
    if not route.row.generates or not translated:
        return None
    known = [name for name in CAPS if name in names]
    if route in (Route.CHAT, Route.COMPLETIONS):
        return None if len(known) == len(CAPS) else known[0] if known else ""
    return None if CAPS[0] in known else ""
