"""Counts what deployments do, in this worker, and adds it to the sums of all workers every second."""

from collections.abc import Mapping
from itertools import chain
from uuid import uuid4

from scalix.domain.ledger.deployment_sums import DeploymentSums, count
from scalix.domain.ledger.ledger import OTHER
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Charge
from scalix.domain.policy import Model
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore

FLUSH_EVERY_S = 1.0


class SumsOfDeployments:
    """What was not told to the store yet is kept, while that is away too: it is no more than the figures of a few
    days. A worker that is killed loses those of its last second."""

    def __init__(self, store: DeploymentSumStore, policy: PolicySource) -> None:
        self._store = store
        self._policy = policy
        self._worker = uuid4().hex[:12]
        self._new: dict[int, dict[tuple[str, str], DeploymentSums]] = {}  # by day, and by deployment and engine
        self._sent: tuple[int, dict[str, int]] | None = None  # of which nobody knows whether the store has taken it
        self._number = 0

    def note(self, charge: Charge, admitted_ms: int, models: Mapping[str, Model]) -> None:
        """Count a request that has ended. Of `models`, those whose names clients make up are summed as `other`."""
        detail = charge.detail
        if not (detail.engine or detail.failed_deployments):
            return
        day = self._new.setdefault(admitted_ms // DAY_MS, {})

        def sums_of(deployment: str, engine: str) -> DeploymentSums:
            model = models.get(deployment)
            key = OTHER if model is not None and model.of_wildcard else deployment, engine
            return day.get(key) or day.setdefault(key, DeploymentSums(*key))

        count(charge, sums_of)

    async def flush(self) -> None:
        """Add what is new to the sums of all workers."""
        lifetime_ms = (self._policy.current.retention.days_days + 1) * DAY_MS
        while self._sent is not None or self._new:
            if self._sent is None:
                day, found = self._new.popitem()
                self._sent = day, dict(chain.from_iterable(sums.figures() for sums in found.values()))
                self._number += 1
            day, figures = self._sent
            try:
                await self._store.add(day, (self._worker, self._number), figures, lifetime_ms)
            except StoreUnavailable:
                return
            self._sent = None
