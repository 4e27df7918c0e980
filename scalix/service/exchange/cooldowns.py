"""Models that keep failing rest: for everybody where the fault is the model's, else for the one who saw it fail."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from scalix.domain.bounded import Bounded
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.records.redis_cooldowns import CooldownStore, Cooling

REFRESH_EVERY_S = 0.5
MOST_SUBJECTS = 10_000
# Of a cooldown that nobody has asked for, one request is tried after this part of it.
_PROBE_AFTER = 0.5
_EVERYBODY = ""

log = logging.getLogger("scalix.cooldowns")

_K = TypeVar("_K", bound=Hashable)


@dataclass(slots=True)
class _Rest:
    """A model that rests, for one subject or for everybody. Times are of the monotonic clock, in seconds."""

    until_s: float
    probe_from_s: float
    asked_for: bool  # the provider has said how long


_Row = deque[tuple[float, str]]
"""The failures in a row that this process has seen of a model: when, and whose request it was."""
_MOST_IN_A_ROW = 1_000


class Cooldowns:
    """Which models rest, and for whom.

    What one subject alone has seen fail rests for that subject only, in this process: a request may be made to fail. It
    rests for everybody when the provider speaks of the gateway's own account, when no connection could be made, and
    after so many failures in a row of two subjects, counted over all workers. `refresh`, run often, shares that through
    the store; while it is away, each process goes by what it has seen. `clock` gives seconds, monotonic.
    """

    def __init__(self, store: CooldownStore, policy: PolicySource, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._rests: dict[str, _Rest] = {}  # for everybody, by model
        self._own_rests: Bounded[tuple[str, str], _Rest] = Bounded(MOST_SUBJECTS)
        self._own_rows: Bounded[tuple[str, str], _Row] = Bounded(MOST_SUBJECTS)
        self._rows: dict[str, _Row] = {}
        self._failing: set[str] = set()  # models of which the store counts failures, as far as is known here
        self._unsent: dict[str, float | None] = {}  # until when by our clock; `None`: it is over
        self._sending: set[asyncio.Task[None]] = set()

    def wait_s(self, model: str, subject: str = _EVERYBODY) -> float:
        """How long `model` rests yet for `subject`, in seconds; 0 if it does not."""
        return max(self._left_s(self._rests, model), self._left_s(self._own_rests, (model, subject)))

    def resting(self) -> list[str]:
        """The models and deployments that rest for everybody."""
        return [name for name in list(self._rests) if self._left_s(self._rests, name) > 0]

    def models_resting(self) -> int:
        """How many models rest for everybody, so that none of their deployments is asked."""
        resting, models = set(self.resting()), self._policy.current.models
        return sum(all(way.id in resting for way in model.ways) for model in models.values()) if resting else 0

    def may_probe(self, model: str, subject: str = _EVERYBODY) -> bool:
        """Whether one request may be tried on a model that rests. The second one that asks may not."""
        now_s = self._clock()
        resting = self._resting(model, subject)
        if not resting or any(rest.asked_for or now_s < rest.probe_from_s for rest in resting):
            return False
        for rest in resting:
            rest.probe_from_s = rest.until_s
        return True

    def not_probed(self, model: str, subject: str = _EVERYBODY) -> None:
        """What was to be tried has not come to the model: the next one may try."""
        for rest in self._resting(model, subject):
            rest.probe_from_s = min(rest.probe_from_s, self._clock())

    def _resting(self, model: str, subject: str) -> list[_Rest]:
        found = (self._rests.get(model), self._own_rests.get((model, subject)))
        return [rest for rest in found if rest is not None and rest.until_s > self._clock()]

    def succeeded(self, model: str, subject: str = _EVERYBODY, *, was_probe: bool = False) -> None:
        """Note an answer of `model`. What a probe got ends the cooldown; others may have been asked before it began."""
        self._own_rows.pop((model, subject), None)
        # A refresh that was under way when it failed here does not know of it.
        has_failed = self._rows.pop(model, None) is not None
        if has_failed or model in self._failing:
            self._failing.discard(model)
            self._in_background(self._forget(model))
        if was_probe:
            self._own_rests.pop((model, subject), None)
            if self._rests.pop(model, None) is not None:
                log.warning("model %s answers again: its cooldown is over", model)
                self._tell(model, None)

    def failed(
        self, model: str, subject: str = _EVERYBODY, retry_after_s: int | None = None, *, is_everybodys: bool = False
    ) -> None:
        """Note a failure of `model` with a request of `subject`. `is_everybodys`: no request could have had an answer;
        `retry_after_s` is then how long its provider asks to be left alone."""
        settings = self._policy.current.cooldown
        if not settings.seconds or self._is_of_a_wildcard(model):
            return
        if is_everybodys:
            self._cool(model, retry_after_s or settings.seconds, why="nobody is served", asked_for=bool(retry_after_s))
            return
        own = self._noted(self._own_rows, (model, subject), subject)
        if len(own) >= settings.failures and self._left_s(self._own_rests, (model, subject)) <= 0:
            log.warning(
                "model %s rests for %d s for one caller, whose requests have failed in a row", model, settings.seconds
            )
            self._own_rests[model, subject] = self._rest(settings.seconds, asked_for=False)
        row = self._noted(self._rows, model, subject)
        if len(row) >= settings.failures and len({whose for _, whose in row}) > 1:
            self._cool(model, settings.seconds, why="requests of several callers have failed in a row")
        else:
            self._failing.add(model)
            self._in_background(self._count(model, subject))

    def rest_by_check(self, model: str, for_s: float) -> None:
        """A health check says that `model` does not answer: it rests for everybody, until one finds that it does."""
        if self._policy.current.cooldown.seconds:
            self._cool(model, for_s, why="it does not answer its health checks")

    def answers_check(self, model: str) -> None:
        """A health check says that `model` answers, or is to be asked all the same: its rest is over, unless its
        provider has asked for that."""
        if not self.rests_as_asked(model):
            self._rests.pop(model, None)
            self._tell(model, None)

    def rests_as_asked(self, model: str) -> bool:
        """Whether the provider of `model` has said for how long it wants to be left alone."""
        return any(rest.asked_for for rest in self._resting(model, _EVERYBODY))

    def _is_of_a_wildcard(self, model: str) -> bool:
        """Whether a client has made the name up: it may be what failed, and of such names there is no end."""
        policy = self._policy.current
        if not policy.wildcards or model in policy.models:
            return False
        return not any(known.deployment(model) for known in policy.models.values())

    def _noted(self, rows: dict[_K, _Row], key: _K, subject: str) -> _Row:
        rows[key] = row = rows.get(key) or deque(maxlen=_MOST_IN_A_ROW)
        now_s = self._clock()
        row.append((now_s, subject))
        while row[0][0] < now_s - self._policy.current.cooldown.within_s:
            row.popleft()
        return row

    def _left_s(self, rests: dict[_K, _Rest], key: _K) -> float:
        rest = rests.get(key)
        if rest is None:
            return 0.0
        left_s = rest.until_s - self._clock()
        if left_s <= 0:
            del rests[key]
        return max(left_s, 0.0)

    def _cool(self, model: str, for_s: float, *, why: str, asked_for: bool = False) -> None:
        for_s = min(for_s, self._policy.current.cooldown.longest_s)
        rest = self._rest(for_s, asked_for=asked_for)
        if rest.until_s <= self._left_s(self._rests, model) + self._clock():
            return  # it rests for longer already
        if model not in self._rests:
            log.warning("model %s rests for %d s for everybody: %s", model, for_s, why)
        self._rows.pop(model, None)
        self._rests[model] = rest
        self._tell(model, rest.until_s)

    def _rest(self, for_s: float, *, asked_for: bool) -> _Rest:
        now_s = self._clock()
        return _Rest(now_s + for_s, now_s + for_s * _PROBE_AFTER, asked_for)

    # what other workers are to know

    def _tell(self, model: str, until_s: float | None) -> None:
        self._unsent[model] = until_s
        self._in_background(self._send())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = in_background(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _count(self, model: str, subject: str) -> None:
        settings = self._policy.current.cooldown
        try:
            enough = await self._store.count_failure(
                model, subject, within_ms=settings.within_s * 1000, failures=settings.failures
            )
        except StoreUnavailable as fault:
            log.debug("a failure of %s is counted here alone: %s", model, fault)
            return
        if enough:
            self._failing.discard(model)
            self._cool(model, settings.seconds, why="requests of several callers have failed in a row")

    async def _forget(self, model: str) -> None:
        try:
            await self._store.forget_failures(model)
        except StoreUnavailable as fault:
            log.debug("that %s answers is not told: %s", model, fault)

    async def _send(self) -> None:
        """Tell the store what it does not know yet. What it can't be told now is told by the next refresh."""
        for model, until_s in list(self._unsent.items()):
            rest_ms = 0 if until_s is None else round((until_s - self._clock()) * 1000)
            rest = self._rests.get(model)
            try:
                await self._store.cool(model, max(rest_ms, 0), asked_for=rest is not None and rest.asked_for)
            except StoreUnavailable as fault:
                log.debug("the cooldown of %s stays here for now: %s", model, fault)
                return
            if self._unsent.get(model, "") == until_s:
                del self._unsent[model]

    async def refresh(self) -> None:
        """Learn what others have found, and tell them what they don't know. With the store away: local knowledge."""
        if self._unsent:
            await self._send()
        try:
            found, self._failing = await self._store.cooling()
        except StoreUnavailable:
            return
        if found or self._rests:
            self._learn({cooling.model: cooling for cooling in found})

    def _learn(self, found: dict[str, Cooling]) -> None:
        now_s = self._clock()
        for model in self._rests.keys() - found.keys() - self._unsent.keys():
            del self._rests[model]  # a probe of another worker has ended it
        for model, cooling in found.items():
            known, until_s = self._rests.get(model), now_s + cooling.rest_ms / 1000
            if model not in self._unsent and (known is None or abs(until_s - known.until_s) >= 1):
                self._rests[model] = self._rest(cooling.rest_ms / 1000, asked_for=cooling.asked_for)
