"""Tells which deployments can be served: by the kind of model, its provider, and the packages that LiteLLM needs
for it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scalix.launch.config.config_schema import Deployment
from scalix.launch.config.deployments import Rendered
from scalix.launch.config.price_builder import known_entry
from scalix.launch.config.price_map_file import Entry
from scalix.launch.config.references import address_of, is_private
from scalix.launch.litellm.providers import missing_for_provider, provider_of, providers
from scalix.launch.problems import nearest

EMBEDDING = "embedding"
OFFERED = (None, "chat", "completion", "responses", EMBEDDING)
"""The kinds of models that are served, in LiteLLM's words; `None` is one of which nothing is known."""


def mode_of(info: Mapping[str, Any], known: Entry) -> str | None:
    """Return the kind of a model in LiteLLM's words: by the file's `model_info`, else by the price map."""
    mode = info.get("mode") or known.get("mode")
    return mode if isinstance(mode, str) else None


def answers(known: Entry) -> bool:
    """Whether one of our routes can ask a model of the price map. Some models that draw answer in chats."""
    endpoints = known.get("supported_endpoints")
    return known.get("mode") in OFFERED or (isinstance(endpoints, list) and "/v1/chat/completions" in endpoints)


def other_kind(info: Mapping[str, Any], known: Entry) -> str | None:
    """Say why a kind of model is not served; `None` for one that is."""
    mode = mode_of(info, known)
    is_offered = mode in OFFERED or (not info.get("mode") and answers(known))
    return None if is_offered else f"models of mode {mode} are not served"


def embeddings(deployments: Iterable[Deployment], names: frozenset[str]) -> set[str]:
    """Return the names of embedding models. `names` are all names to look up in the price map."""
    return {
        item.model_name for item in deployments if mode_of(item.model_info.extra, known_entry(item, names)) == EMBEDDING
    }


def not_offered(
    item: Rendered, names: frozenset[str], litellm: Mapping[str, Any], values: Mapping[str, str], *, demo: bool
) -> str | None:
    """Say why a deployment can't be served; `None` if it can. With `demo` only the kind of the model counts.

    `names` are all names to look up in the price map; `litellm` is LiteLLM's config without the models.
    """
    known = known_entry(item.declared, names)
    why = other_kind(item.declared.model_info.extra, known)
    if why or demo or "*" in item.name or item.missing:
        return why
    settings = litellm.get("litellm_settings")
    written = settings.get("custom_provider_map") if isinstance(settings, Mapping) else None
    own = {str(entry.get("provider")) for entry in written or () if isinstance(entry, Mapping)}
    return _no_provider(item.entry["litellm_params"], known, own, values)


def _no_provider(
    params: Mapping[str, Any], known: Entry, own: Collection[str], values: Mapping[str, str]
) -> str | None:
    """Say why LiteLLM could not reach a deployment; `None` if it could. `own` are providers that the operator has
    added."""
    provider = provider_of(params, known)
    package = missing_for_provider(provider)
    if package is not None:
        return f"{provider} needs a package that is not installed; run: pip install {package}"
    if not providers() or provider in providers() or provider in own:
        return None
    address = address_of(params, values)
    if address and not is_private(address):
        return None  # LiteLLM may know the host
    if not provider:
        return "its provider can't be told by the name alone; write it in front, such as openai/…"
    guess = nearest(provider, providers())
    return f"LiteLLM has no provider '{provider}'; write {f'{guess}/…, or ' if guess else ''}openai/… with an api_base"
