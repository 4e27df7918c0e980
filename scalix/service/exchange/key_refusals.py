"""From an admission that a virtual key's limits refused to the error that the caller reads."""

from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import GatewayError, QuotaReserved, RateLimitExceeded
from scalix.domain.limits.calendar import window_end_ms, window_index
from scalix.domain.limits.durations import in_words
from scalix.domain.limits.key_limits import KEY_CONCURRENT, KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import Ask, Refused, Verdict
from scalix.service.exchange.refusal_parts import RETRY_WHEN_HELD_S, about, details_of, kind_of, seconds_to
from scalix.service.identity.callers import Caller

_ASK = "Ask the operator of this gateway for more."
# Where the limit is 0, and where it is used up. These are the metrics that keys have limits of.
_OF_NOTHING = {Metric.REQUESTS: "requests", Metric.TOKENS: "tokens", Metric.SPEND: "model that costs anything"}
_USED_UP = {
    Metric.REQUESTS: "used all {most} requests per minute.",
    Metric.TOKENS: "used {used} of {most} tokens per minute, and this request needs {about}{needed}.",
    Metric.SPEND: "spent {used:f} of its budget of {most:f} USD, and this request needs {about}{needed:f}.",
}


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """An error, and when its limit resets (Unix time in ms); `None`: never by itself."""

    error: GatewayError
    reset_ms: int | None

    def outlasts(self, reset_ms: int) -> bool:
        """Whether this limit holds longer than one that resets at `reset_ms`."""
        return self.reset_ms is None or self.reset_ms > reset_ms


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
    details = details_of(caller, KEY_CONCURRENT, most, refused.key_tallies[KeyWindow.TOTAL].requests_held)
    return RateLimitExceeded(message, details=details, retry_after_s=RETRY_WHEN_HELD_S)


def _none_allowed(what: str, limit: str, caller: Caller, kind: type[GatewayError] = RateLimitExceeded) -> GatewayError:
    message = f"This API key allows no {what}: its {limit.removeprefix('key.')} is 0. {_ASK}"
    return kind(message, details=details_of(caller, limit, 0, 0))


def _exhausted(caller: Caller, ask: Ask, refused: Refused, limit: KeyLimit, reset_ms: int | None) -> GatewayError:
    metric = limit.metric
    if not limit.value:
        return _none_allowed(_OF_NOTHING[metric], limit.name, caller, kind_of(metric))
    details = _details(caller, refused, limit, reset_ms)
    retry_after_s = None if reset_ms is None else seconds_to(reset_ms, refused.now_ms)
    again = "" if retry_after_s is None else in_words(1000 * retry_after_s)
    when = _ASK if reset_ms is None else f"Try again {again}, at {details['reset_at']}."
    needed = ask.sure_needs[metric.place]
    if metric is Metric.TOKENS and needed > limit.value:
        when = metric.unit.remedy
    figures = {"used": details["used"], "most": details["limit_value"], "needed": metric.unit.shown(needed)}
    used_up = _USED_UP[metric].format(about=about(ask, metric), **figures)
    return kind_of(metric)(f"This API key has {used_up} {when}", details=details, retry_after_s=retry_after_s)


def _details(caller: Caller, refused: Refused, limit: KeyLimit, reset_ms: int | None) -> dict[str, Any]:
    tally, unit = refused.key_tallies[limit.window], limit.metric.unit
    used = tally.used(limit.metric) + (tally.held(limit.metric) if unit.is_exact else 0)
    return details_of(caller, limit.name, unit.shown(limit.value), unit.shown(used), reset_ms)


def _reset_ms(scope: KeyScope, limit: KeyLimit, now_ms: int) -> int | None:
    if not limit.value:
        return None
    if limit.window is KeyWindow.MINUTE:
        return window_end_ms(Window.MINUTE, window_index(Window.MINUTE, now_ms))
    if limit.window is KeyWindow.BUDGET:
        return scope.budget_start_ms(now_ms) + scope.budget_period_ms
    return None
