"""Measures what a request costs in the store: `python -m benchmarks.store [--users 1000000]`.

Times inside the server are the server's own (`INFO latencystats`), CPU time is the kernel's, memory is the server's own
accounting. Each figure is the lowest of five rounds, since other programs can only add to it. The server
is the one that comes with the gateway, on a unix socket, without persistence, started and stopped here.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis.asyncio
import uvloop

from benchmarks.measured_store import CALLS, EIGHT_LIMITS, PREFIX, Bench, Timing, load, name_of, quietest, start_server
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Charge, Outcome, Receipt

ROUNDS = 5
MEMORY_USERS = 10_000
REQUESTS_OF_A_USER = 10
FEW_USERS = 1_000

FREE_TIER = Limits(
    (
        Limit(Metric.REQUESTS, Window.HOUR, 10**6),
        Limit(Metric.REQUESTS, Window.DAY, 10**6),
        Limit(Metric.TOKENS, Window.DAY, 10**12),
    )
)


async def one_by_one(calls: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    return [await call for call in calls]


async def together(calls: Iterable[Coroutine[Any, Any, Any]], size: int) -> None:
    waiting = list(calls)
    for first in range(0, len(waiting), size):
        await asyncio.gather(*waiting[first : first + size])


async def scripts(bench: Bench) -> dict[str, Timing]:
    """Each script alone, one call at a time, for known users."""
    await together((bench.serve(user) for user in range(1_000)), 100)
    rounds: defaultdict[str, list[Timing]] = defaultdict(list)
    charge = Charge(Outcome.SUCCESS, 1, 431, 186_600)
    nothing = Limits(tuple(replace(limit, value=0) for limit in EIGHT_LIMITS.windows))
    for _ in range(ROUNDS):
        chosen = [random.randrange(1_000) for _ in range(CALLS)]
        receipts: list[Receipt] = []

        async def admit(chosen: list[int] = chosen, receipts: list[Receipt] = receipts) -> None:
            receipts.extend([(await bench.admit(bench.ask(user))).receipt for user in chosen])

        rounds["admit, eight limits"].append(await bench.timed(admit()))
        settle = one_by_one(bench.store.settle(receipt, charge) for receipt in receipts)
        rounds["settle"].append(await bench.timed(settle))
        refuse = one_by_one(bench.store.admit(bench.ask(user, nothing)) for user in chosen)
        rounds["admit that refuses, eight limits"].append(await bench.timed(refuse))
    return {name: quietest(timings) for name, timings in rounds.items()}


async def client_cpu(bench: Bench) -> dict[str, float]:
    """µs of CPU in this process for one admission (and what is counted with it, until the decision is there)."""

    async def cpu(work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
        figures = []
        for _ in range(ROUNDS):
            started = time.process_time()
            await work()
            figures.append((time.process_time() - started) / CALLS * 1e6)
        return min(figures)

    plain: Any = redis.asyncio.Redis(unix_socket_path=bench.path, decode_responses=True, max_connections=1_000)
    script = "return 1"
    sha = await plain.script_load(script)
    keys = [f"{PREFIX}{{s00}}:{name}" for name in "abcdef"]
    arguments = [*keys, *("12345678",) * 47]

    async def evalsha(client: Any) -> None:
        await client.evalsha(sha, 6, *arguments)

    figures = {
        "EVALSHA by redis-py, one by one": await cpu(lambda: one_by_one(evalsha(plain) for _ in range(CALLS))),
        "EVALSHA by redis-py, 100 at once": await cpu(lambda: together((evalsha(plain) for _ in range(CALLS)), 100)),
        "EVALSHA by lane, one by one": await cpu(lambda: one_by_one(evalsha(bench.client) for _ in range(CALLS))),
        "EVALSHA by lane, 10 at once": await cpu(lambda: together((evalsha(bench.client) for _ in range(CALLS)), 10)),
        "EVALSHA by lane, 100 at once": await cpu(lambda: together((evalsha(bench.client) for _ in range(CALLS)), 100)),
        "store.admit, 10 at once": await cpu(
            lambda: together((bench.admit(bench.ask(number % 1_000)) for number in range(CALLS)), 10)
        ),
    }
    await plain.aclose()
    return figures


async def memory(bench: Bench) -> dict[str, float]:
    """Bytes for each of `MEMORY_USERS` users of the free tier who have made some requests today."""
    bench.admin.execute_command("FLUSHALL", "SYNC")
    # Buffers and tables that the connections keep are there from the start.
    await together((bench.serve(user, FREE_TIER) for user in range(400)), 200)
    bench.admin.execute_command("FLUSHALL", "SYNC")
    before = bench.admin.info("memory")["used_memory"]
    for _ in range(REQUESTS_OF_A_USER):
        await together((bench.serve(user, FREE_TIER) for user in range(MEMORY_USERS)), 200)
    whole = bench.admin.info("memory")["used_memory"] - before
    by_kind: Counter[str] = Counter()
    events = []
    for name in bench.admin.scan_iter(count=5_000):
        kind = name.split(":")[2]
        by_kind[kind] += int(bench.admin.memory_usage(name, samples=0) or 0)
        if kind == "e":
            events.append(name)
    for first in range(0, len(events), 1_000):
        bench.admin.delete(*events[first : first + 1_000])
    without_events = bench.admin.info("memory")["used_memory"] - before
    figures = {"used_memory, events apart": without_events / MEMORY_USERS, "used_memory, in all": whole / MEMORY_USERS}
    names = {"w": "windows", "e": "events of the day", "f": "in flight", "l": "lease index"}
    return figures | {f"MEMORY USAGE, {names.get(kind, kind)}": size / MEMORY_USERS for kind, size in by_kind.items()}


async def users(benches: dict[int, Bench]) -> dict[int, Timing]:
    """The admit script on servers with few and with many users, drawn at random, by turns."""
    rounds: defaultdict[int, list[Timing]] = defaultdict(list)
    for population, bench in benches.items():
        await asyncio.to_thread(load, bench, range(population))
    for _ in range(ROUNDS):
        for population, bench in benches.items():
            chosen = [random.randrange(population) for _ in range(CALLS)]
            await together((bench.serve(user) for user in chosen[:100]), 100)
            rounds[population].append(await bench.timed(one_by_one(bench.admit(bench.ask(user)) for user in chosen)))
            # So that the next round's requests in flight and lease indexes are as long as this one's.
            bench.admin.delete(*bench.keys.all_leases(), *(bench.keys.in_flight(name_of(user)) for user in chosen))
    return {population: quietest(timings) for population, timings in rounds.items()}


async def round_trips(bench: Bench) -> dict[str, int]:
    """What one request sends, once the record of its user is cached."""
    await bench.users.get("00000001")
    await bench.serve(1)
    bench.admin.config_resetstat()
    await bench.serve(1)
    stats = bench.admin.info("commandstats")
    reads = bench.admin.info("stats")["total_reads_processed"]
    return {
        "EVALSHA": stats["cmdstat_evalsha"]["calls"],
        "EVAL": stats.get("cmdstat_eval", {}).get("calls", 0),
        # One read is of each INFO.
        "writes to the socket": reads - 2,
    }


async def run(servers: Sequence[tuple[str, int]], number: int) -> None:
    bench, other = (Bench(path, pid) for path, pid in servers)
    facts = bench.admin.info("server")
    flavour = str(facts.get("server_name", "redis"))
    version = facts.get(f"{flavour}_version")
    print(f"{flavour} {version}, the quietest of {ROUNDS} rounds of {CALLS} calls each")
    for name, timing in (await scripts(bench)).items():
        print(f"in the server: {name}: {timing}")
    for name, calls in (await round_trips(bench)).items():
        print(f"sent for one request: {name}: {calls}")
    for name, micros in (await client_cpu(bench)).items():
        print(f"CPU of the client: {name}: {micros:.1f} µs")
    for name, size in (await memory(bench)).items():
        print(f"bytes per active user of the free tier: {name}: {size:.0f}")
    bench.admin.execute_command("FLUSHALL", "SYNC")
    timings = await users({FEW_USERS: bench, number: other})
    for population, timing in timings.items():
        print(f"admit with {population} users loaded: {timing}")
    few, many = timings.values()
    print(f"that is {many.cpu / few.cpu:.2f} times by CPU, {many.p50 / few.p50:.2f} by p50")
    for one in (bench, other):
        await one.client.aclose()


def main() -> None:
    """Print every figure on a line of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000, help="the many users (default 1,000,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        servers = [start_server(Path(directory) / name) for name in ("few", "many")]
        try:
            uvloop.run(run([(path, process.pid) for process, path in servers], options.users))
        finally:
            for process, _ in servers:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
