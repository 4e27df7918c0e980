"""How long the store may keep a call, and a request of several calls, waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

CALL_TIMEOUT_MS = 200  # 250 is promised: what is left is for our own work around the call
_TICKS = 20
_LATE_S = 0.005
_LATE_COUNTS = 0.5  # of a tick
_TIMER_STEP_S = 0.001


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

    The time is cut into ticks. One that comes late counts little, however late it is: this process was busy, the answer
    may have come long ago, and several turns of the event loop may be needed to read it. A busy moment must not look
    like a store that is down. It counts all the same, so that the wait has an end in a process that is always busy.
    `clock` gives seconds, monotonic.
    """

    def __init__(self, allowed_ms: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allowed_s = allowed_ms / 1000
        self._tick_s = self._allowed_s / _TICKS
        self._waited_s = 0.0
        self._since_s = clock()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, scope: asyncio.Timeout) -> None:
        """Begin to wait within `scope`."""
        self._loop = asyncio.get_running_loop()
        self._scope = scope
        self._since_s = self._clock()
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def stop(self) -> None:
        """The call has ended."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def waited_ms(self) -> float:
        """How long the store has kept us waiting."""
        return 1000 * min(self._allowed_s, self._waited_s + self._counted_s())

    def _counted_s(self) -> float:
        """What the time since the last tick counts for."""
        passed_s = self._clock() - self._since_s
        return passed_s if passed_s < self._tick_s + _LATE_S else self._tick_s * _LATE_COUNTS

    def _tick(self) -> None:
        self._waited_s += self._counted_s()
        self._since_s = self._clock()
        left_s = self._allowed_s - self._waited_s
        if left_s > _TIMER_STEP_S:
            self._timer = self._loop.call_later(min(left_s, self._tick_s), self._tick)
        else:
            self._waited_s, self._timer = self._allowed_s, None
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
