"""A mapping that does not grow beyond a bound."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(OrderedDict[K, V]):
    """Holds `most` entries: those that were set last, or asked for by `used`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)

    def used(self, key: K) -> V | None:
        """The value of `key`, which is kept longer for it. `get` only looks."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value
