"""What the gateway needs LiteLLM to be told, whatever the operator's file says of the rest."""

from collections.abc import Collection, Mapping
from typing import Any

from scalix.launch.config.references import LITELLM_PREFIX
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.problems import Problem

CALLBACKS = "scalix_callbacks.gateway_callbacks"
CUSTOM_AUTH = "scalix_callbacks.custom_auth"
MASTER_KEY = LITELLM_PREFIX + "LITELLM_MASTER_KEY"
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def with_gateway_settings(litellm: Mapping[str, Any], source: YamlSource, problems: list[Problem]) -> dict[str, Any]:
    """`litellm` with our callbacks, our authentication and the master key's reference, where they are not there yet.

    Another authentication or another master key would let callers past the edge's own, so they are problems.
    """
    general = _mapping(litellm.get("general_settings"))
    for name, ours in (("custom_auth", CUSTOM_AUTH), ("master_key", MASTER_KEY)):
        where = source.where(("general_settings", name))
        what = f"general_settings.{name} is not the gateway's own"
        # A key in plain text has been reported as one, with the same advice.
        if general.setdefault(name, ours) != ours and not any(
            problem.where == where and name in problem.what for problem in problems
        ):
            problems.append(Problem(where, what, f"write {name}: {ours}, or remove the line"))
    # The edge binds ids to users. LiteLLM would do so once more, with a key that changes when the master key does.
    general["disable_responses_id_security"] = True
    settings = _mapping(litellm.get("litellm_settings"))
    if settings.get("drop_params") is True:
        where = source.where(("litellm_settings", "drop_params"))
        what = (
            "litellm_settings.drop_params leaves out the output cap for models that do not know it: no limit would hold"
        )
        fix = "write drop_params: false, and name what a model refuses in its additional_drop_params"
        problems.append(Problem(where, what, fix))
    written = settings.get("callbacks")
    callbacks = list(written) if isinstance(written, list) else [written] if written else []
    if CALLBACKS not in callbacks:
        callbacks.append(CALLBACKS)
    settings["callbacks"] = callbacks
    router = _mapping(litellm.get("router_settings"))
    # One user's request that a provider answers with 401 or 404 would take the model from everybody for 5 seconds.
    router.setdefault("disable_cooldowns", True)
    # LiteLLM would sleep through a provider's Retry-After, up to a minute, with the client waiting.
    router.setdefault("retry_policy", {"RateLimitErrorRetries": 0, "TimeoutErrorRetries": 0})
    if _has_several_of_one_name(source.data.get("model_list")):
        # What one deployment keeps, another of the same name does not know.
        router.setdefault("optional_pre_call_checks", ["responses_api_deployment_check"])
    return {**litellm, "litellm_settings": settings, "general_settings": general, "router_settings": router}


def without_models(litellm: Mapping[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    """`litellm` whose fallbacks name no model that is left out: LiteLLM would try it, and fail, at each fallback."""
    pruned = dict(litellm)
    for section in ("litellm_settings", "router_settings"):
        settings = pruned.get(section)
        if not isinstance(settings, dict):
            continue
        settings = dict(settings)
        for name in _FALLBACKS:
            if isinstance(settings.get(name), list):
                settings[name] = _pruned(settings[name], left_out)
        if isinstance(settings.get("default_fallbacks"), list):
            settings["default_fallbacks"] = [model for model in settings["default_fallbacks"] if model not in left_out]
        pruned[section] = settings
    return pruned


def _pruned(fallbacks: list[Any], left_out: Collection[str]) -> list[Any]:
    kept: list[Any] = []
    for item in fallbacks:
        if not isinstance(item, dict):
            kept.append(item)
            continue
        rest = {
            name: [model for model in models if model not in left_out] if isinstance(models, list) else models
            for name, models in item.items()
            if name not in left_out
        }
        rest = {name: models for name, models in rest.items() if models}
        if rest:
            kept.append(rest)
    return kept


def _has_several_of_one_name(models: Any) -> bool:
    names = [model.get("model_name") for model in models if isinstance(model, dict)] if isinstance(models, list) else []
    return len(set(map(str, names))) < len(names)


def _mapping(value: Any) -> dict[Any, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
