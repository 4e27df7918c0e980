"""What a virtual key adds to the limits of its user: amounts per minute, a budget, requests at once."""

from dataclasses import dataclass
from enum import StrEnum

from scalix.domain.limits.limits import Metric


class KeyWindow(StrEnum):
    """What a key's use is counted in: the calendar minute, the running budget period, the key's whole life."""

    MINUTE = "minute"
    BUDGET = "budget"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """At most `value` of `metric` in one `window`: requests, tokens or nano-dollars."""

    metric: Metric
    window: KeyWindow
    value: int

    @property
    def name(self) -> str:
        """The name that answers carry: the field of the key's record that sets it."""
        return {Metric.REQUESTS: "key.rpm_limit", Metric.TOKENS: "key.tpm_limit"}.get(self.metric, "key.max_budget")


KEY_CONCURRENT = "key.max_parallel_requests"


@dataclass(frozen=True, slots=True)
class KeyScope:
    """A key as admission sees it. `version` is what the caller believes the key's record to be; `None` skips the
    comparison, which only counters of one process do.

    Budget periods of `budget_period_ms` follow each other from `budget_anchor_ms` (Unix time) on; with a period of 0
    there are none, and a budget holds for the key's whole life.
    """

    key_id: str
    version: str | None
    limits: tuple[KeyLimit, ...] = ()
    concurrent: int | None = None
    budget_anchor_ms: int = 0
    budget_period_ms: int = 0

    def budget_start_ms(self, at_ms: int) -> int:
        """When the budget period that `at_ms` lies in began; 0 without periods."""
        return budget_start_ms(self.budget_anchor_ms, self.budget_period_ms, at_ms)


def budget_start_ms(anchor_ms: int, period_ms: int, at_ms: int) -> int:
    """When the period that `at_ms` lies in began; 0 without periods. Before the anchor, its first period."""
    if not period_ms:
        return 0
    return anchor_ms + max(0, at_ms - anchor_ms) // period_ms * period_ms
