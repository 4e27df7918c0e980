"""How long the store may keep a call, and a request of several calls, waiting."""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from typing import ClassVar

CALL_TIMEOUT_MS = 200  # 250 is promised: what is left is for our own work around the call
# For what a person would rather wait for than read that it can't be had: many calls, one after another, or long ones.
PATIENT_MS = 10_000
_TICK_S = 0.01
_LATE_S = 0.005
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


def share_store_time(time: StoreTime | None) -> None:
    """Let the calls of this task draw on what another one was granted; `None`: each has its own time."""
    _of_this_request.set(time)


def granted_store_time() -> StoreTime | None:
    """What this request has left; `None` where nothing was granted, so that each call has its own time."""
    return _of_this_request.get()


class CalmClock:
    """A clock for waiting on the store, which counts little of the time in which this process itself was busy.

    A busy moment of ours must not look like a store that is down: the answer may have come long ago, and it takes
    several turns of the event loop to read it. The clock goes by ticks, and a tick that comes late counts half, however
    late it is. It does count, so that a wait has an end in a process that is always busy. While nobody waits, the clock
    stands still. `clock` gives seconds, monotonic.
    """

    _latest: "ClassVar[CalmClock | None]" = None

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic) -> None:
        # Not the loop itself: it would be kept alive by its own clock.
        self._loop = weakref.ref(loop)
        self._clock = clock
        self._ticked_s = 0.0
        self._since_s = 0.0
        self._is_ticking = False
        self._waiting: dict[asyncio.Timeout, float] = {}

    @classmethod
    def of_this_loop(cls) -> "CalmClock":
        """The running loop's own."""
        loop = asyncio.get_running_loop()
        clock = cls._latest
        if clock is None or clock._loop() is not loop:  # a process that serves has one loop
            clock = cls._latest = _clocks.get(loop) or _clocks.setdefault(loop, cls(loop))
        return clock

    def now_s(self) -> float:
        """What the clock says."""
        return self._ticked_s + (self._counted_s() if self._is_ticking else 0.0)

    def end(self, scope: asyncio.Timeout, at_s: float) -> None:
        """End `scope` when the clock says `at_s`, unless it is forgotten before."""
        self._waiting[scope] = at_s
        if not self._is_ticking:
            self._is_ticking = True
            self._tick_later()

    def forget(self, scope: asyncio.Timeout) -> None:
        """Nobody waits in `scope` any more."""
        self._waiting.pop(scope, None)

    def _counted_s(self) -> float:
        passed_s = self._clock() - self._since_s
        return passed_s if passed_s < _TICK_S + _LATE_S else _TICK_S / 2

    def _tick_later(self) -> None:
        loop = self._loop()
        if loop is not None:
            self._since_s = self._clock()
            loop.call_later(_TICK_S, self._tick, context=Context())

    def _tick(self) -> None:
        self._ticked_s += self._counted_s()
        over = [scope for scope, at_s in self._waiting.items() if at_s <= self._ticked_s + _TIMER_STEP_S]
        for scope in over:
            del self._waiting[scope]
            scope.reschedule(0.0)
        self._is_ticking = bool(self._waiting)
        if self._is_ticking:
            self._tick_later()


_clocks: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, CalmClock]" = weakref.WeakKeyDictionary()


class Patience:
    """Ends an `asyncio.timeout` after `allowed_ms` of waiting for the store, by `CalmClock`."""

    __slots__ = ("_allowed_s", "_clock", "_scope", "_started_s")

    def __init__(self, allowed_ms: float, clock: CalmClock | None = None) -> None:
        self._allowed_s = allowed_ms / 1000
        self._clock = clock or CalmClock.of_this_loop()
        self._started_s = self._clock.now_s()

    def start(self, scope: asyncio.Timeout) -> None:
        """Begin to wait within `scope`."""
        self._scope = scope
        self._started_s = self._clock.now_s()
        self._clock.end(scope, self._started_s + self._allowed_s)

    def stop(self) -> None:
        """The call has ended."""
        self._clock.forget(self._scope)

    @property
    def waited_ms(self) -> float:
        """How long the store has kept us waiting."""
        return 1000 * min(self._allowed_s, max(0.0, self._clock.now_s() - self._started_s))


@asynccontextmanager
async def patient_timeout(allowed_ms: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, by `CalmClock`. Raises `TimeoutError`."""
    patience = Patience(allowed_ms)
    async with asyncio.timeout(None) as scope:
        patience.start(scope)
        try:
            yield
        finally:
            patience.stop()
