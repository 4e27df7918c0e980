"""How much one worker carries at once, and who waits or is turned away first when that is too much."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scalix.domain.errors import GatewayError, Overloaded
from scalix.domain.policy import Priority
from scalix.domain.requests.guard import MIB, Overload
from scalix.service.exchange.waiting import WaitingLine
from scalix.service.identity.callers import Caller

RETRY_WHEN_OVERLOADED_S = 2
# Up to which share of `in_flight` a tier's requests are let in: the cheapest are shed first.
SHARES: dict[Priority, float] = {"low": 0.7, "normal": 0.85, "high": 1.0}
# Of the memory for bodies, what one user may take, who can let them arrive slowly; one body at least.
LARGEST_SHARE = 0.25
LARGEST_BODY_BYTES = 16 * MIB


class Slot:
    """One request's place among those in flight, and the memory that its body takes."""

    def __init__(self, shedding: "LoadShedding", owner: str | None) -> None:
        self._shedding = shedding
        self._owner = owner
        self.held_bytes = 0

    def hold(self, size: int, limits: Overload) -> None:
        """Take room for `size` more bytes of body. Raises `Overloaded` when all bodies together take too much, or those
        of one owner more than a quarter of that."""
        self.held_bytes += size
        shedding, most = self._shedding, limits.body_memory_mib * MIB
        shedding.body_bytes += size
        if self._owner is not None:
            shedding.bytes_by_owner[self._owner] += size
            if shedding.bytes_by_owner[self._owner] > max(most * LARGEST_SHARE, LARGEST_BODY_BYTES):
                raise _overloaded("Your requests that are being read are too large together.")
        if shedding.body_bytes > most:
            raise _overloaded("The gateway is busy with large requests.")

    def release(self) -> None:
        """Give the room back."""
        self._shedding.body_bytes -= self.held_bytes
        if self._owner is not None and self.held_bytes:
            _give_back(self._shedding.bytes_by_owner, self._owner, self.held_bytes)


class LoadShedding:
    """Counts the requests in flight in this process, in all and by address. Those that wait are in `line` alone.

    queued: told how long a request has waited, with or without success.
    """

    def __init__(self, line: WaitingLine | None = None) -> None:
        self.line = WaitingLine() if line is None else line
        self.queued: Callable[[float], None] = lambda waited_s: None
        self.in_flight = 0
        self.body_bytes = 0
        self.bytes_by_owner: Counter[str] = Counter()
        self._by_group: Counter[str] = Counter()

    @contextmanager
    def slot(self, group: str | None, limits: Overload, owner: str | None = None) -> Iterator[Slot]:
        """A place for as long as the context lasts. `group` is the address to count it under, `None` for one that has
        no cap; `owner` whose body it is, `None` for one that has no share of their own. Raises `Overloaded`.
        """
        # Whose a request is, and so whether it goes before others, is known when it has been read.
        if self.in_flight >= limits.in_flight + limits.queue.requests:
            raise _overloaded("The gateway is at its limit of requests in flight.")
        held = self._by_group[group] if group is not None else 0
        if group is not None and held >= limits.in_flight_per_address:
            raise _overloaded(f"Your address has {held} requests in flight, the most that are let in at once.")
        self.in_flight += 1
        if group is not None:
            self._by_group[group] = held + 1
        taken = Slot(self, owner)
        try:
            yield taken
        finally:
            self.in_flight -= 1
            taken.release()
            if group is not None:
                _give_back(self._by_group, group, 1)
            self._fill(limits)

    def lets_in(self, caller: Caller, limits: Overload) -> bool:
        """Whether a request that has its slot may go on, and need not `wait`."""
        priority = priority_of(caller)
        return self.in_flight <= _places(priority, limits) and (not self.line or self.line.passes(priority))

    def check(self, caller: Caller, limits: Overload) -> None:
        """Raise `Overloaded` if the load leaves no place for callers of this priority. The request has its slot."""
        if self.in_flight > _places(priority_of(caller), limits):
            raise _overloaded("The gateway is busy, and requests of your tier are the first to wait.")

    async def wait(self, caller: Caller, limits: Overload, leaving: asyncio.Future[None]) -> bool:
        """Wait for a place. The request has its slot, which is others' meanwhile. `False`: `leaving` came first. Raises
        `Overloaded`."""
        if not limits.queue.requests:
            self.check(caller, limits)
            return True
        self.in_flight -= 1
        self._fill(limits)
        turn = self.line.join(priority_of(caller), limits.queue)
        self._fill(limits)
        clock, waits = self.line.clock(), not turn.done()
        began_s = clock.time()
        try:
            if waits:
                await asyncio.wait((turn, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_place = self.line.leave(turn)
            if not has_place:
                self.in_flight += 1  # to be given back with its slot
            if waits:
                self.queued(clock.time() - began_s)
        if leaving.done():
            return False
        if not has_place:
            raise _overloaded(turn.result())
        return True

    def _fill(self, limits: Overload) -> None:
        while self.line and self.line.give(lambda priority: self.in_flight < _places(priority, limits)):
            self.in_flight += 1


def _places(priority: Priority, limits: Overload) -> int:
    return max(1, int(limits.in_flight * SHARES[priority]))


def _give_back(counts: Counter[str], key: str, count: int) -> None:
    counts[key] -= count
    if not counts[key]:
        del counts[key]


def priority_of(caller: Caller) -> Priority:
    """The priority of a caller's tier; the operator's is high."""
    return caller.tier.priority if caller.tier else "high"


def _overloaded(what: str) -> GatewayError:
    message = f"{what} Try again in {RETRY_WHEN_OVERLOADED_S} seconds."
    return Overloaded(message, retry_after_s=RETRY_WHEN_OVERLOADED_S, reason=what)
