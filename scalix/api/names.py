"""The names that `scalix_callbacks` gives, each made when it is first asked for."""

from functools import cache
from importlib import import_module
from typing import Any

from scalix.api.missing import with_remedy

# Name -> module and class. A process that only handles errors need not load what speaks to the store.
_NAMES = {
    "usage_tracker": ("scalix.api.tracking", "UsageTracker"),
    "cost_calculator": ("scalix.api.costs", "CostCalculator"),
    "error_handler": ("scalix.api.failures", "ErrorHandler"),
    "rate_limiter": ("scalix.api.limits", "RateLimiter"),
    "StoreNotRunning": ("scalix.api.errors", "StoreNotRunning"),
    "SetupError": ("scalix.api.errors", "SetupError"),
    "UnknownPrice": ("scalix.api.errors", "UnknownPrice"),
}
NAMES = tuple(_NAMES)


@cache
def named(name: str) -> Any:
    """The object or error of this name."""
    module, kind = _NAMES[name]
    try:
        found = getattr(import_module(module), kind)
    except ModuleNotFoundError as missing:
        raise with_remedy(missing) from None
    return found if name == kind else found()
