"""From a refused admission to the error that the caller reads."""

from typing import Any

from scalix.domain.errors import GatewayError, QuotaReserved, RateLimitExceeded
from scalix.domain.limits.durations import in_words
from scalix.domain.limits.key_states import key_states
from scalix.domain.limits.limits import CONCURRENT, Limit, Metric
from scalix.domain.limits.quota import Ask, Refused, Verdict, WindowState, window_states
from scalix.service.exchange.balance_refusals import balance_exhausted, balance_reserved
from scalix.service.exchange.key_refusals import key_exhausted, key_reserved
from scalix.service.exchange.refusal_parts import (
    RETRY_WHEN_HELD_S,
    about,
    details_of,
    kind_of,
    seconds_to,
    upgrade_of,
)
from scalix.service.identity.callers import Caller


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
    details = details_of(caller, CONCURRENT, ask.limits.concurrent, refused.in_flight) | upgrade_of(caller)
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
    limit, unit = state.limit, state.limit.metric.unit
    details = details_of(caller, limit.name, 0, unit.shown(state.used)) | upgrade_of(caller)
    free = " Models that cost nothing can be used." if unit.is_money else ""
    message = f"{unit.none} allowed {_whose(caller, limit)}: {limit.name} is 0.{free}{_more(details)}"
    return kind_of(limit.metric)(message, details=details)


def _more(details: dict[str, Any]) -> str:
    if "upgrade_url" in details:
        return f" More is available at {details['upgrade_url']}."
    return " Ask the operator of this gateway for more."


def _exhausted(caller: Caller, ask: Ask, state: WindowState, now_ms: int) -> GatewayError:
    limit, metric = state.limit, state.limit.metric
    unit, needed = metric.unit, ask.sure_needs[metric.place]
    used = state.used + state.held if unit.is_exact else state.used
    retry_after_s = seconds_to(state.reset_ms, now_ms)
    details = _details(caller, state, used)
    upgrade = f" More is available at {details['upgrade_url']}." if "upgrade_url" in details else ""
    when = f"Try again {in_words(1000 * retry_after_s)}, at {details['reset_at']}.{upgrade}"
    per = f"per {limit.window.value} {_whose(caller, limit)}"
    most, needs = unit.text(limit.value), f"this request needs {about(ask, metric)}{unit.text(needed)}"
    if metric is Metric.REQUESTS:
        message = f"You have used all {most} requests {per}. {when}"
    elif needed > limit.value:
        message = f"{needs.capitalize()} {unit.word}, more than the {most} {per}. {unit.remedy}{upgrade}"
    else:
        message = f"You have {unit.used} {unit.text(used)} of {most} {unit.word} {per}, and {needs}. {when}"
    return kind_of(metric)(message, details=details, retry_after_s=retry_after_s)


def _reserved(caller: Caller, state: WindowState) -> GatewayError:
    message = (
        f"What is left of {state.limit.name} {_whose(caller, state.limit)} is reserved by your own requests in flight. "
        "Try again when they have ended."
    )
    return QuotaReserved(message, details=_details(caller, state, state.used), retry_after_s=RETRY_WHEN_HELD_S)


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


def _details(caller: Caller, state: WindowState, used: int) -> dict[str, Any]:
    shown, limit = state.limit.metric.unit.shown, state.limit
    return details_of(caller, limit.name, shown(limit.value), shown(used), state.reset_ms) | upgrade_of(caller)
