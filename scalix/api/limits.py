"""`rate_limiter`: says whether a user's limits leave room for another request."""

from typing import TYPE_CHECKING, TypedDict

from scalix.api.runtime import RUNTIME, Runtime
from scalix.api.tracking import UserUsage, checked_name, user_usage
from scalix.domain.limits.quota import window_states

if TYPE_CHECKING:
    from scalix.api.services import Services
    from scalix.service.usage.usage import Use, Whose


class RateCheck(TypedDict):
    """Whether a request would be let in now. `reason` is empty or one of `user_blocked`, `model_not_found`,
    `model_not_allowed`, `rate_limit_exceeded`, `insufficient_quota`, `quota_reserved`; `limit` names the limit.
    `retry_after_s` is when there is room again, `None` where time does not help."""

    allowed: bool
    reason: str
    limit: str | None
    retry_after_s: int | None
    usage: UserUsage


async def check(services: "Services", user_id: str, model: str | None = None) -> RateCheck:
    whose = await services.usage.of_user(checked_name(user_id))
    use = await services.usage.use(whose)
    reason, limit, retry_after_s = _judged(services, whose, use, model)
    usage = user_usage(whose, use)
    return RateCheck(allowed=not reason, reason=reason, limit=limit, retry_after_s=retry_after_s, usage=usage)


def _judged(services: "Services", whose: "Whose", use: "Use", model: str | None) -> tuple[str, str | None, int | None]:
    policy = services.policy.current
    if whose.record is not None and whose.record.blocked:
        return "user_blocked", None, None
    if model is not None:
        if model not in policy.models_with(model):
            return "model_not_found", None, None
        if not policy.tier_or_default(whose.tier).allows(model):
            return "model_not_allowed", None, None
    states = [state for state in window_states(whose.limits, use.tallies, use.now_ms) if state.limit.enforce]
    full = [state for state in states if state.used >= state.limit.value]
    if full:
        last = max(full, key=lambda state: (not state.limit.value, state.reset_ms))
        reason = "rate_limit_exceeded" if last.limit.metric.unit.is_exact else "insufficient_quota"
        if not last.limit.value:  # none is allowed, however long one waits
            return reason, last.limit.name, None
        return reason, last.limit.name, max(1, -(-(last.reset_ms - use.now_ms) // 1000))
    held = [state for state in states if not state.remaining]
    if held:
        return "quota_reserved", held[0].limit.name, 1
    at_once = whose.limits.concurrent
    if at_once is not None and whose.limits.enforce_concurrent and use.in_flight >= at_once:
        return "rate_limit_exceeded", "concurrent", 1 if at_once else None
    return "", None, None


class RateLimiter:
    """Reads limits. It reserves nothing: a moment later another request may have used the room that it saw. `aio` has
    the same methods for asynchronous callers.

    All methods raise `StoreNotRunning`, `SetupError`, `ValueError`.
    """

    def __init__(self, runtime: Runtime = RUNTIME) -> None:
        self._runtime = runtime
        self.aio = AsyncRateLimiter(runtime)

    def check(self, user_id: str, model: str | None = None) -> RateCheck:
        """Whether a user has room for a request, and with `model` whether the tier has that model."""
        return self._runtime.run(lambda services: check(services, user_id, model))

    def check_rate_limit(self, user_id: str) -> RateCheck:
        """Whether a user has room for a request to any model."""
        return self.check(user_id)


class AsyncRateLimiter:
    """`RateLimiter` for asynchronous callers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def check(self, user_id: str, model: str | None = None) -> RateCheck:
        """As `RateLimiter.check`."""
        return await self._runtime.arun(lambda services: check(services, user_id, model))

    async def check_rate_limit(self, user_id: str) -> RateCheck:
        """As `RateLimiter.check_rate_limit`."""
        return await self.check(user_id)
