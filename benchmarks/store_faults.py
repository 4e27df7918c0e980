"""Freezes the store under load: how long callers wait, how much memory it takes, and whether all is counted once.

    python -m benchmarks.store_faults --seconds 30 --rate 200

It runs one worker's edge, services and journal with a store of its own, without LiteLLM, so that only the gateway is
measured. The load is open: requests come at their rate, even if earlier ones are not answered. A third each is of a
tier that is denied without the store, of one that goes on, and of the operator. With the freeze, `--burst` requests
come at once.
"""

import argparse
import asyncio
import logging
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop

from tests.service.outage_rig import StoreProcess, World

USERS = 200


def rss_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


class Load:
    """Sends requests, and notes per phase how long each took (ms) and its status."""

    def __init__(self, world: World, users: list[str | None]) -> None:
        self._world = world
        self._users = users
        self._sent = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.phase = "before"
        self.took_ms: dict[str, list[float]] = {}
        self.statuses: dict[str, Counter[int]] = {}
        self.served: Counter[str | None] = Counter()

    def send(self) -> None:
        """One request more."""
        user = self._users[self._sent % len(self._users)]
        self._sent += 1
        task = asyncio.create_task(self._one(user, self.phase))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, user: str | None, phase: str) -> None:
        began = time.perf_counter()
        reply = await self._world.ask(user)
        self.took_ms.setdefault(phase, []).append(1000 * (time.perf_counter() - began))
        self.statuses.setdefault(phase, Counter())[reply.status] += 1
        if reply.status == 200:
            self.served[user] += 1

    async def run(self, seconds: float, rate: float) -> None:
        """Send at `rate` requests per second."""
        began = time.perf_counter()
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            self.send()

    async def rest(self) -> None:
        """Wait for all answers."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def report(self, phase: str) -> None:
        took = self.took_ms[phase]
        print(
            f"{phase:8} {len(took):7} requests  p50 {quantile(took, 0.5):7.1f} ms  p99 {quantile(took, 0.99):7.1f} ms  "
            f"max {max(took):7.1f} ms  {dict(self.statuses[phase])}"
        )


async def measure(folder: Path, seconds: float, rate: float, burst: int) -> bool:
    store = StoreProcess(folder)
    async with World(store.url, folder, "bench:") as world:
        users: list[str | None] = []
        for number in range(USERS):
            users += [await world.user(f"f{number}", "free"), await world.user(f"p{number}", "pro"), None]
        load = Load(world, users)
        await load.run(5, rate)
        await load.rest()
        memory = [rss_mib()]
        load.phase = "frozen"
        store.freeze()
        for _ in range(burst):
            load.send()
        for _ in range(10):
            await load.run(seconds / 10, rate)
            memory.append(rss_mib())
        await load.rest()
        journal_bytes = world.core.exchange.watch._journal.pending_bytes
        thawed = time.perf_counter()
        store.thaw()
        await world.eventually(lambda: world.core.exchange.watch.store_is_there)
        back_s = time.perf_counter() - thawed
        await world.eventually(lambda: not world.core.exchange.watch.is_behind)
        replayed_s = time.perf_counter() - thawed
        load.phase = "after"
        await load.run(5, rate)
        await load.rest()
        await world.eventually(lambda: not world.core.exchange.watch.is_behind)
        for phase in ("before", "frozen", "after"):
            load.report(phase)
        print("memory   " + " ".join(f"{mib:.1f}" for mib in memory) + " MiB, before and in tenths of the freeze")
        print(
            f"journal  {journal_bytes} bytes; store used again after {back_s:.2f} s, told all after {replayed_s:.2f} s"
        )
        counted = {user: (await world.day(user)).requests_used for user in dict.fromkeys(users)}
        held = sum([(await world.day(user)).requests_held for user in dict.fromkeys(users)])
        wrong = [user for user in counted if counted[user] != load.served[user]]
        print(
            f"counted  {sum(counted.values())} of {sum(load.served.values())} served; {held} still held; wrong: {wrong}"
        )
    store.stop()
    return not wrong and not held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the store is frozen")
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    parser.add_argument("--burst", type=int, default=0, help="requests that come at once with the freeze")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        right = uvloop.run(measure(Path(folder), options.seconds, options.rate, options.burst))
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    main()
