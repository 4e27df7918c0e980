"""Adds the settings that the gateway needs LiteLLM to have, whatever the operator's file says."""

from collections.abc import Mapping
from typing import Any

from scalix.launch.config.references import LITELLM_PREFIX
from scalix.launch.config.yaml_source import YamlSource

CALLBACKS = "scalix_callbacks.gateway_callbacks"
CUSTOM_AUTH = "scalix_callbacks.custom_auth"
MASTER_KEY = LITELLM_PREFIX + "LITELLM_MASTER_KEY"


def with_gateway_settings(litellm: Mapping[str, Any], source: YamlSource) -> dict[str, Any]:
    """Return LiteLLM's config with our callbacks, our authentication and a reference to the master key."""
    # Whatever the file calls it: the launcher puts it into this variable.
    general = {**_mapping(litellm.get("general_settings")), "custom_auth": CUSTOM_AUTH, "master_key": MASTER_KEY}
    # The edge binds ids to users. LiteLLM would do so once more, with a key that changes when the master key does.
    general["disable_responses_id_security"] = True
    settings = _mapping(litellm.get("litellm_settings"))
    written = settings.get("callbacks")
    callbacks = list(written) if isinstance(written, list) else [written] if written else []
    if CALLBACKS not in callbacks:
        callbacks.append(CALLBACKS)
    settings["callbacks"] = callbacks
    router = _mapping(litellm.get("router_settings"))
    # One user's request that a provider answers with 401 or 404 would take the model from everybody for 5 seconds.
    router["disable_cooldowns"] = True
    # LiteLLM would sleep through a provider's Retry-After, up to a minute, with the client waiting.
    router["retry_policy"] = {"RateLimitErrorRetries": 0, "TimeoutErrorRetries": 0}
    names = [str(model.get("model_name")) for model in source.listed("model_list") if isinstance(model, dict)]
    if len(set(names)) < len(names):
        # What one deployment keeps, another of the same name does not know.
        router.setdefault("optional_pre_call_checks", ["responses_api_deployment_check"])
    return {**litellm, "litellm_settings": settings, "general_settings": general, "router_settings": router}


def _mapping(value: Any) -> dict[Any, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
