"""What costs its user nothing and us something: some times a second for each, in each worker."""

import time
from collections import Counter
from collections.abc import Callable

from scalix.domain.errors import RateLimitExceeded

MOST_PER_S = 10


class PerSecond:
    """Counts by subject. `limit` names what is limited, `what` says it, as `Tokens are counted`. `clock` gives seconds,
    monotonic."""

    def __init__(self, limit: str, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._what = what
        self._clock = clock
        self._second = 0
        self._asked: Counter[str] = Counter()

    def note(self, subject: str) -> None:
        """Once more. Raises `RateLimitExceeded`."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._asked = second, Counter()
        self._asked[subject] += 1
        if self._asked[subject] > MOST_PER_S:
            message = f"{self._what} {MOST_PER_S} times a second for one user. Try again in 1 s."
            details = {"limit": self._limit, "limit_value": MOST_PER_S}
            raise RateLimitExceeded(message, details=details, retry_after_s=1)
