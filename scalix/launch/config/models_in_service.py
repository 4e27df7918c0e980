"""Builds the domain's models from the deployments in service, those that wildcards stand for included."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from scalix.domain.deployments import Deployment as Served
from scalix.domain.model_names import filled_in, is_servable
from scalix.domain.policy import Model, served_by
from scalix.launch.config.config_schema import ConfigFile, Deployment
from scalix.launch.config.deployments import (
    IMPLICIT_KEYS,
    Rendered,
    has_key,
    names_provider,
    order_of,
    serves_any_name,
    weights_of,
)
from scalix.launch.config.offered import answers
from scalix.launch.config.policy_builder import build_model
from scalix.launch.config.price_builder import base_model_of, known_entry, map_names, prices_of
from scalix.launch.config.price_map_file import Entry, whole_map

Models = dict[str, Model]


def build_models(
    in_service: Sequence[Rendered], declared: ConfigFile, values: Mapping[str, str], *, demo: bool, production: bool
) -> tuple[Models, Models]:
    """Return the models by name, and the wildcards that serve any name, the longest first.

    In production, names of a wildcard that have no price are left out, because requests for them would be
    refused.
    """
    first = {item.name: item for item in reversed(in_service) if "*" not in item.name}
    known = map_names(declared.model_list)
    models: Models = {}
    for name in dict.fromkeys(item.name for item in in_service if item.name in first):
        deployments = [item for item in declared.model_list if item.model_name == name]
        model = _built(name, deployments, first[name].provider_model, declared, known)
        serving = [item for item in in_service if item.name == name]
        if serving[0].ident:
            model = replace(model, deployments=tuple(_each(serving, declared, known)))
        elif len(deployments) == 1 and not demo:  # else LiteLLM chooses one of several
            model = replace(model, rpm=serving[0].limits.get("rpm"), tpm=serving[0].limits.get("tpm"))
        models[name] = model
    wild = [item.declared for item in in_service if "*" in item.name]
    wild.sort(key=lambda item: len(item.model_name), reverse=True)
    found: dict[str, Deployment] = {}
    any_name = [item for item in wild if serves_any_name(item)]
    for item in wild:
        for name, provider_model in () if item in any_name else _names_of(item, values, demo=demo):
            if name not in models:
                found.setdefault(name, _with_model(item, name, provider_model))
    known = map_names(found.values())
    for name, item in found.items():
        model = replace(_built(name, [item], item.litellm_params.model, declared, known), of_wildcard=True)
        if not production or (model.prices and model.prices[-1].has_rates(answers=True)):
            models[name] = model
    wildcards: Models = {}
    for item in any_name:
        model = _built(item.model_name, [item], item.litellm_params.model, declared, map_names([item]))
        wildcards[item.model_name] = replace(model, of_wildcard=True)
    for name in chain.from_iterable(declared.scalix.fallbacks.values()):
        # It stands in the config, so that it is a model like the others.
        if name not in models and (by_wildcard := served_by(wildcards, name)) is not None:
            models[name] = replace(by_wildcard, of_wildcard=False)
    return models, wildcards


def _built(
    name: str, deployments: Sequence[Deployment], provider_model: str, declared: ConfigFile, known: frozenset[str]
) -> Model:
    prices = prices_of(name, deployments, declared.scalix, known)
    if (base := base_model_of(deployments[0])) is not None:  # by which its tokens are counted
        provider_model = f"{provider_model.partition('/')[0]}/{base.rpartition('/')[2]}"
    return build_model(name, deployments, provider_model, prices, [known_entry(item, known) for item in deployments])


def _each(serving: Sequence[Rendered], declared: ConfigFile, known: frozenset[str]) -> Iterator[Served]:
    """Yield each of several deployments of a model."""
    for item, weight in zip(serving, weights_of(serving), strict=True):
        model = _built(item.name, [item.declared], item.provider_model, declared, known)
        rpm, tpm = item.limits.get("rpm"), item.limits.get("tpm")
        yield Served(item.ident, model.provider_model, model.prices, weight, order_of(item), rpm, tpm)


def _names_of(deployment: Deployment, values: Mapping[str, str], *, demo: bool) -> Iterator[tuple[str, str]]:
    """Yield each public name that a wildcard serves, and the model behind it. With `demo` all credentials are
    there."""
    pattern, model = deployment.model_name, deployment.litellm_params.model
    is_open = not names_provider(model)
    for full, short, entry in _known():
        if not answers(entry):
            continue
        provider = str(entry.get("litellm_provider"))
        if is_open and not ((demo and provider in IMPLICIT_KEYS) or has_key(provider, values)):
            continue
        for name in (short, full) if is_open else (full,):
            segment = filled_in(model, name) if "*" in model else filled_in(pattern, short)
            if segment is not None:
                public = pattern.replace("*", segment)
                if is_servable(public):
                    yield public, model.replace("*", segment)


def _with_model(deployment: Deployment, public: str, model: str) -> Deployment:
    """Return a copy of a wildcard's deployment that stands for one name."""
    params: dict[str, Any] = {**deployment.litellm_params.model_dump(), "model": model}
    construct = type(deployment.litellm_params).model_construct
    return deployment.model_copy(update={"model_name": public, "litellm_params": construct(**params)})


def _known() -> Iterator[tuple[str, str, Entry]]:
    """Yield each model of the price map: its name with the provider in front, its name in the map, and its entry."""
    for name, entry in whole_map().items():
        provider = entry.get("litellm_provider")
        if isinstance(provider, str) and provider and "*" not in name:
            yield (name if name.startswith(f"{provider}/") else f"{provider}/{name}"), name, entry
