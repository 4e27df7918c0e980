"""Delays for those who try credentials that are wrong, by address. A right credential never meets this."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from scalix.domain.bounded import Bounded

# A typo, or a key that was just replaced, in a few clients behind one address.
FREE_FAILURES = 5
FIRST_DELAY_S = 0.1
FORGOTTEN_AFTER_S = 900.0
MOST_ADDRESSES = 10_000
MOST_WAITING = 1_000


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float


@dataclass(eq=False)
class Throttle:
    """Counts wrong credentials by address and holds back the answers to them.

    What is remembered and how many wait are bounded. Beyond `most_waiting` the answer goes out at once: a guesser gains
    nothing by it against secrets of 256 bits, and a full waiting room must not become a way to tie up the gateway.
    """

    now_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    most_addresses: int = MOST_ADDRESSES
    most_waiting: int = MOST_WAITING
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._by_group: Bounded[str, _Failures] = Bounded(self.most_addresses)

    async def wrong_credential(self, group: str, longest_s: float) -> None:
        """Note one, and return when its answer may go out: at most `longest_s` later."""
        delay_s = min(self._noted(group), longest_s)
        if delay_s <= 0 or self._waiting >= self.most_waiting:
            return
        self._waiting += 1
        try:
            await self.sleep(delay_s)
        finally:
            self._waiting -= 1

    def wrong_credential_at_once(self, group: str, longest_s: float) -> bool:
        """Note one whose answer may go out now. Where it would have to wait, nothing is noted: `False`."""
        failures = self._by_group.get(group)
        counts = failures is not None and self.now_s() - failures.last_s <= FORGOTTEN_AFTER_S
        if longest_s > 0 and failures is not None and counts and failures.count >= FREE_FAILURES:
            return False
        self._noted(group)
        return True

    def _noted(self, group: str) -> float:
        """The delay for one more failure: none for the first few, then twice the last one."""
        now_s = self.now_s()
        failures = self._by_group.get(group)
        if failures is None or now_s - failures.last_s > FORGOTTEN_AFTER_S:
            failures = _Failures(0, now_s)
        self._by_group[group] = failures
        failures.count += 1
        failures.last_s = now_s
        over = failures.count - FREE_FAILURES
        return 0.0 if over <= 0 else FIRST_DELAY_S * 2.0 ** min(over - 1, 20)
