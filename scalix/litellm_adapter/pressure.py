"""How far this worker has fallen behind, as the time that a stream may collect deltas before it passes them on."""

import asyncio
import time

_LOOK_EVERY_S = 0.05
_SMOOTHING = 0.3  # the weight of the newest look
# Below the first figure of a pair the worker keeps up; at the second the whole window is used.
_BUSY_SHARE = (0.60, 0.90)  # of one core, this thread
_LAG_S = (0.010, 0.050)


class Pressure:
    """Watches the event loop while streams are open. `window_ms` is the longest that anything is collected."""

    def __init__(self, window_ms: int) -> None:
        self._most_s = window_ms / 1000
        self._streams = 0
        self._watch: asyncio.Task[None] | None = None
        self._busy = 0.0
        self._lag_s = 0.0

    def window_s(self) -> float:
        """0 while the worker keeps up, up to the whole window as it falls behind."""
        return self._most_s * max(_share(self._busy, *_BUSY_SHARE), _share(self._lag_s, *_LAG_S))

    def opened(self) -> None:
        """A stream has begun."""
        self._streams += 1
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())

    def closed(self) -> None:
        """A stream has ended."""
        self._streams -= 1

    async def _look(self) -> None:
        wall, cpu = time.monotonic(), time.thread_time()
        while self._streams > 0:
            await asyncio.sleep(_LOOK_EVERY_S)
            wall_now, cpu_now = time.monotonic(), time.thread_time()
            passed_s = wall_now - wall
            self._busy += _SMOOTHING * ((cpu_now - cpu) / passed_s - self._busy)
            self._lag_s += _SMOOTHING * (passed_s - _LOOK_EVERY_S - self._lag_s)
            wall, cpu = wall_now, cpu_now
        self._busy = self._lag_s = 0.0


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
