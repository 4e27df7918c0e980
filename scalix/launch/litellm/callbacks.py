"""LiteLLM's own callbacks: those of services whose package is missing, and those that do what the gateway does."""

from typing import Any

from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.litellm.packages import missing_for_service
from scalix.launch.litellm.told import Told

_SECTION = "litellm_settings"
_LISTS = (
    "callbacks",
    "success_callback",
    "failure_callback",
    "service_callback",
    "input_callback",
    "audit_log_callbacks",
)
_OURS = {
    "prometheus": "/metrics is the gateway's own (docs/usage.md)",
    "dynamic_rate_limiter": "limits are those of scalix.tiers",
    "dynamic_rate_limiter_v3": "limits are those of scalix.tiers",
}


def take_callbacks(source: YamlSource, told: Told) -> None:
    """Take out those that would do nothing, or keep the gateway from starting, and say so."""
    settings = source.data.get(_SECTION)
    if not isinstance(settings, dict):
        return
    said: dict[str, str] = {}
    for list_name in _LISTS:
        written = settings.get(list_name)
        names: list[Any] = written if isinstance(written, list) else [written] if isinstance(written, str) else []
        why = {name: reason for name in names if isinstance(name, str) and (reason := _no_use(name))}
        if why:
            settings[list_name] = [name for name in names if name not in why]
            said.update({f"{source.where((_SECTION, list_name))}: the callback {name}": why[name] for name in why})
    told.without_effect.extend(f"{subject}: without effect here: {reason}" for subject, reason in said.items())


def _no_use(name: str) -> str | None:
    package = missing_for_service(name)
    if package is not None:
        return f"its package is not installed; run: pip install {package}"
    return _OURS.get(name)
