"""Whether the names in a config file fit together, however wrong the rest of it is."""

from collections.abc import Iterable
from typing import Any

from scalix.domain.model_names import NOT, filled_in, fits, is_servable
from scalix.launch.config.failover_schema import fallback_problems
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.problems import Problem, nearest


def name_problems(source: YamlSource) -> Iterable[Problem]:
    """A default tier that is none of the tiers, and models of a tier that `model_list` does not have.

    Reads the file as it is, so that these are reported together with what is malformed; parts that are malformed
    themselves are passed over.
    """
    section = _mapping(source.data.get("scalix"))
    tiers = {str(name): tier for name, tier in _mapping(section.get("tiers")).items()}
    default = section.get("default_tier")
    if tiers and isinstance(default, str) and default not in tiers:
        guess = nearest(default, tiers) or next(iter(tiers))
        where = source.where(("scalix", "default_tier"))
        yield Problem(where, f"there is no tier '{default}'", f"write default_tier: {guess}")
    models = [
        str(model["model_name"])
        for model in _list(source.data.get("model_list"))
        if isinstance(model, dict) and "model_name" in model
    ]
    for tier_name, tier in tiers.items():
        for index, pattern in enumerate(_list(_mapping(tier).get("models"))):
            if not isinstance(pattern, str) or not models:
                continue
            pattern = pattern.removeprefix(NOT)
            if is_named(pattern, models) or any(fits(pattern, name) for name in models):
                continue
            where = source.where(("scalix", "tiers", tier_name, "models", index))
            what = f"tier '{tier_name}' names the model '{pattern}', which model_list does not have"
            if "*" in pattern:
                what = f"no model in model_list matches '{pattern}' of tier '{tier_name}'"
            guessed = nearest(pattern, models)
            fix = f"write {guessed}, or add the model" if guessed else "add the model to model_list, or remove the name"
            yield Problem(where, what, fix)
    yield from fallback_problems(source, section.get("fallbacks"), models)
    yield from _id_problems(source, models)


def _id_problems(source: YamlSource, models: list[str]) -> Iterable[Problem]:
    """Ids of deployments that a client may ask a wildcard for: LiteLLM would take that deployment, whose tier and price
    are others."""
    for index in range(len(models)):
        for place in (("litellm_params", "metadata"), ("model_info",)):
            steps = ("model_list", index, *place, "id")
            given = str(source.at(steps) or "")
            pattern = next((name for name in models if filled_in(name, given) is not None), None)
            if pattern is not None and given not in models and is_servable(given):
                what = f"the id '{given}' is a name that {pattern} serves, and this deployment would answer to it"
                yield Problem(source.where(steps), what, "remove the id, or put a space into it")


def is_named(name: str, models: Iterable[str]) -> bool:
    """Whether `name` is one of `models`, or one that a wildcard among them may serve."""
    return any(name == model or filled_in(model, name) is not None for model in models)


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
