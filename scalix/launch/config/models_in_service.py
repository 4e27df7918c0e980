"""The domain's models over the deployments in service: one for each public name, and for each that a wildcard knows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from scalix.domain.policy import Model, served_by
from scalix.launch.config.config_schema import ConfigFile, Deployment
from scalix.launch.config.deployments import Rendered
from scalix.launch.config.policy_builder import build_model
from scalix.launch.config.price_builder import base_model_of, known_entry, map_names, prices_of
from scalix.launch.config.wildcards import names_of, serves_any_name, with_model

Models = dict[str, Model]


def build_models(
    in_service: Sequence[Rendered], declared: ConfigFile, values: Mapping[str, str], *, demo: bool, production: bool
) -> tuple[Models, Models]:
    """The models by name, and the wildcards that serve any name, the most exact first. Of a wildcard's names those
    without a price are left out in production, as a model of theirs would be refused."""
    served: dict[str, list[Rendered]] = {}
    wild: list[Deployment] = []
    for deployment in in_service:
        if "*" in deployment.name:
            wild.append(deployment.declared)
        else:
            served.setdefault(deployment.name, []).append(deployment)
    known = map_names(declared.model_list)
    models: Models = {}
    for name, group in served.items():
        deployments = [item for item in declared.model_list if item.model_name == name]
        models[name] = _built(name, deployments, group[0].provider_model, declared, known)
    wild.sort(key=lambda item: len(item.model_name), reverse=True)
    found: dict[str, Deployment] = {}
    any_name = [item for item in wild if serves_any_name(item)]
    for item in wild:
        if item in any_name:
            continue
        for name, provider_model in names_of(item, values, demo=demo):
            if name not in models:
                found.setdefault(name, with_model(item, name, provider_model))
    known = map_names(found.values())
    for name, item in found.items():
        model = replace(_built(name, [item], item.litellm_params.model, declared, known), of_wildcard=True)
        if not production or (model.prices and model.prices[-1].has_rates(answers=True)):
            models[name] = model
    wildcards = {
        item.model_name: replace(
            _built(item.model_name, [item], item.litellm_params.model, declared, map_names([item])),
            name=item.model_name,
            of_wildcard=True,
        )
        for item in any_name
    }
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
