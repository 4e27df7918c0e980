"""How far this worker has fallen behind, as the time that a stream may collect deltas before it passes them on."""

import asyncio
import threading
import time
from pathlib import Path

from scalix.store.connection.background import in_background

_LOOK_EVERY_S = 0.05
_SMOOTHING = 0.3  # the weight of the newest look
# Below the first figure of a pair the worker keeps up; at the second the whole window is used.
_BUSY_SHARE = (0.50, 0.80)  # of this thread's time, running or kept from it by others on its core
_LAG_S = (0.010, 0.040)


class Pressure:
    """Watches the event loop while streams are open. `window_ms` is the longest that anything is collected."""

    def __init__(self, window_ms: int) -> None:
        self._most_s = window_ms / 1000
        self._streams = 0
        self._watch: asyncio.Task[None] | None = None
        self._window_s = 0.0

    def window_s(self) -> float:
        """0 while the worker keeps up, up to the whole window as it falls behind."""
        return self._window_s

    def opened(self) -> None:
        """A stream has begun."""
        self._streams += 1
        if self._watch is None or self._watch.done():
            self._watch = in_background(self._look())

    def closed(self) -> None:
        """A stream has ended."""
        self._streams -= 1

    async def _look(self) -> None:
        busy = lag_s = 0.0
        wall, worked = time.monotonic(), _worked_s()
        while self._streams > 0:
            await asyncio.sleep(_LOOK_EVERY_S)
            wall_now, worked_now = time.monotonic(), _worked_s()
            passed_s = wall_now - wall
            busy += _SMOOTHING * ((worked_now - worked) / passed_s - busy)
            lag_s += _SMOOTHING * (passed_s - _LOOK_EVERY_S - lag_s)
            wall, worked = wall_now, worked_now
            self._window_s = self._most_s * max(_share(busy, *_BUSY_SHARE), _share(lag_s, *_LAG_S))
        self._window_s = 0.0


def _worked_s() -> float:
    """How long this thread has run or has waited for a core, in seconds; proc(5), schedstat."""
    try:
        line = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_bytes()
        ran_ns, waited_ns, _ = map(int, line.split())
    except (OSError, ValueError):
        return time.thread_time()
    return (ran_ns + waited_ns) / 1e9


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
