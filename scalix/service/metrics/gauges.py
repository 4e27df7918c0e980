"""What changes without a request's end, such as how many are in flight: put into the worker's cells every second."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable

import psutil

from scalix.service.metrics.meters import Meters

PUBLISH_EVERY_S = 1.0
_LAG_OF_S, _PROBE_S = 15.0, 0.25

Gauge = tuple[str, tuple[str, ...], float]
Source = Callable[[], Iterable[Gauge]]


class LoopLag:
    """How late the event loop comes to what is due: the average and the worst of the last 15 s."""

    def __init__(self) -> None:
        self._late_s: deque[float] = deque(maxlen=round(_LAG_OF_S / _PROBE_S))

    async def run(self) -> None:
        """Measure for one second."""
        loop = asyncio.get_running_loop()
        for _ in range(round(PUBLISH_EVERY_S / _PROBE_S)):
            # At any moment of its time: what comes at regular ones, such as each second, would never or always meet it.
            after_s = random.uniform(0, _PROBE_S)  # noqa: S311
            due_s = loop.time() + after_s
            await asyncio.sleep(after_s)
            self.note(loop.time() - due_s)
            await asyncio.sleep(_PROBE_S - after_s)

    def note(self, late_s: float) -> None:
        """Note one measurement."""
        self._late_s.append(max(0.0, late_s))

    def gauges(self) -> Iterable[Gauge]:
        """The figures of now."""
        late_s = self._late_s
        yield "loop_lag_seconds", (), sum(late_s) / len(late_s) if late_s else 0.0
        yield "loop_lag_worst_seconds", (), max(late_s, default=0.0)


class Gauges:
    """The gauges of one worker. A part that has some of its own adds its function to `sources`."""

    def __init__(self, meters: Meters, sources: Iterable[Source] = ()) -> None:
        self._meters = meters
        self._lag = LoopLag()
        self._process = psutil.Process()
        self.sources: list[Source] = [self._lag.gauges, self._of_process, *sources]

    async def run(self) -> None:
        """Measure for a second, and publish."""
        await self._lag.run()
        self.publish()

    def publish(self) -> None:
        """Publish what is now."""
        self._meters.publish([gauge for source in self.sources for gauge in source()])

    def _of_process(self) -> Iterable[Gauge]:
        yield "workers", (), 1
        yield "resident_memory_bytes", (), self._process.memory_info().rss
