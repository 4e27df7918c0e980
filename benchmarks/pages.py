"""Measures every page of `/ui` and `/me`: `python -m benchmarks.pages [--events 100000 1000000]`.

Fills a store of its own as `benchmarks.paging` and `benchmarks.today` do, signs in as the operator and as a user who
has made a tenth of all requests, and looks at each page as a browser does, at a gateway in this process. Of each: what
the store was asked for (commands, those of scripts too), what it has sent, times of the first view and of those that
follow, the CPU time of the gateway (with the client's) and of the store, which says on a busy machine what it would be
on a quiet one, and the longest that the event loop was held at once: between two
turns of a task that does nothing else, by the CPU time of this process. A page that is not sent whole ends the run. At
the end the ledger of a day is compared with its events.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import paging, today
from benchmarks.measured_store import PREFIX
from scalix.domain.limits.calendar import DAY_MS
from scalix.pages.all_rows import PAGE_ROWS
from scalix.pages.finding import path_to
from scalix.pages.rows import PageRow, Role
from scalix.service.queries import date_of
from tests.edge.key_rig import made
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, operator, text_of, user

RUNS = 20


def paths(rows: tuple[PageRow, ...], role: Role, names: dict[str, str]) -> list[str]:
    """The pages of a role, their `{name}`s filled in."""
    found = [row.path for row in rows if row.method == "GET" and row.role is role]
    for name, value in names.items():
        found = [path_to(path, value) if f"{{{name}}}" in path else path for path in found]
    return found


@asynccontextmanager
async def browsers(instance: Instance) -> AsyncIterator[dict[Role, tuple[Browser, list[str]]]]:
    """Who looks, and at what."""
    key = (await made(instance, user_id=paging.BUSY))["token"]
    requests = (await instance.http.get(f"/scalix/v1/requests?limit=1&user_id={paging.BUSY}")).json()["requests"]
    names = {"user": paging.BUSY, "key": key, "request": requests[0]["id"]}
    yield {
        Role.OPERATOR: (await operator(instance), paths(PAGE_ROWS, Role.OPERATOR, names)),
        Role.USER: (await user(instance, paging.BUSY), paths(PAGE_ROWS, Role.USER, names)),
    }


def commands(admin: Any) -> int:
    """What the server has been asked for, from scripts too, but for this question."""
    figures = admin.info("commandstats")
    return sum(int(one["calls"]) for name, one in figures.items() if name not in ("cmdstat_info", "cmdstat_config|get"))


async def longest_hold(held_ms: list[float]) -> None:
    """Note the longest time that the loop has computed without letting this task in."""
    while True:
        before_s = time.thread_time()
        await asyncio.sleep(0)
        held_ms[0] = max(held_ms[0], (time.thread_time() - before_s) * 1_000)


async def look(browser: Browser, path: str, admin: Any, pid: int) -> str:
    """One line of a page. Raises `SystemExit` where it is not shown."""
    times, held_ms = list[float](), list[float]()
    for run in range(RUNS + 1):
        if run == 1:
            asked, sent = commands(admin), admin.info("stats")["total_net_output_bytes"]
            store_us, ours_s = paging.cpu_us(pid), time.process_time()
        began_s = time.perf_counter()
        answer = await browser.get(path)
        times.append((time.perf_counter() - began_s) * 1_000)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} instead of 200: {text_of(answer)[:500]}")
    ours_ms = (time.process_time() - ours_s) * 1_000 / RUNS
    store_ms = (paging.cpu_us(pid) - store_us) / 1_000 / RUNS
    asked, sent = (commands(admin) - asked) // RUNS, admin.info("stats")["total_net_output_bytes"] - sent
    first, *others = times
    others.sort()
    for _ in range(RUNS // 4):  # by itself, as the task costs time
        beside = asyncio.create_task(longest_hold(held := [0.0]))
        await browser.get(path)
        for _ in range(2):  # for the last step, in which the page is rendered
            await asyncio.sleep(0)
        beside.cancel()
        held_ms += held
    p50, p95 = others[RUNS // 2], others[RUNS * 95 // 100]
    figures = f"{asked:6} commands {sent / RUNS / 1024:6.0f} KiB  first {first:6.0f}, p50 {p50:4.0f}, p95 {p95:4.0f} ms"
    longest = f"held {sorted(held_ms)[len(held_ms) // 2]:4.1f} ms"
    return f"{path:30.30} {figures}  CPU: gateway {ours_ms:4.0f}, store {store_ms:3.0f} ms  {longest}"


async def measure(path: str, folder: Path, admin: Any, pid: int) -> None:
    instance = Instance(f"unix://{path}", folder, PREFIX, "one")
    try:
        async with browsers(instance) as looking:
            for browser, pages in looking.values():
                for page in pages:
                    print(await look(browser, page, admin, pid), flush=True)
        began_s = time.perf_counter()
        day = date_of(time.time_ns() // 1_000_000 // DAY_MS - 1)
        found = (await instance.http.get("/scalix/v1/ledger/verify", params={"day": day}, timeout=600)).json()
        print(f"ledger of {day}: {str(found)[:300]} ({time.perf_counter() - began_s:.0f} s)", flush=True)
    finally:
        await instance.close()


def main() -> None:
    """Print a line for each page, for each number of events."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000], help="how many there are")
    for count in parser.parse_args().events:
        with paging.filled(count, paging.fill, today.fill) as (path, pid, admin):
            uvloop.run(measure(path, Path(path).parent, admin, pid))


if __name__ == "__main__":
    main()
