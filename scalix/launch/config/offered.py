"""Which deployments can answer at all: by the kind of their model, their provider, and the packages that it needs."""

from collections.abc import Collection, Mapping
from typing import Any

from scalix.launch.config.price_map_file import Entry
from scalix.launch.config.references import LITELLM_PREFIX, is_private
from scalix.launch.litellm.packages import missing_for_provider
from scalix.launch.litellm.providers import provider_of, providers
from scalix.launch.problems import nearest

EMBEDDING = "embedding"
OFFERED = (None, "chat", "completion", "responses", EMBEDDING)


def mode_of(info: Mapping[str, Any], known: Entry) -> str | None:
    """The kind of a model, by what the file says of it, else by LiteLLM's map."""
    mode = info.get("mode") or known.get("mode")
    return mode if isinstance(mode, str) else None


def other_kind(info: Mapping[str, Any], known: Entry) -> str | None:
    """Why a model is not offered on any route; `None` for one that is."""
    mode = mode_of(info, known)
    is_offered = mode in OFFERED or (not info.get("mode") and answers(known))
    return None if is_offered else f"models of mode {mode} are not served"


def answers(known: Entry) -> bool:
    """Whether a model that LiteLLM's map has is asked by one of our routes: some that draw are, in chats."""
    endpoints = known.get("supported_endpoints")
    return known.get("mode") in OFFERED or (isinstance(endpoints, list) and "/v1/chat/completions" in endpoints)


def no_provider(params: Mapping[str, Any], known: Entry, own: Collection[str], values: Mapping[str, str]) -> str | None:
    """Why LiteLLM could not reach a deployment; `None` if it could. `own` are the providers of the operator's own."""
    provider = provider_of(params, known)
    package = missing_for_provider(provider)
    if package is not None:
        return f"{provider} needs a package that is not installed; run: pip install {package}"
    if not providers() or provider in providers() or provider in own:
        return None
    address = str(params.get("api_base") or "")
    if address.startswith(LITELLM_PREFIX):
        address = values.get(address.removeprefix(LITELLM_PREFIX), "")
    if address and not is_private(address):
        return None  # LiteLLM may know the host
    if not provider:
        return "its provider can't be told by the name alone; write it in front, such as openai/…"
    guess = nearest(provider, providers())
    return f"LiteLLM has no provider '{provider}'; write {f'{guess}/…, or ' if guess else ''}openai/… with an api_base"
