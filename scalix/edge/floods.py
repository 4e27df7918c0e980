"""Bounds how many lines of one kind are written: of a flood a few, and then how many more there were."""

import threading
import time
from collections import Counter
from collections.abc import Callable

MOST_OF_A_KIND = 20
WINDOW_S = 10.0
_MOST_KINDS = 200


class Floods:
    """Counts lines by kind. `takes` may be called from any thread. `clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._until_s = 0.0

    @property
    def has_left_out(self) -> bool:
        """Whether some were counted only, which is still to be told."""
        return any(count > MOST_OF_A_KIND for count in list(self._seen.values()))

    def takes(self, kind: str) -> bool:
        """Whether one more line of this kind is written."""
        with self._lock:
            if not self._seen:
                self._until_s = self._clock() + WINDOW_S
            elif kind not in self._seen and len(self._seen) >= _MOST_KINDS:
                kind = ""
            self._seen[kind] += 1
            return self._seen[kind] <= MOST_OF_A_KIND

    def ended(self, *, now: bool = False) -> list[tuple[str, int]]:
        """How many of each kind were left out, once `WINDOW_S` are over, or `now`; counting then begins anew."""
        with self._lock:
            if not self._seen or (not now and self._clock() < self._until_s):
                return []
            seen, self._seen = self._seen, Counter()
        return [(kind, count - MOST_OF_A_KIND) for kind, count in seen.items() if count > MOST_OF_A_KIND]
