"""The figures of one scrape: those of all workers of this instance, and those of the store, read no more often than
they change."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

import scalix
from scalix.domain.health_checks import Checked
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.metric_families import FAMILIES, series
from scalix.service.metrics.gauges import Gauge, Gauges
from scalix.service.metrics.meters import Meters, merged
from scalix.store.base import StoreUnavailable
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.ledger.redis_memory import ServerMemory
from scalix.store.metric_cells import MetricFiles
from scalix.store.records.redis_keys import KeyStore

EXPIRING_WITHIN_DAYS = 7
KEYS_FOR_S = 600.0
# Of more keys than this the number is not told, rather than a wrong one.
_MOST_KEYS = 20_000

T = TypeVar("T")

StoreFigures = Callable[[], Awaitable[list[Gauge]]]


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


class Workers:
    """The figures of all workers of this instance; `meters` and `gauges` are those of this one."""

    def __init__(self, meters: Meters, gauges: Gauges, files: MetricFiles) -> None:
        self._meters = meters
        self._gauges = gauges
        self._files = files

    def figures(self) -> dict[str, dict[str, float]]:
        """By family and series; of this worker as they are now, of the others a second old."""
        self._gauges.publish()
        cells = self._meters.cells
        return merged(self._files.read() if cells.is_shared else [(True, cells.read())])


class GatewayMetrics:
    """`of_store` are the functions that read what is of the store; a part that has such figures adds its own.
    `store_is_there`: whether this worker finds it."""

    def __init__(self, workers: Workers, of_store: Iterable[StoreFigures], store_is_there: Callable[[], bool]) -> None:
        self._workers = workers
        self.of_store = list(of_store)
        self._store_is_there = store_is_there

    async def figures(self) -> dict[str, dict[str, float]]:
        """The figures of now, by family and series. While the store is away, what the instance knows without it."""
        found = self._workers.figures()
        for name, values, value in (("build_info", (scalix.__version__,), 1.0), *await self._of_store()):
            found[name][series(FAMILIES[name], values)] = value
        return found

    async def _of_store(self) -> list[Gauge]:
        found: list[Gauge] = []
        is_up = self._store_is_there()
        for read in self.of_store if is_up else ():
            try:
                found += await read()
            except StoreUnavailable:
                is_up = False
                break
        return [*found, ("store_up", (), float(is_up))]


class StoreReadings:
    """What is read of the store.

    leases: counts the reservations of all gateways that are not settled.
    memory: that of the fullest server.
    checked: the last health checks.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        keys: KeyStore,
        leases: Callable[[], Awaitable[int]],
        memory: Callable[[], Awaitable[ServerMemory]],
        checked: Callable[[], Awaitable[Mapping[str, Checked]]],
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._leases = leases
        self._memory = memory
        self._checked = checked
        self._expiring = Remembered(self._count_expiring, KEYS_FOR_S, time.monotonic)

    def all(self) -> list[StoreFigures]:
        """The functions, for `GatewayMetrics`."""
        return [self.reservations, self.expiring_keys, self.health, self.server_memory]

    async def reservations(self) -> list[Gauge]:
        return [("store_requests_in_flight", (), await self._leases())]

    async def server_memory(self) -> list[Gauge]:
        try:
            memory = await self._memory()
        except StoreUnavailable:
            return []  # a managed store may not be asked, and serves all the same
        limit: list[Gauge] = [("store_memory_limit_bytes", (), memory.limit_bytes)] if memory.limit_bytes else []
        return [("store_memory_used_bytes", (), memory.used_bytes), *limit]

    async def expiring_keys(self) -> list[Gauge]:
        expiring = await self._expiring.get()
        return [] if expiring is None else [("store_keys_expiring", (f"{EXPIRING_WITHIN_DAYS}d",), expiring)]

    async def health(self) -> list[Gauge]:
        checked = (await self._checked()).values()
        return [("store_deployment_up", (one.name,), int(not one.is_failing)) for one in checked]

    async def _count_expiring(self) -> int | None:
        now_ms = await self._ledger.now_ms()
        until_ms = now_ms + EXPIRING_WITHIN_DAYS * DAY_MS
        if (await self._keys.page(0, 1))[0] > _MOST_KEYS:
            return None
        return sum([now_ms < (record.expires_ms or 0) <= until_ms async for record in self._keys.all()])
