"""The names of the Python API in `scalix_callbacks`, each loaded when it is first asked for. Standard library only."""

import sys
from functools import cache
from importlib import import_module
from typing import Any

from scalix.launch.home import CODE, IN_CHECKOUT

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


@cache
def named(name: str) -> Any:
    """The object or error of this name."""
    module, kind = _NAMES[name]
    try:
        found = getattr(import_module(module), kind)
    except ModuleNotFoundError as missing:
        raise with_remedy(missing) from None
    return found if name == kind else found()


def with_remedy(missing: ModuleNotFoundError) -> ModuleNotFoundError:
    """The same error, with a message that says what to install or which Python to use."""
    package = (missing.name or "").partition(".")[0]
    if not package or package == "scalix" or "pip install" in str(missing):
        return missing
    locked = f"{sys.executable} -m pip install -r {CODE / 'requirements.lock'}, or use {CODE / '.venv/bin/python'}"
    remedy = f"run {locked}" if IN_CHECKOUT else "install scalix-gateway again, with what it needs"
    message = f"{sys.executable} has no package {package}: {remedy}"
    return ModuleNotFoundError(message, name=missing.name)
