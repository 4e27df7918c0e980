"""Names that LiteLLM's config and operators import. LiteLLM is imported only when a name that needs it is asked for.

`usage_tracker`, `cost_calculator`, `error_handler` and `rate_limiter` work in any process, without LiteLLM.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalix.api.costs import CostCalculator
    from scalix.api.errors import SetupError, StoreNotRunning, UnknownPrice
    from scalix.api.failures import ErrorHandler
    from scalix.api.limits import RateLimiter
    from scalix.api.tracking import UsageTracker

    usage_tracker: UsageTracker
    cost_calculator: CostCalculator
    error_handler: ErrorHandler
    rate_limiter: RateLimiter

    __all__ = ["SetupError", "StoreNotRunning", "UnknownPrice"]

_FROM_LITELLM_ADAPTER = ("custom_auth", "gateway_callbacks")
_FROM_API = (
    *("usage_tracker", "cost_calculator", "error_handler", "rate_limiter"),
    *("StoreNotRunning", "SetupError", "UnknownPrice"),
)


def __getattr__(name: str) -> Any:
    if name in _FROM_API:
        from scalix.api.names import named

        return named(name)
    if name not in _FROM_LITELLM_ADAPTER:
        raise AttributeError(f"module 'scalix_callbacks' has no attribute {name!r}")
    from scalix.litellm_adapter import callbacks
    from scalix.wiring.plain import ensure_plain_services

    ensure_plain_services()
    return getattr(callbacks, name)
