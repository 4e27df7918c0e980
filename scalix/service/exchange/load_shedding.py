"""How much one worker carries at once, and who is turned away first when that is too much."""

from collections.abc import Iterator
from contextlib import contextmanager

from scalix.domain.errors import GatewayError, Overloaded
from scalix.domain.policy import Priority
from scalix.domain.requests.guard import MIB, Overload
from scalix.service.identity.callers import Caller

RETRY_WHEN_OVERLOADED_S = 2
# Up to which share of `in_flight` a tier's requests are let in: the cheapest are shed first.
SHARES: dict[Priority, float] = {"low": 0.7, "normal": 0.85, "high": 1.0}


class Slot:
    """One request's place among those in flight, and the memory that its body takes."""

    def __init__(self, shedding: "LoadShedding") -> None:
        self._shedding = shedding
        self.held_bytes = 0

    def hold(self, size: int, limits: Overload) -> None:
        """Take room for `size` more bytes of body. Raises `Overloaded` when all bodies together take too much."""
        self.held_bytes += size
        self._shedding.body_bytes += size
        if self._shedding.body_bytes > limits.body_memory_mib * MIB:
            raise _overloaded("The gateway is busy with large requests.")


class LoadShedding:
    """Counts the requests in flight in this process, in all and by address."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.body_bytes = 0
        self._by_group: dict[str, int] = {}

    @contextmanager
    def slot(self, group: str | None, limits: Overload) -> Iterator[Slot]:
        """A place for as long as the context lasts. `group` is the address to count it under, `None` for one that has
        no cap. Raises `Overloaded`.
        """
        if self.in_flight >= limits.in_flight:
            raise _overloaded("The gateway is at its limit of requests in flight.")
        held = self._by_group.get(group, 0) if group is not None else 0
        if group is not None and held >= limits.in_flight_per_address:
            raise _overloaded(f"Your address has {held} requests in flight, the most that are let in at once.")
        self.in_flight += 1
        if group is not None:
            self._by_group[group] = held + 1
        taken = Slot(self)
        try:
            yield taken
        finally:
            self.in_flight -= 1
            self.body_bytes -= taken.held_bytes
            if group is not None:
                self._leave(group)

    def check(self, caller: Caller, limits: Overload) -> None:
        """Raise `Overloaded` if the load leaves no place for callers of this priority. The request has its slot."""
        share = SHARES[priority_of(caller)]
        if self.in_flight > max(1, int(limits.in_flight * share)):
            raise _overloaded("The gateway is busy, and requests of your tier are the first to wait.")

    def _leave(self, group: str) -> None:
        left = self._by_group[group] - 1
        if left:
            self._by_group[group] = left
        else:
            del self._by_group[group]


def priority_of(caller: Caller) -> Priority:
    """The priority of a caller's tier; the operator's is high."""
    return caller.tier.priority if caller.tier else "high"


def _overloaded(what: str) -> GatewayError:
    message = f"{what} Try again in {RETRY_WHEN_OVERLOADED_S} seconds."
    return Overloaded(message, retry_after_s=RETRY_WHEN_OVERLOADED_S)
