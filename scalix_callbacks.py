"""Names that LiteLLM's config and operators import. LiteLLM is imported only when a name that needs it is asked for."""

from typing import Any

_FROM_LITELLM_ADAPTER = ("custom_auth", "gateway_callbacks")


def __getattr__(name: str) -> Any:
    if name not in _FROM_LITELLM_ADAPTER:
        raise AttributeError(f"module 'scalix_callbacks' has no attribute {name!r}")
    from scalix.litellm_adapter import callbacks
    from scalix.wiring.plain import ensure_plain_services

    ensure_plain_services()
    return getattr(callbacks, name)
