"""Measures the size of the ledger and how fast reports read it: `python -m benchmarks.ledger [--events 10000000]`.

Sums and rankings are written as that many events of thirty days make them, spread over all shards, models and tiers;
the events themselves are written for a few users only, as reports don't read them. The server is the one that comes
with the gateway, on a unix socket, without persistence, started and stopped here.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import redis
import uvloop

from benchmarks.measured_store import own_server
from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Charge, Outcome, Receipt
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.redis_quota import QuotaStore

DAYS = 30
DAY_MS = 86_400_000
ROUNDS = 3
PROVIDERS = {"free-gemini-flash": "gemini", "free-deepseek-chat": "deepseek", "scalix-engine": "openai"}
MODELS = {**PROVIDERS, "gpt-4": "openai", "claude-3-opus": "anthropic", "gemini-pro": "gemini"}
ENDINGS = (
    ("success", "-"),
    ("client_cut", "-"),
    ("provider_failed", "provider_down"),
    ("provider_refused", "bad_request"),
)


def kinds() -> list[str]:
    """What sums are kept by: 72 in all."""
    return [
        f"{model} {provider} {tier} {outcome} {error}"
        for model, provider in MODELS.items()
        for tier in ("free", "pro", "premium")
        for outcome, error in ENDINGS
    ]


def load(admin: Any, keys: Keys, events: int, users: int, first_day: int) -> None:
    """Sums by day and by hour, and rankings, of `events` events."""
    each = max(1, events // (DAYS * SHARDS * len(kinds())))
    figures = (
        f"{each} {each} {431 * each} {120 * each} {311 * each} 0 0 {186_600 * each} {186_600 * each} 0 {900 * each}"
    )
    for day in range(first_day, first_day + DAYS):
        month = window_index(Window.MONTH, day * DAY_MS)
        pipeline = admin.pipeline(transaction=False)
        for shard in range(SHARDS):
            pipeline.hset(keys.day_sums(shard, month), mapping={f"{day} {kind}": figures for kind in kinds()})
            hours = (day * 24 + hour for hour in range(24))
            if day == first_day + DAYS - 1:
                pipeline.hset(
                    keys.hour_sums(shard, day),
                    mapping={f"{hour} {kind}": figures for hour in hours for kind in kinds()},
                )
        pipeline.execute()
    chance = random.Random(7)
    by_shard: dict[int, list[str]] = {shard: [] for shard in range(SHARDS)}
    for user in range(users):
        by_shard[shard_of(f"user:{user}")].append(f"user:{user}")
    for day in range(first_day, first_day + DAYS):
        pipeline = admin.pipeline(transaction=False)
        for shard, names in by_shard.items():
            here = {name: chance.randrange(1, 10_000) for name in names if chance.random() < 0.5}
            pipeline.zadd(keys.ranking(shard, day, "cost"), here)
        pipeline.execute()


async def quietest_ms(work: Callable[[], Awaitable[object]]) -> float:
    figures = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        await work()
        figures.append((time.perf_counter() - started_s) * 1000)
    return min(figures)


def charges(number: int) -> Iterator[Charge]:
    chance = random.Random(number)
    for _ in range(number):
        prompt, answer = chance.randrange(20, 3_000), chance.randrange(1, 2_000)
        cost = prompt * 150 + answer * 600
        detail = Detail(
            tier="pro",
            model="gpt-4",
            served="gpt-4",
            provider="openai",
            prompt_tokens=prompt,
            completion_tokens=answer,
            cost_nano_usd=cost,
            charge_nano_usd=cost * 6 // 5,
            price_version="2026-11-01",
            latency_ms=chance.randrange(300, 9_000),
            first_token_ms=chance.randrange(100, 900),
            streamed=True,
        )
        yield Charge(Outcome.SUCCESS, 1, prompt + answer, cost, detail=detail)


async def bytes_per_event(client: Any, admin: Any, keys: Keys) -> dict[int, float]:
    """By how many events the user has that day; ids are of 32 hex digits."""
    store = QuotaStore(StoreSession(client, keys, timeout_ms=30_000))
    now_ms, figures = time.time_ns() // 1_000_000, {}
    for number in (1, 10, 100, 1_000):
        subject = f"user:with-{number}"
        for place, charge in enumerate(charges(number)):
            receipt = Receipt(f"{place:032x}", subject, now_ms, 10, 100, False)
            await store.settle(receipt, charge)
        name = keys.events(subject, now_ms)
        figures[number] = int(admin.memory_usage(name, samples=0) or 0) / number
    return figures


async def run(path: str, events: int, users: int) -> None:
    admin: Any = redis.Redis(unix_socket_path=path, decode_responses=True)
    keys = Keys("scalix:")
    client = connect(f"unix://{path}", timeout_ms=30_000)
    ledger = LedgerReader(StoreSession(client, keys, timeout_ms=60_000))
    for number, size in (await bytes_per_event(client, admin, keys)).items():
        print(f"bytes per event, {number} of a user and day: {size:.0f}")
    today = time.time_ns() // 1_000_000 // DAY_MS
    first_day = today - DAYS + 1
    await asyncio.to_thread(load, admin, keys, events, users, first_day)
    reports: dict[str, Callable[[], Awaitable[object]]] = {
        f"sums by day, {DAYS} days": lambda: ledger.by_day(first_day, today),
        "sums by day, one day": lambda: ledger.by_day(today, today),
        "sums by hour, one day": lambda: ledger.by_hour(today * 24, today * 24 + 23),
        f"the first 10 of {users} users, one day": lambda: ledger.top(today, today, "cost", 10),
        f"the first 10 of {users} users, {DAYS} days": lambda: ledger.top(first_day, today, "cost", 10),
    }
    for name, work in reports.items():
        print(f"over {events} events: {name}: {await quietest_ms(work):.0f} ms")
    print(f"used_memory: {admin.info('memory')['used_memory'] / 2**20:.0f} MiB")
    await client.aclose()


def main() -> None:
    """Print every figure on a line of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000, help="how many events the sums are of")
    parser.add_argument("--users", type=int, default=20_000, help="how many users the rankings are of")
    options = parser.parse_args()
    with own_server() as (path, _):
        uvloop.run(run(path, options.events, options.users))


if __name__ == "__main__":
    main()
