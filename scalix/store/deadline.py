"""How long the store may keep a call, and a request of several calls, waiting."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

CALL_TIMEOUT_MS = 200  # 250 is promised: what is left is for our own work around the call
_TICKS = 5


class StoreTime:
    """What is left of the time that one request may wait for the store, in ms. All its calls draw on it."""

    __slots__ = ("left_ms",)

    def __init__(self, left_ms: float) -> None:
        self.left_ms = left_ms


_of_this_request: ContextVar[StoreTime | None] = ContextVar("store_time", default=None)


def grant_store_time(left_ms: float = CALL_TIMEOUT_MS) -> None:
    """Begin a request: the calls of this task, and of tasks that it starts, share `left_ms` from now on."""
    _of_this_request.set(StoreTime(left_ms))


def granted_store_time() -> StoreTime | None:
    """What this request has left; `None` where nothing was granted, so that each call has its own time."""
    return _of_this_request.get()


class Patience:
    """Ends an `asyncio.timeout` after `allowed_ms` of waiting for the store, but not of waiting for ourselves.

    The time is cut into ticks, and a tick that comes late counts once, however late it is: while this process was busy
    the answer may have come long ago, and a busy moment must not look like a store that is down.
    """

    def __init__(self, allowed_ms: float) -> None:
        self._tick_s = allowed_ms / 1000 / _TICKS
        self._ticks = 0
        self._started_s = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, scope: asyncio.Timeout) -> None:
        """Begin to wait within `scope`."""
        self._loop = asyncio.get_running_loop()
        self._scope = scope
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def stop(self) -> None:
        """The call has ended."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def waited_ms(self) -> float:
        """How long the store has kept us waiting."""
        elapsed_s = time.monotonic() - self._started_s
        return 1000 * min(elapsed_s, (self._ticks + 1) * self._tick_s)

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks < _TICKS:
            self._timer = self._loop.call_later(self._tick_s, self._tick)
        else:
            self._timer = None
            self._scope.reschedule(self._loop.time())


@asynccontextmanager
async def patient_timeout(allowed_ms: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, by a clock that stands still while this process is busy. Raises `TimeoutError`."""
    patience = Patience(allowed_ms)
    async with asyncio.timeout(None) as scope:
        patience.start(scope)
        try:
            yield
        finally:
            patience.stop()
