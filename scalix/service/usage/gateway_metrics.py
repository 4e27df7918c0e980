"""What is measured of a gateway, read no more often than it changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scalix.domain.health_checks import Checked
from scalix.domain.ledger.deployment_sums import DeploymentSums
from scalix.domain.ledger.ledger import Aggregate
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.routing.custom_routers import RouterState
from scalix.store.base import StoreUnavailable
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.ledger.redis_memory import ServerMemory
from scalix.store.records.redis_keys import KeyStore

EXPIRING_WITHIN_DAYS = 7
SUMS_FOR_S, KEYS_FOR_S = 15.0, 600.0
_HOUR_MS = 3_600_000
# Of more keys than this the number is not told, rather than a wrong one.
_MOST_KEYS = 20_000

T = TypeVar("T")


class Remembered(Generic[T]):
    """Something that is costly to read: read anew after `for_s` seconds, once for all who wait for it."""

    def __init__(self, read: Callable[[], Awaitable[T]], for_s: float, clock: Callable[[], float]) -> None:
        self._read = read
        self._for_s = for_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: tuple[float, T] | None = None

    async def get(self) -> T:
        """What is known, or read now. Raises what reading raises."""
        async with self._lock:
            if self._known is None or self._clock() - self._known[0] >= self._for_s:
                self._known = self._clock(), await self._read()
            return self._known[1]


@dataclass(frozen=True, slots=True)
class Here:
    """What this process alone knows. `refusals` are the errors that it has answered since its start, by their code;
    `waiting` wait for a place now, and `queued` have waited, `queued_s` seconds together."""

    requests_in_flight: int
    journal_pending_bytes: int
    store_emptied: int
    refusals: Mapping[str, int] = field(default_factory=dict)
    store_is_there: bool = True
    waiting: int = 0
    queued: int = 0
    queued_s: float = 0.0
    custom_routers: Sequence[RouterState] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All figures of one moment. `None`: not to be had."""

    store_is_up: bool
    here: Here
    today: list[Aggregate] | None = None
    deployments: list[DeploymentSums] = field(default_factory=list)
    requests_in_flight: int | None = None
    keys_expiring: int | None = None
    memory: ServerMemory | None = None
    checked: Collection[Checked] = ()


@dataclass(eq=False)
class GatewayMetrics:
    """`deployments` has what each has done, `here` looks at this process; `leases` counts the requests in flight at all
    gateways of the store, `memory` is that of its fullest server, `checked` are the last health checks."""

    ledger: LedgerReader
    keys: KeyStore
    deployments: DeploymentSumStore
    here: Callable[[], Here]
    leases: Callable[[], Awaitable[int]]
    memory: Callable[[], Awaitable[ServerMemory]]
    checked: Callable[[], Awaitable[Mapping[str, Checked]]]

    def __post_init__(self) -> None:
        self._today = Remembered(self._read_today, SUMS_FOR_S, time.monotonic)
        self._deployments = Remembered(self._read_deployments, SUMS_FOR_S, time.monotonic)
        self._expiring = Remembered(self._count_expiring, KEYS_FOR_S, time.monotonic)

    async def snapshot(self) -> Snapshot:
        """The figures of now. While the store is away, what this process knows."""
        here = self.here()
        if not here.store_is_there:
            return Snapshot(False, here)
        try:
            in_flight, today, expiring = await self.leases(), await self._today.get(), await self._expiring.get()
            deployments = await self._deployments.get()
        except StoreUnavailable:
            return Snapshot(False, here)
        try:
            memory = await self.memory()
        except StoreUnavailable:
            memory = None  # a managed store may not be asked, and serves all the same
        checked = (await self.checked()).values()
        return Snapshot(True, here, today, deployments, in_flight, expiring, memory, checked)

    async def _read_today(self) -> list[Aggregate]:
        now_ms = await self.ledger.now_ms()
        return await self.ledger.by_hour(now_ms // DAY_MS * 24, now_ms // _HOUR_MS)

    async def _read_deployments(self) -> list[DeploymentSums]:
        today = await self.ledger.now_ms() // DAY_MS
        return await self.deployments.sums(today, today)

    async def _count_expiring(self) -> int | None:
        now_ms = await self.ledger.now_ms()
        until_ms = now_ms + EXPIRING_WITHIN_DAYS * DAY_MS
        if (await self.keys.page(0, 1))[0] > _MOST_KEYS:
            return None
        return sum([now_ms < (record.expires_ms or 0) <= until_ms async for record in self.keys.all()])
