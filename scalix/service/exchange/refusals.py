"""From a refused admission to the error that the caller reads."""

from typing import Any

from scalix.domain.errors import GatewayError, InsufficientQuota, QuotaReserved, RateLimitExceeded
from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.key_states import key_states
from scalix.domain.limits.limits import NANO_USD_PER_USD, Limit, Metric
from scalix.domain.limits.quota import Ask, Refused, Verdict, WindowState, window_states
from scalix.service.exchange.balance_refusals import balance_exhausted, balance_reserved
from scalix.service.exchange.key_refusals import about, key_exhausted, key_reserved
from scalix.service.identity.callers import Caller

RETRY_WHEN_HELD_S = 1


def refusal(caller: Caller, ask: Ask, refused: Refused) -> GatewayError:
    """The error for the limit that will hold longest: of several exhausted windows, the one that resets last."""
    states = window_states(ask.limits, refused.tallies, refused.now_ms)
    error = _refusal(caller, ask, refused, states)
    error.key_states = key_states(ask.key, refused.key_tallies, refused.now_ms)
    error.windows, error.tier = states, caller.tier.name if caller.tier else None
    return error


def _refusal(caller: Caller, ask: Ask, refused: Refused, states: tuple[WindowState, ...]) -> GatewayError:
    enforced = [
        (state, verdict)
        for state, verdict in zip(states, refused.verdicts, strict=True)
        if state.limit.enforce and verdict is not Verdict.FITS
    ]
    exhausted = [state for state, verdict in enforced if verdict is Verdict.EXHAUSTED]
    none = next((state for state in exhausted if not state.limit.value), None)
    if none is not None:
        return _none_allowed(caller, none)
    last = max(exhausted, key=lambda state: state.reset_ms) if exhausted else None
    by_key = key_exhausted(caller, ask, refused)
    if by_key is not None and (last is None or by_key.outlasts(last.reset_ms)):
        return by_key.error
    if last is not None:
        return _exhausted(caller, ask, last, refused.now_ms)
    if refused.balance is Verdict.EXHAUSTED:
        return balance_exhausted(caller, ask, refused)
    if refused.balance is Verdict.RESERVED:
        return balance_reserved(caller, refused)
    if enforced:
        return _reserved(caller, enforced[0][0])
    if ask.key and (Verdict.RESERVED in refused.key_verdicts or refused.key_concurrent_full):
        return key_reserved(caller, ask.key, refused)
    details = _details(caller, "concurrent", ask.limits.concurrent, refused.in_flight)
    if ask.limits.concurrent == 0:
        message = f"No request is allowed here: none in flight is the most {_at_once(caller)}.{_more(details)}"
        return RateLimitExceeded(message, details=details)
    message = (
        f"You have {refused.in_flight} requests in flight, the most {_at_once(caller)}. "
        "Wait for one to end, then try again."
    )
    return RateLimitExceeded(message, details=details, retry_after_s=RETRY_WHEN_HELD_S)


def _none_allowed(caller: Caller, state: WindowState) -> GatewayError:
    """The refusal by a limit of 0, which no time changes."""
    limit = state.limit
    details = _details(caller, limit.name, 0, _shown(limit.metric, state.used))
    of_what, kind = {
        Metric.REQUESTS: ("No requests are", RateLimitExceeded),
        Metric.TOKENS: ("No tokens are", InsufficientQuota),
        Metric.SPEND: ("No money is", InsufficientQuota),
    }[limit.metric]
    free = " Models that cost nothing can be used." if limit.metric is Metric.SPEND else ""
    message = f"{of_what} allowed {_whose(caller, limit)}: {limit.name} is 0.{free}{_more(details)}"
    return kind(message, details=details)


def _more(details: dict[str, Any]) -> str:
    if "upgrade_url" in details:
        return f" More is available at {details['upgrade_url']}."
    return " Ask the operator of this gateway for more."


def _exhausted(caller: Caller, ask: Ask, state: WindowState, now_ms: int) -> GatewayError:
    limit = state.limit
    retry_after_s = max(1, -(-(state.reset_ms - now_ms) // 1000))
    used = state.used + state.held if limit.metric is Metric.REQUESTS else state.used
    reset_at = rfc3339(state.reset_ms)
    details = _details(caller, limit.name, _shown(limit.metric, limit.value), _shown(limit.metric, used), reset_at)
    upgrade = f" More is available at {details['upgrade_url']}." if "upgrade_url" in details else ""
    when = f"Try again in {retry_after_s} s, at {reset_at}.{upgrade}"
    per = f"per {limit.window.value} {_whose(caller, limit)}"
    if limit.metric is Metric.REQUESTS:
        message = f"You have used all {limit.value} requests {per}. {when}"
        return RateLimitExceeded(message, details=details, retry_after_s=retry_after_s)
    if limit.metric is Metric.TOKENS:
        needed = ask.sure_prompt_tokens + ask.choices * ask.min_output_tokens
        message = (
            f"You have used {used} of {limit.value} tokens {per}, and this request needs {about(ask)} {needed}. {when}"
        )
        if needed > limit.value:
            message = (
                f"This request needs {about(ask)} {needed} tokens, more than the {limit.value} {per}. "
                f"Shorten the prompt.{upgrade}"
            )
    else:
        needed = ask.prices.cost_nano_usd(ask.sure_prompt_tokens, ask.choices * ask.min_output_tokens)
        message = (
            f"You have spent {_usd(used)} of {_usd(limit.value)} USD {per}, "
            f"and this request needs {about(ask)} {_usd(needed)}. {when}"
        )
        if needed > limit.value:
            message = (
                f"This request needs {about(ask)} {_usd(needed)} USD, more than the {_usd(limit.value)} {per}. "
                f"Shorten the prompt or use a cheaper model.{upgrade}"
            )
    return InsufficientQuota(message, details=details, retry_after_s=retry_after_s)


def _reserved(caller: Caller, state: WindowState) -> GatewayError:
    limit = state.limit
    details = _details(
        caller,
        limit.name,
        _shown(limit.metric, limit.value),
        _shown(limit.metric, state.used),
        rfc3339(state.reset_ms),
    )
    message = (
        f"What is left of {limit.name} {_whose(caller, limit)} is reserved by your own requests in flight. "
        "Try again when they have ended."
    )
    return QuotaReserved(message, details=details, retry_after_s=RETRY_WHEN_HELD_S)


def _whose(caller: Caller, limit: Limit) -> str:
    """Where a limit comes from: the tier, or what the operator has set for this user."""
    if caller.tier is None:
        return "on this gateway"
    return f"on the {caller.tier.name} tier" if limit in caller.tier.limits.windows else "set for you"


def _at_once(caller: Caller) -> str:
    if caller.tier is None:
        return "that this gateway allows"
    if caller.limits.concurrent == caller.tier.limits.concurrent:
        return f"that the {caller.tier.name} tier allows"
    return "that is set for you"


def _details(caller: Caller, limit: str, limit_value: Any, used: Any, reset_at: str | None = None) -> dict[str, Any]:
    details = {
        "tier": caller.tier.name if caller.tier else None,
        "limit": limit,
        "limit_value": limit_value,
        "used": used,
        "reset_at": reset_at,
    }
    if caller.tier and caller.tier.upgrade_url:
        details["upgrade_url"] = caller.tier.upgrade_url
    return details


def _usd(nano_usd: int) -> str:
    """`2.5` for 2,500,000,000 nano-dollars."""
    dollars, rest = divmod(nano_usd, NANO_USD_PER_USD)
    return f"{dollars}.{rest:09d}".rstrip("0").rstrip(".")


def _shown(metric: Metric, value: int) -> int | float:
    return value / NANO_USD_PER_USD if metric is Metric.SPEND else value
