"""LiteLLM's own callbacks: those of services whose package is missing, and those that do what the gateway does."""

from typing import Any

from scalix.launch.config.findings import Findings
from scalix.launch.litellm.packages import missing_for_service

_SECTION = "litellm_settings"
_LISTS = (
    *("callbacks", "success_callback", "failure_callback", "service_callback", "input_callback"),
    "audit_log_callbacks",
)
_OURS = {
    "prometheus": "/metrics is the gateway's own (docs/usage.md)",
    **dict.fromkeys(("dynamic_rate_limiter", "dynamic_rate_limiter_v3"), "limits are those of scalix.tiers"),
}


def take_callbacks(findings: Findings) -> None:
    """Take out the callbacks that would do nothing or keep the gateway from starting, and say so."""
    settings = findings.source.mapping(_SECTION)
    for list_name in _LISTS:
        written = settings.get(list_name)
        names: list[Any] = [written] if isinstance(written, str) else findings.source.listed(_SECTION, list_name)
        useless = {name: why for name in names if isinstance(name, str) and (why := _no_use(name))}
        if useless:
            settings[list_name] = [name for name in names if not (isinstance(name, str) and name in useless)]
        for name, why in useless.items():
            findings.no_effect((_SECTION, list_name), f"the callback {name}", why)


def _no_use(name: str) -> str | None:
    package = missing_for_service(name)
    return _OURS.get(name) if package is None else f"its package is not installed; run: pip install {package}"
