"""From an admission that a virtual key's limits refused to the error that the caller reads."""

from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import GatewayError, InsufficientQuota, QuotaReserved, RateLimitExceeded
from scalix.domain.limits.calendar import rfc3339, window_end_ms, window_index
from scalix.domain.limits.key_limits import KEY_CONCURRENT, KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.limits import NANO_USD_PER_USD, Metric, Window
from scalix.domain.limits.quota import Ask, Refused, Verdict
from scalix.service.identity.callers import Caller

RETRY_WHEN_HELD_S = 1
_ASK = "Ask the operator of this gateway for more."
_OF_NOTHING: dict[Metric, tuple[str, type[GatewayError]]] = {
    Metric.REQUESTS: ("requests", RateLimitExceeded),
    Metric.TOKENS: ("tokens", InsufficientQuota),
    Metric.SPEND: ("model that costs anything", InsufficientQuota),
}


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """An error, and when its limit resets (Unix time in ms); `None`: never by itself."""

    error: GatewayError
    reset_ms: int | None

    def outlasts(self, reset_ms: int) -> bool:
        """Whether this limit holds longer than one that resets at `reset_ms`."""
        return self.reset_ms is None or self.reset_ms > reset_ms


def about(ask: Ask) -> str:
    """How a refusal speaks of what the request needs: as counted, or as much as is certain."""
    return "about" if ask.least_prompt_tokens is None else "at least"


def key_exhausted(caller: Caller, ask: Ask, refused: Refused) -> KeyRefusal | None:
    """The refusal by the used-up limit of the key that holds longest, if there is one."""
    if ask.key is None:
        return None
    pairs = zip(ask.key.limits, refused.key_verdicts, strict=True)
    used_up = [
        (limit, _reset_ms(ask.key, limit, refused.now_ms)) for limit, verdict in pairs if verdict is Verdict.EXHAUSTED
    ]
    if not used_up:
        return None
    limit, reset_ms = max(used_up, key=lambda pair: float("inf") if pair[1] is None else pair[1])
    return KeyRefusal(_exhausted(caller, ask, refused, limit, reset_ms), reset_ms)


def key_reserved(caller: Caller, scope: KeyScope, refused: Refused) -> GatewayError:
    """The refusal by what requests in flight with the key hold."""
    for limit, verdict in zip(scope.limits, refused.key_verdicts, strict=True):
        if verdict is Verdict.RESERVED:
            details = _details(caller, refused, limit, _reset_ms(scope, limit, refused.now_ms))
            message = (
                f"What is left of {limit.name} is reserved by requests in flight with this API key. "
                "Try again when they have ended."
            )
            return QuotaReserved(message, details=details, retry_after_s=RETRY_WHEN_HELD_S)
    most = scope.concurrent
    if most == 0:
        return _none_allowed("request", KEY_CONCURRENT, caller)
    message = f"This API key may have {most} requests in flight, and has them. Wait for one to end, then try again."
    details = {
        "tier": caller.tier.name if caller.tier else None,
        "limit": KEY_CONCURRENT,
        "limit_value": most,
        "used": refused.key_tallies[KeyWindow.TOTAL].requests_held,
        "reset_at": None,
    }
    return RateLimitExceeded(message, details=details, retry_after_s=RETRY_WHEN_HELD_S)


def _none_allowed(what: str, limit: str, caller: Caller, kind: type[GatewayError] = RateLimitExceeded) -> GatewayError:
    tier = caller.tier.name if caller.tier else None
    details = {"tier": tier, "limit": limit, "limit_value": 0, "used": 0, "reset_at": None}
    message = f"This API key allows no {what}: its {limit.removeprefix('key.')} is 0. {_ASK}"
    return kind(message, details=details)


def _exhausted(caller: Caller, ask: Ask, refused: Refused, limit: KeyLimit, reset_ms: int | None) -> GatewayError:
    if not limit.value:
        what, kind = _OF_NOTHING[limit.metric]
        return _none_allowed(what, limit.name, caller, kind)
    details = _details(caller, refused, limit, reset_ms)
    retry_after_s = None if reset_ms is None else max(1, -(-(reset_ms - refused.now_ms) // 1000))
    when = _ASK
    if reset_ms is not None:
        when = f"Try again in {retry_after_s} s, at {rfc3339(reset_ms)}."
    if limit.metric is Metric.REQUESTS:
        message = f"This API key has used all {limit.value} requests per minute. {when}"
        return RateLimitExceeded(message, details=details, retry_after_s=retry_after_s)
    output_tokens = ask.choices * ask.min_output_tokens
    if limit.metric is Metric.TOKENS:
        needed = ask.sure_prompt_tokens + output_tokens
        if needed > limit.value:
            when = "Shorten the prompt."
        message = (
            f"This API key has used {details['used']} of {limit.value} tokens per minute, and this request needs "
            f"{about(ask)} {needed}. {when}"
        )
    else:
        cost = ask.prices.cost_nano_usd(ask.sure_prompt_tokens, output_tokens) / NANO_USD_PER_USD
        message = (
            f"This API key has spent {details['used']:f} of its budget of {details['limit_value']:f} USD, and this "
            f"request needs {about(ask)} {cost:f}. {when}"
        )
    return InsufficientQuota(message, details=details, retry_after_s=retry_after_s)


def _details(caller: Caller, refused: Refused, limit: KeyLimit, reset_ms: int | None) -> dict[str, Any]:
    tally = refused.key_tallies[limit.window]
    used = tally.used(limit.metric) + (tally.held(limit.metric) if limit.metric is Metric.REQUESTS else 0)
    return {
        "tier": caller.tier.name if caller.tier else None,
        "limit": limit.name,
        "limit_value": _shown(limit.metric, limit.value),
        "used": _shown(limit.metric, used),
        "reset_at": None if reset_ms is None else rfc3339(reset_ms),
    }


def _reset_ms(scope: KeyScope, limit: KeyLimit, now_ms: int) -> int | None:
    if not limit.value:
        return None
    if limit.window is KeyWindow.MINUTE:
        return window_end_ms(Window.MINUTE, window_index(Window.MINUTE, now_ms))
    if limit.window is KeyWindow.BUDGET:
        return scope.budget_start_ms(now_ms) + scope.budget_period_ms
    return None


def _shown(metric: Metric, value: int) -> int | float:
    return value / NANO_USD_PER_USD if metric is Metric.SPEND else value
