"""What the services need of a store. Implementations: `memory.py` (one process) and `redis_quota.py` (shared)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from scalix.domain.quota import UNKNOWN_VERSION, Ask, Charge, Decision, Receipt, Settled, Tallies


class StoreError(Exception):
    """The store did not do what it was asked. `args[0]` says why, without any secret."""


class StoreUnavailable(StoreError):
    """The store could not be reached in time, or does not take writes. Whether it acted is unknown."""


class UserExists(StoreError):
    """A user of this name has a record already."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """What is kept about a user. `tier` of `None` means the default tier; `limits` are overrides as configured."""

    user_id: str
    version: str = UNKNOWN_VERSION
    tier: str | None = None
    blocked: bool = False
    limits: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0

    @property
    def exists(self) -> bool:
        """Whether anybody has written this record, as opposed to a user who has only called."""
        return self.version != UNKNOWN_VERSION


class QuotaStore(Protocol):
    """Reservations and charges, atomic per call. Every method may raise `StoreUnavailable`."""

    async def admit(self, ask: Ask) -> Decision:
        """Reserve room for one request, or consume nothing. Idempotent by request id while it is in flight."""
        ...

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """Charge true use and give back the rest, once by request id."""
        ...

    async def release(self, request_id: str, subject: str) -> bool:
        """Give a reservation back as if never made; `False` if there was none (one still on its way will fail)."""
        ...

    async def renew(self, receipts: Iterable[Receipt], lease_ms: int) -> None:
        """Extend the leases of requests that are alive."""
        ...

    async def sweep(self) -> int:
        """Charge the prompt estimate of every request whose lease has lapsed; how many there were."""
        ...

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        """The store's time (ms) and the subject's windows of that moment."""
        ...


class UserStore(Protocol):
    """Users' records. Every method may raise `StoreUnavailable`."""

    async def get(self, user_id: str) -> UserRecord:
        """The record; one with `exists` false for a user without."""
        ...

    async def create(self, record: UserRecord) -> UserRecord:
        """Write a new record and return it with its version. Raises `UserExists`."""
        ...

    async def update(self, record: UserRecord) -> UserRecord:
        """Write the record whether or not one exists, with a new version."""
        ...

    async def delete(self, user_id: str) -> bool:
        """Remove the record and the counters; whether there was a record."""
        ...
