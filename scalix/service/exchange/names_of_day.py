"""Which of the names that wildcards serve the sums and metrics of a day have as they are; the others are `other`.

What is decided of a request stands in its event, so that its sums can be told from it whoever decided, and when: a
worker without store, for one, takes every name that it has not seen for another.
"""

from collections.abc import Callable

from scalix.domain.limits.calendar import DAY_MS
from scalix.store.base import StoreUnavailable
from scalix.store.records.redis_model_names import ModelNameStore

MOST_NAMES_A_DAY = 500


class NamesOfDay:
    """Asks the store, which all workers share, once for each name of a day. `now_ms` gives Unix time."""

    def __init__(self, store: ModelNameStore, *, now_ms: Callable[[], int], most: int = MOST_NAMES_A_DAY) -> None:
        self._store = store
        self._now_ms = now_ms
        self._most = most
        self._day = -1
        self._listed: set[str] = set()
        self._is_full = False

    async def is_other(self, name: str) -> bool:
        """Whether sums have no place of its own for `name`."""
        day = self._now_ms() // DAY_MS
        if day != self._day:
            self._day, self._listed, self._is_full = day, set(), False
        if name in self._listed:
            return False
        if self._is_full:
            return True
        try:
            others = await self._store.list_name(day, name, self._most)
        except StoreUnavailable:
            return True
        if day == self._day:
            self._listed |= {name} if others is None else others
            self._is_full = others is not None
        return others is not None
