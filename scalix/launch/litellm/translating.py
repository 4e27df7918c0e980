"""Translates settings of LiteLLM's into settings of the `scalix:` section, where that says nothing itself."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from scalix.launch.config.findings import Findings
from scalix.launch.config.references import whole_reference
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.litellm.budgets import take_budgets
from scalix.launch.litellm.fallbacks import take_fallbacks
from scalix.launch.litellm.providers import missing_for_service

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
LIMITS = ("rpm", "tpm")
# With these settings of its router LiteLLM chooses by what nobody else knows.
_CHOICES_OF_LITELLM = (
    "enable_tag_filtering",
    "routing_groups",
    "optional_pre_call_checks",
    "model_group_affinity_config",
)
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CALLBACKS = (
    *("callbacks", "success_callback", "failure_callback", "service_callback", "input_callback"),
    "audit_log_callbacks",
)
# Callbacks that do what the gateway does.
_OURS = {
    "prometheus": "/metrics is the gateway's own (docs/usage.md)",
    **dict.fromkeys(("dynamic_rate_limiter", "dynamic_rate_limiter_v3"), "limits are those of scalix.tiers"),
}


def litellm_chooses(source: YamlSource) -> bool:
    """Whether it is LiteLLM's router that chooses among several deployments of a model."""
    return any(source.at((_ROUTER, name)) for name in _CHOICES_OF_LITELLM)


def translate(findings: Findings, values: Mapping[str, str]) -> None:
    """Move what is translated from LiteLLM's sections of the file into ours. `values` are the environment's
    variables."""
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
    _take_callbacks(findings)
    _take_models(findings, values)
    take_fallbacks(findings)
    take_budgets(findings)


def take_variables(findings: Findings, values: Mapping[str, str]) -> dict[str, str]:
    """Remove `environment_variables` from the file and return them with their values, which `values` has already."""
    written = findings.source.take("environment_variables")
    if not isinstance(written, dict) or not written:
        return {}
    names = [name for name in written if isinstance(name, str) and name in values]
    what = f"environment_variables are set for the gateway and its workers: {', '.join(names)}"
    findings.becomes(("environment_variables",), what)
    return {name: values[name] for name in names}


def _take_drop_params(findings: Findings) -> None:
    """Move `drop_params` to each deployment, where it is checked whether the output cap would be dropped too."""
    source = findings.source
    if str(source.take(_MODULE, "drop_params")).lower() != "true":
        return
    for index in range(len(source.listed("model_list"))):
        if isinstance(source.at(("model_list", index, "litellm_params")), dict):
            source.mapping("model_list", index, "litellm_params").setdefault("drop_params", True)
    what = "litellm_settings.drop_params leaves out what a model does not know, but no output cap"
    findings.becomes((_MODULE, "drop_params"), what)


def _put(findings: Findings, steps: tuple[Step, ...], ours: tuple[str, str], number: int) -> None:
    """Set a setting of ours to what LiteLLM's at `steps` says, unless our section says otherwise."""
    section, key = ours
    part = findings.source.mapping("scalix").setdefault(section, {})
    if not isinstance(part, dict):
        return
    subject, name = ".".join(map(str, steps)), f"scalix.{section}.{key}"
    if part.setdefault(key, number) != number:
        findings.no_effect(steps, subject, f"{name} says {part[key]}")
    else:
        findings.becomes(steps, f"{subject} is {name}: {number}")


def _take_callbacks(findings: Findings) -> None:
    """Remove callbacks that would do nothing or keep the gateway from starting."""
    settings = findings.source.mapping(_MODULE)
    for list_name in _CALLBACKS:
        written = settings.get(list_name)
        names: list[Any] = [written] if isinstance(written, str) else findings.source.listed(_MODULE, list_name)
        useless = {name: why for name in names if isinstance(name, str) and (why := _no_use(name))}
        if useless:
            settings[list_name] = [name for name in names if not (isinstance(name, str) and name in useless)]
        for name, why in useless.items():
            findings.no_effect((_MODULE, list_name), f"the callback {name}", why)


def _no_use(name: str) -> str | None:
    package = missing_for_service(name)
    return _OURS.get(name) if package is None else f"its package is not installed; run: pip install {package}"


def _take_limits(findings: Findings, index: int, params: dict[str, Any], *, is_litellms_choice: bool) -> None:
    """Move the limits of a deployment to its `model_info`: it is the gateway that holds them, where it chooses."""
    model = findings.source.mapping("model_list", index)
    info = model.setdefault("model_info", {})
    for name in LIMITS:
        most = params.get(name)
        if isinstance(info, dict) and type(most) is int and most > 0:
            info.setdefault(name, params.pop(name))
            steps = ("model_list", index, "litellm_params", name)
            if is_litellms_choice:
                findings.no_effect(steps, f"litellm_params.{name}", "LiteLLM's router chooses (docs/deployments.md)")
                continue
            what = "is what it takes each minute, and it gets no more (docs/deployments.md)"
            findings.becomes(steps, f"litellm_params.{name} of '{model.get('model_name')}' {what}")


def _take_models(findings: Findings, values: Mapping[str, str]) -> None:
    """Resolve names of models that stand in a variable, and move the output cap of a deployment to its
    `model_info`."""
    entries = findings.source.listed("model_list")
    names = [entry.get("model_name") for entry in entries if isinstance(entry, dict)]
    is_litellms_choice = litellm_chooses(findings.source)
    for index in range(len(entries)):
        steps = ("model_list", index, "litellm_params")
        params = findings.source.mapping(*steps)
        name = whole_reference(params.get("model"))
        if name is not None and values.get(name, "").strip():
            params["model"] = values[name].strip()
        caps = {key: params.pop(key) for key in _CAPS if key in params}
        model = findings.source.mapping("model_list", index)
        if "*" not in str(model.get("model_name")):
            of_litellm = is_litellms_choice and names.count(model.get("model_name")) > 1
            _take_limits(findings, index, params, is_litellms_choice=of_litellm)
        info = model.setdefault("model_info", {}) if caps else None
        if isinstance(info, dict) and info.get("max_output_tokens") is None:
            key, most = next(iter(caps.items()))
            info["max_output_tokens"] = most
            what = f"litellm_params.{key} of '{model.get('model_name')}' is model_info.max_output_tokens"
            findings.becomes((*steps, key), f"{what}: what it answers at most ({most})")
