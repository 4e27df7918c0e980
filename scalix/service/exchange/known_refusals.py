"""Refusals that need no store: a caller who has used a limit up stays refused until its window ends."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from scalix.domain.errors import GatewayError
from scalix.domain.limits.calendar import window_end_ms, window_index
from scalix.domain.limits.key_limits import KeyScope
from scalix.domain.limits.limits import Amounts, Limit, Limits, Metric
from scalix.domain.limits.quota import Ask, Decision, Refused, Tallies, Tally, Verdict
from scalix.service.exchange.refusals import refusal
from scalix.service.identity.callers import Caller

# How long the store is not asked again. A change made at another worker holds there after it at the latest.
KNOWN_S = 0.5
KNOWN_CALLERS = 10_000
# Who was refused once and then got a new tier or a reset elsewhere is served at once; who goes on asking is known.
REFUSALS_TO_KNOW = 2

_EMPTY = Tally()


@dataclass(slots=True)
class _Known:
    user_version: str | None
    limits: Limits
    key: KeyScope | None
    refused: Refused
    learned_s: float
    for_s: float
    times: int
    # What was answered last, for a request just like it in the same second.
    alike: object = None
    second: int = -1
    # Whether that is so for every request: the limit that holds longest is one of requests.
    of_any_request: bool = False
    error: GatewayError | None = None  # never raised itself


class KnownRefusals:
    """What the store has refused of late, in this process, for callers whose *settled* use alone fills a limit.

    Requests in flight may fail and give room back, so what they hold does not count. An entry stands for `KNOWN_S` at
    most, for the record's version, the limits and the key that it was learned with, and never beyond the end of any
    window. `clock` gives seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, callers: int = KNOWN_CALLERS) -> None:
        self._clock = clock
        self._capacity = callers
        self._by_subject: OrderedDict[str, _Known] = OrderedDict()

    def refusal(self, caller: Caller, ask: Ask) -> GatewayError | None:
        """The error that the store's answer to this ask would become; `None` when the store has to be asked.

        Requests that differ in nothing are given the same one, for a second, each an instance of its own.
        """
        known = self._by_subject.get(ask.subject)
        if known is None or known.times < REFUSALS_TO_KNOW or not _is_for(known, ask):
            return None
        age_s = self._clock() - known.learned_s
        if age_s >= known.for_s:
            return None
        now_ms = known.refused.now_ms + int(age_s * 1000)
        size = (ask.sure_prompt_tokens, ask.choices, ask.min_output_tokens)
        alike = (now_ms // 1000, caller.tier, size, ask.prices, ask.later)
        if known.error is None or known.alike != alike:
            tallies = known.refused.tallies
            needs = ask.sure_needs
            verdicts = tuple(_verdict(limit, tallies, needs) for limit in ask.limits.windows)
            known.error = refusal(caller, ask, replace(known.refused, now_ms=now_ms, verdicts=verdicts))
            known.alike, known.error.answers, known.second = alike, {}, alike[0]
            known.of_any_request = ask.key is None and _tells_any_request(known.error)
        return known.error.anew()

    def refusal_of_any_request(self, caller: Caller) -> GatewayError | None:
        """As `refusal`, for a caller whom it tells the same whatever they ask; else `None`."""
        known = self._by_subject.get(str(caller.subject))
        if known is None or not known.of_any_request or known.error is None:
            return None
        if caller.key is not None or known.limits is not caller.limits or known.user_version != caller.version:
            return None
        age_s = self._clock() - known.learned_s
        same_second = (known.refused.now_ms + int(age_s * 1000)) // 1000 == known.second
        return known.error.anew() if age_s < known.for_s and same_second else None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is known to be refused."""
        return not self._by_subject

    def learn(self, ask: Ask, decision: Decision) -> None:
        """Note what the store has answered to an ask."""
        if not isinstance(decision, Refused) or not _is_lasting(ask.limits, decision):
            self._by_subject.pop(ask.subject, None)
            return
        now_s = self._clock()
        before = self._by_subject.get(ask.subject)
        times = 1
        if before is not None and _is_for(before, ask) and now_s - before.learned_s < 2 * KNOWN_S:
            times = before.times + 1
        at_ms = decision.now_ms
        ends_ms = min(window_end_ms(limit.window, window_index(limit.window, at_ms)) for limit in ask.limits.windows)
        for_s = min(KNOWN_S, (ends_ms - at_ms) / 1000)
        self._by_subject[ask.subject] = _Known(ask.user_version, ask.limits, ask.key, decision, now_s, for_s, times)
        self._by_subject.move_to_end(ask.subject)
        if len(self._by_subject) > self._capacity:
            self._by_subject.popitem(last=False)

    def forget(self, subject: str) -> None:
        """The subject's use was reset, or its limits have changed."""
        self._by_subject.pop(subject, None)


def _is_for(known: _Known, ask: Ask) -> bool:
    same_limits = known.limits is ask.limits or known.limits == ask.limits
    return same_limits and known.user_version == ask.user_version and known.key == ask.key


def _is_lasting(limits: Limits, refused: Refused) -> bool:
    """Whether settled use alone refuses every request, however small, and nothing of its key does."""
    if refused.key_concurrent_full or any(verdict is not Verdict.FITS for verdict in refused.key_verdicts):
        return False
    return any(
        limit.enforce
        and not limit.metric.unit.may_be_none
        and refused.tallies.get(limit.window, _EMPTY).used(limit.metric) >= limit.value
        for limit in limits.windows
    )


def _tells_any_request(error: GatewayError) -> bool:
    """Whether no other limit could be the one that holds longest, however much a request needs."""
    names = [state.limit.name for state in error.windows]
    if error.details.get("limit") not in names:
        return False
    place = names.index(error.details["limit"])
    last = error.windows[place]
    return last.limit.metric is Metric.REQUESTS and all(
        not state.limit.enforce or (state.reset_ms, -index) <= (last.reset_ms, -place)
        for index, state in enumerate(error.windows)
        if state.limit.metric is not Metric.REQUESTS
    )


def _verdict(limit: Limit, tallies: Tallies, needs: Amounts) -> Verdict:
    used, needed = tallies.get(limit.window, _EMPTY).used(limit.metric), needs[limit.metric.place]
    return Verdict.EXHAUSTED if needed and used + needed > limit.value else Verdict.FITS
