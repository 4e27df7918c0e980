"""Compares the times of requests while nobody looks at pages, and while somebody does, by turns:
`python -m benchmarks.beside_pages [--events 100000]`.

A gateway in this process without LiteLLM, and 100 requests a second through its edge, admission and settlement; every
other turn two pages a second of the operator's are looked at, one after the other. Client, pages and requests share one
event loop and one core, so that what pages cost requests is rather more here than elsewhere.
"""

import argparse
import asyncio
import time
from pathlib import Path

import uvloop

from benchmarks import paging, today
from benchmarks.measured_store import PREFIX
from benchmarks.pages import browsers
from scalix.pages.rows import Role
from tests.edge.key_rig import act
from tests.edge.limits_rig import Instance

TURNS, TURN_S, A_SECOND, VIEWS_A_SECOND = 4, 10.0, 100, 2


async def requests(instance: Instance, times: list[float]) -> None:
    async def one() -> None:
        began_s = time.perf_counter()
        assert (await instance.ask("ann")).status_code == 200
        times.append((time.perf_counter() - began_s) * 1_000)

    begin_s, sent = time.perf_counter(), list[asyncio.Task[None]]()
    for number in range(int(TURN_S * A_SECOND)):
        await asyncio.sleep(max(0.0, begin_s + number / A_SECOND - time.perf_counter()))
        sent.append(asyncio.create_task(one()))
    await asyncio.gather(*sent)


async def measure(path: str, folder: Path) -> None:
    instance = Instance(f"unix://{path}", folder, PREFIX, "one")
    alone, beside = list[float](), list[float]()
    views = 0
    await act(instance, "/user/new", user_id="ann", tier="open")
    async with browsers(instance) as looking:
        browser, pages = looking[Role.OPERATOR]

        async def look() -> None:
            nonlocal views
            while True:
                began_s = time.perf_counter()
                await browser.get(pages[views % len(pages)])
                views += 1
                await asyncio.sleep(max(0.0, began_s + 1 / VIEWS_A_SECOND - time.perf_counter()))

        for page in pages:
            await browser.get(page)
        await requests(instance, [])
        for _ in range(TURNS):
            await requests(instance, alone)
            looks = asyncio.create_task(look())
            await requests(instance, beside)
            looks.cancel()
    for name, times in ("nobody looks", alone), (f"{views} views", beside):
        times.sort()
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        print(f"{name:14} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  {len(times)} requests", flush=True)
    await instance.close()


def main() -> None:
    """Print how much there is, and two lines."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside_pages", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--events", type=int, default=100_000, help="how many there are")
    with paging.filled(parser.parse_args().events, paging.fill, today.fill) as (path, _, _):
        uvloop.run(measure(path, Path(path).parent))


if __name__ == "__main__":
    main()
