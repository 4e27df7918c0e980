"""How much of a day's tokens is left to the callers whose models depend on it."""

from collections.abc import Callable

from scalix.domain.bounded import Bounded
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import Tallies, Tally
from scalix.service.identity.callers import Caller
from scalix.store.base import StoreUnavailable
from scalix.store.quota.redis_quota import QuotaStore

_MOST_CALLERS = 10_000


class TokensLeft:
    """Knows it as of the caller's last answer in this process, and reads it where there was none today. `now_ms` gives
    Unix time. Only callers who were asked for are kept."""

    def __init__(self, store: QuotaStore, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._taken: Bounded[str, tuple[int, int]] = Bounded(_MOST_CALLERS)

    def learn(self, subject: str, at_ms: int, tallies: Tallies) -> None:
        """Note what the store says of a subject's windows of `at_ms`."""
        if subject in self._taken:
            self._note(subject, at_ms, tallies)

    async def percent(self, caller: Caller) -> float | None:
        """What is left to a caller, in percent; `None` where the store can't be read."""
        limits = [one for one in caller.limits.windows if (one.metric, one.window) == (Metric.TOKENS, Window.DAY)]
        if not limits:
            return 100.0
        subject, limit = str(caller.subject), limits[0]
        known = self._taken.get(subject)
        if known is None or known[0] != window_index(Window.DAY, self._now_ms()):
            try:
                known = self._note(subject, *await self._store.tallies(subject))
            except StoreUnavailable:
                return None
        return max(0.0, 100.0 * (limit.value - known[1]) / limit.value) if limit.value else 0.0

    def _note(self, subject: str, at_ms: int, tallies: Tallies) -> tuple[int, int]:
        day = tallies.get(Window.DAY, Tally())
        noted = (window_index(Window.DAY, at_ms), day.used(Metric.TOKENS) + day.held(Metric.TOKENS))
        self._taken[subject] = noted
        return noted
