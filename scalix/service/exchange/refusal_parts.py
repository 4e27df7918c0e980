"""What refusals of all kinds of limits say alike."""

from typing import Any

from scalix.domain.errors import GatewayError, InsufficientQuota, RateLimitExceeded
from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.limits import Metric
from scalix.domain.limits.quota import Ask
from scalix.service.identity.callers import Caller

RETRY_WHEN_HELD_S = 1


def kind_of(metric: Metric) -> type[GatewayError]:
    """The error by which a limit of this metric refuses."""
    return RateLimitExceeded if metric.unit.is_exact else InsufficientQuota


def seconds_to(reset_ms: int, now_ms: int) -> int:
    """Whole seconds until a limit resets, one at least."""
    return max(1, -(-(reset_ms - now_ms) // 1000))


def about(ask: Ask, metric: Metric = Metric.TOKENS) -> str:
    """How a refusal speaks of what the request needs: as counted, as much as is certain, or exactly."""
    return "" if metric.unit.is_exact else "about " if ask.least_prompt_tokens is None else "at least "


def details_of(caller: Caller, limit: str, limit_value: Any, used: Any, reset_ms: int | None = None) -> dict[str, Any]:
    """What goes into `error.scalix`."""
    return {
        "tier": caller.tier.name if caller.tier else None,
        "limit": limit,
        "limit_value": limit_value,
        "used": used,
        "reset_at": None if reset_ms is None else rfc3339(reset_ms),
    }


def upgrade_of(caller: Caller) -> dict[str, Any]:
    """Where there is more, as the details say it."""
    return {"upgrade_url": caller.tier.upgrade_url} if caller.tier and caller.tier.upgrade_url else {}
