"""LiteLLM's settings for which the gateway has its own: they are put into `scalix:`, where that is silent."""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.litellm.budgets import take_budgets
from scalix.launch.litellm.callbacks import take_callbacks
from scalix.launch.litellm.fallbacks import take_fallbacks
from scalix.launch.litellm.models import take_models
from scalix.launch.litellm.told import Told
from scalix.launch.problems import Problem

Number = int | Decimal
# LiteLLM's setting; where it stands, the strongest first; ours; how one becomes the other; the least and the most.
_NUMBERS: tuple[tuple[str, tuple[str, ...], tuple[str, str], Callable[[Number], Number], int, int], ...] = (
    ("num_retries", ("router_settings", "litellm_settings"), ("retries", "same_model"), lambda n: n, 0, 10),
    ("max_fallbacks", ("router_settings", "litellm_settings"), ("retries", "models"), lambda n: n + 1, 1, 10),
    # LiteLLM lets a deployment cool down when it has failed more often than it may.
    ("allowed_fails", ("router_settings", "litellm_settings"), ("cooldown", "failures"), lambda n: n + 1, 1, 1000),
    ("cooldown_time", ("router_settings", "litellm_settings"), ("cooldown", "seconds"), lambda n: n, 0, 3600),
    ("global_max_parallel_requests", ("general_settings",), ("overload", "in_flight"), lambda n: n, 1, 100_000),
    ("max_in_flight_requests_per_worker", ("general_settings",), ("overload", "in_flight"), lambda n: n, 1, 100_000),
)


def translate(source: YamlSource, values: Mapping[str, str], told: Told, problems: list[Problem]) -> None:
    """Move what is translated from LiteLLM's sections of `source.data` into ours."""
    section = source.data.get("scalix")
    if not isinstance(section, dict):
        return
    for name, places, ours, reckoned, least, most in _NUMBERS:
        for place in places:
            settings = source.data.get(place)
            if not isinstance(settings, dict) or settings.get(name) is None:
                continue
            value, where = settings.pop(name), source.where((place, name))
            if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
                problems.append(Problem(where, f"{place}.{name} is no number", f"write {name}: 3"))
                continue
            number = min(most, max(least, math.ceil(reckoned(value))))
            _put(section, ours, number, f"{where}: {place}.{name}", told)
    router = source.data.get("router_settings")
    if isinstance(router, dict) and router.pop("disable_cooldowns", None) is True:
        subject = f"{source.where(('router_settings', 'disable_cooldowns'))}: router_settings.disable_cooldowns"
        _put(section, ("cooldown", "seconds"), 0, subject, told)
    _take_drop_params(source, told)
    take_callbacks(source, told)
    take_models(source, values, told)
    take_fallbacks(source, told, problems)
    take_budgets(source, told, problems)


def take_variables(source: YamlSource, values: Mapping[str, str], told: Told) -> dict[str, str]:
    """The variables that the file sets, by what `values` say of them, in which they have been put."""
    written = source.data.pop("environment_variables", None)
    if not isinstance(written, dict) or not written:
        return {}
    names = [name for name in written if isinstance(name, str) and name in values]
    where = source.where(("environment_variables",))
    told.translated.append(
        f"{where}: environment_variables are set for the gateway and its workers: {', '.join(names)}"
    )
    return {name: values[name] for name in names}


def _take_drop_params(source: YamlSource, told: Told) -> None:
    """To each deployment: there it is seen whether the output cap would be left out too."""
    settings = source.data.get("litellm_settings")
    if not isinstance(settings, dict) or str(settings.pop("drop_params", None)).lower() != "true":
        return
    models = source.data.get("model_list")
    for model in models if isinstance(models, list) else []:
        params = model.get("litellm_params") if isinstance(model, dict) else None
        if isinstance(params, dict):
            params.setdefault("drop_params", True)
    where = source.where(("litellm_settings", "drop_params"))
    told.translated.append(
        f"{where}: litellm_settings.drop_params leaves out what a model does not know, but no output cap"
    )


def _put(section: dict[str, Any], ours: tuple[str, str], number: int, subject: str, told: Told) -> None:
    part = section.setdefault(ours[0], {})
    if not isinstance(part, dict):
        return
    name = f"scalix.{'.'.join(ours)}"
    if part.setdefault(ours[1], number) != number:
        told.without_effect.append(f"{subject}: without effect here: {name} says {part[ours[1]]}")
    else:
        told.translated.append(f"{subject} is {name}: {number}")
