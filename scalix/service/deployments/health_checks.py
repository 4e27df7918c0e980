"""Checks deployments without being asked: one worker of all at a time each, so that load does not grow with workers.

Who fails is taken out as by a cooldown, and comes back at once when it answers. While the store is away nobody checks:
what was taken out comes back by itself.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from scalix.domain.faults import shown_fault
from scalix.domain.health_checks import Checked, HealthChecks, Verdict, left_out
from scalix.domain.policy import Model
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.records.redis_health import HealthStore, Wish

CHECK_EVERY_S = 1.0
MOST_AT_ONCE = 4
# Jitter: the first checks are spread over this time, all others by this part of their interval.
_FIRST_WITHIN_S = 10
_SPREAD = 0.1
_AGAIN_S = 2  # after the first that failed
_LEASE_MORE_S = 5  # than the check may take
_KEPT_INTERVALS, _KEPT_AT_LEAST_S = 10, 3_600

Check = Callable[[str, str, int], Awaitable[Verdict]]
"""Asks a model's deployment ("" for one that has no several) for something small, within so many seconds."""

log = logging.getLogger("scalix.health")


async def checks_nobody(model: str, deployment: str, timeout_s: int) -> Verdict:
    """For a gateway that makes no checks."""
    return Verdict(is_failing=False)


class HealthChecking:
    """The checks of one worker. `check` asks; `draw` gives a number from 0 to 1, `told` is told whether a
    check has failed."""

    def __init__(
        self,
        store: HealthStore,
        cooldowns: Cooldowns,
        policy: PolicySource,
        check: Check = checks_nobody,
        draw: Callable[[], float] = random.random,
        told: Callable[[bool], None] = lambda is_failing: None,
    ) -> None:
        self._told = told
        self._store = store
        self._cooldowns = cooldowns
        self._policy = policy
        self._check = check
        self._draw = draw
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Begin the checks that are due, as far as other workers do not make them."""
        settings = self._policy.current.health_checks
        if not settings.interval_s or self._check is checks_nobody:
            return
        models = self._checked_models(settings)
        wishes = [self._wish(name, settings) for name in models if not self._cooldowns.rests_as_asked(name)]
        try:
            taken = await self._store.take(wishes, MOST_AT_ONCE - len(self._running))
        except StoreUnavailable:
            return
        for name in taken:
            task = in_background(self._make(models[name], name, settings))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def last(self) -> dict[str, Checked]:
        """The last check of each deployment that is checked, by its name; of none while the store is away."""
        settings = self._policy.current.health_checks
        if not settings.interval_s:
            return {}
        try:
            found = await self._store.all()
        except StoreUnavailable:
            return {}
        return {name: found[name] for name in self._checked_models(settings) if name in found}

    def _checked_models(self, settings: HealthChecks) -> dict[str, Model]:
        models = self._policy.current.models.values()
        return {name: model for model in models for name in _names_of(model) if name in settings.timeouts_s}

    def _wish(self, name: str, settings: HealthChecks) -> Wish:
        is_well = self._cooldowns.wait_s(name) <= 0
        soon_s = settings.interval_s * (1 + _SPREAD) if is_well else settings.recheck_s
        first_s = self._draw() * min(_FIRST_WITHIN_S, settings.interval_s)
        lease_s = settings.timeouts_s[name] + _LEASE_MORE_S
        return Wish(name, lease_s * 1000, round(soon_s * 1000), round(first_s * 1000))

    async def _make(self, model: Model, name: str, settings: HealthChecks) -> None:
        timeout_s = settings.timeouts_s[name]
        try:
            verdict = await self._check(model.name, name if model.deployments else "", timeout_s)
        except Exception as error:
            verdict = Verdict(is_failing=False, reason=f"the check itself failed: {type(error).__name__}")
            log.error("the health check of %s failed itself: %s", name, shown_fault(error))
        self._told(verdict.is_failing)
        next_s = settings.recheck_s if verdict.is_failing else settings.interval_s
        spread = 1 + _SPREAD * (2 * self._draw() - 1)
        next_ms = round(next_s * spread * 1000), round(min(next_s, _AGAIN_S) * spread * 1000)
        keep_ms = max(_KEPT_INTERVALS * settings.interval_s, _KEPT_AT_LEAST_S) * 1000
        try:
            fails_before, found = await self._store.note(name, verdict, next_ms, keep_ms)
        except StoreUnavailable as fault:
            log.debug("what the check of %s has found is not told: %s", name, fault)
            return
        if name in found:
            # Until the next two checks are over, so that it stays out while they fail.
            self._draw_conclusions(
                model, found[name], fails_before, found, 2 * (settings.recheck_s * 1.1 + timeout_s + 1)
            )

    def _draw_conclusions(
        self, model: Model, now: Checked, fails_before: int, found: dict[str, Checked], rest_s: float
    ) -> None:
        before = Checked(now.name, fails_before, 0)
        if now.is_failing != before.is_failing:
            if now.is_failing:
                log.warning("%s fails its health checks: %s", now.name, now.reason)
            else:
                log.warning("%s answers its health checks again", now.name)
        if fails_before and not now.fails:
            self._cooldowns.answers_check(now.name)
        names = _names_of(model)
        out = left_out(names, found)
        if now.name in out:
            self._cooldowns.rest_by_check(now.name, rest_s)
        elif now.is_failing and not before.is_failing and len(names) > 1:
            log.warning("all deployments of %s fail their health checks: they are asked all the same", model.name)
            for name in names:
                self._cooldowns.answers_check(name)


def _names_of(model: Model) -> list[str]:
    """By what cooldowns and checks know a model: its deployments, or its own name."""
    return [one.id for one in model.ways]
