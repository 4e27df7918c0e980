"""LiteLLM's settings for which the gateway has its own: they are put into `scalix:`, where that is silent."""

import math
from collections.abc import Mapping
from decimal import Decimal

from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step
from scalix.launch.litellm.budgets import take_budgets
from scalix.launch.litellm.callbacks import take_callbacks
from scalix.launch.litellm.fallbacks import take_fallbacks
from scalix.launch.litellm.models import take_models

_ROUTER, _MODULE, _GENERAL = "router_settings", "litellm_settings", "general_settings"
# LiteLLM's setting; where it stands, the strongest first; ours; what is added to it; the least and the most.
_NUMBERS = (
    ("num_retries", (_ROUTER, _MODULE), ("retries", "same_model"), 0, 0, 10),
    ("max_fallbacks", (_ROUTER, _MODULE), ("retries", "models"), 1, 1, 10),
    # LiteLLM lets a deployment cool down when it has failed more often than it may.
    ("allowed_fails", (_ROUTER, _MODULE), ("cooldown", "failures"), 1, 1, 1000),
    ("cooldown_time", (_ROUTER, _MODULE), ("cooldown", "seconds"), 0, 0, 3600),
    ("global_max_parallel_requests", (_GENERAL,), ("overload", "in_flight"), 0, 1, 100_000),
    ("max_in_flight_requests_per_worker", (_GENERAL,), ("overload", "in_flight"), 0, 1, 100_000),
)


def translate(findings: Findings, values: Mapping[str, str]) -> None:
    """Move what is translated from LiteLLM's sections of the file into ours. `values` are the environment's."""
    source = findings.source
    if not isinstance(source.data.get("scalix"), dict):
        return
    for name, places, ours, added, least, most in _NUMBERS:
        for place in places:
            value = source.take(place, name)
            if isinstance(value, bool) or not isinstance(value, int | Decimal | None) or (value or 0) < 0:
                findings.wrong((place, name), f"{place}.{name} is no number", f"write {name}: 3")
            elif value is not None:
                _put(findings, (place, name), ours, min(most, max(least, math.ceil(value + added))))
    if source.take(_ROUTER, "disable_cooldowns") is True:
        _put(findings, (_ROUTER, "disable_cooldowns"), ("cooldown", "seconds"), 0)
    _take_drop_params(findings)
    take_callbacks(findings)
    take_models(findings, values)
    take_fallbacks(findings)
    take_budgets(findings)


def take_variables(findings: Findings, values: Mapping[str, str]) -> dict[str, str]:
    """The variables that the file sets, as they are in `values`, in which they have been put."""
    written = findings.source.take("environment_variables")
    if not isinstance(written, dict) or not written:
        return {}
    names = [name for name in written if isinstance(name, str) and name in values]
    what = f"environment_variables are set for the gateway and its workers: {', '.join(names)}"
    findings.becomes(("environment_variables",), what)
    return {name: values[name] for name in names}


def _take_drop_params(findings: Findings) -> None:
    """Move it to each deployment, since there it is seen whether the output cap would be left out too."""
    source = findings.source
    if str(source.take(_MODULE, "drop_params")).lower() != "true":
        return
    for index in range(len(source.listed("model_list"))):
        if isinstance(source.at(("model_list", index, "litellm_params")), dict):
            source.mapping("model_list", index, "litellm_params").setdefault("drop_params", True)
    what = "litellm_settings.drop_params leaves out what a model does not know, but no output cap"
    findings.becomes((_MODULE, "drop_params"), what)


def _put(findings: Findings, steps: tuple[Step, ...], ours: tuple[str, str], number: int) -> None:
    """Set our setting to what LiteLLM's at `steps` says, unless our section says otherwise."""
    section, key = ours
    part = findings.source.mapping("scalix").setdefault(section, {})
    if not isinstance(part, dict):
        return
    subject, name = ".".join(map(str, steps)), f"scalix.{section}.{key}"
    if part.setdefault(key, number) != number:
        findings.no_effect(steps, subject, f"{name} says {part[key]}")
    else:
        findings.becomes(steps, f"{subject} is {name}: {number}")
