"""Measures reports over 10 million events: `python -m benchmarks.reports`.

Writes the sums that settlements of so many events would have left, over 30 days, into an embedded store of its own, and
asks for every report as the gateway does, from the query to the JSON. Medians of 7; the bound is 1,000 ms of wall time.
On a busy machine the CPU time of gateway and store shows what it would be on a quiet one.
"""

import argparse
import asyncio
import contextlib
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import redis

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.ledger.ledger import Sums, name_word
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Window
from scalix.domain.policy import Policy, Tier
from scalix.launch.embedded.embedded_store import EmbeddedStore
from scalix.service.policy_source import PolicySource
from scalix.service.usage.report_names import REPORTS
from scalix.service.usage.reporting import Reporting
from scalix.store.connection.redis_client import StoreClient, connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.ledger.redis_ledger import READ_TIMEOUT_MS, LedgerReader
from scalix.store.records.redis_keys import KeyStore

EVENTS, DAYS, USERS = 10_000_000, 30, 20_000
RUNS = 7
_DAY_MS = 86_400_000
_TIERS = {"free": 5, "pro": 7, "premium": 15}  # how many of the models each has, as in the config that is shipped
_ENDINGS = (
    ("success", "", 0.955),
    ("client_cut", "", 0.02),
    ("cache_hit", "", 0.01),
    ("provider_failed", "timeout", 0.004),
    ("provider_failed", "provider_rate_limit", 0.004),
    ("provider_failed", "provider_down", 0.003),
    ("provider_refused", "content_filter", 0.002),
    ("provider_refused", "bad_request", 0.002),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Events that are summed together, and their share of all events."""

    words: str
    share: float


def kinds() -> list[Kind]:
    """Every model of every tier, with every ending."""
    pairs = [(tier, f"model-{number}") for tier, models in _TIERS.items() for number in range(models)]
    weights = [1 / (rank + 1) for rank in range(len(pairs))]
    found = []
    for (tier, model), weight in zip(pairs, weights, strict=True):
        for outcome, error, share in _ENDINGS:
            words = (name_word(model), f"provider-{model[-1]}", tier, outcome, name_word(error))
            found.append(Kind(" ".join(words), weight / sum(weights) * share))
    return found


def drawn(rng: random.Random, expected: float) -> int:
    """How many events of a kind one shard has on one day (Poisson, for many of them by its normal limit)."""
    if expected > 30:
        return max(0, round(rng.gauss(expected, math.sqrt(expected))))
    limit, product, number = math.exp(-expected), rng.random(), 0
    while product > limit:
        product *= rng.random()
        number += 1
    return number


def packed(events: int) -> str:
    """The sums of so many events of 500 tokens."""
    tokens = events * 500
    sums = Sums(
        events, events, tokens, tokens - 100, 100, 50, 10, tokens * 300, tokens * 200, tokens * 300, events * 900
    )
    return " ".join(map(str, sums.values()))


def fields_of(rng: random.Random, days: range) -> Iterator[tuple[str, int, int]]:
    """One shard's fields: kind, day, events."""
    each = EVENTS / DAYS / SHARDS
    for day in days:
        for kind in kinds():
            events = drawn(rng, each * kind.share)
            if events:
                yield kind.words, day, events


def fill(url: str, keys: Keys, days: range) -> tuple[int, int]:
    """Write all sums. Returns how many events and fields they are."""
    rng = random.Random(7)
    client = redis.Redis.from_url(url, socket_timeout=60)
    events = fields = 0
    for shard in range(SHARDS):
        pipeline = client.pipeline(transaction=False)
        for words, day, number in fields_of(rng, days):
            key = keys.day_sums(shard, window_index(Window.MONTH, day * _DAY_MS))
            pipeline.hset(key, f"{day} {words}", packed(number))
            events, fields = events + number, fields + 1
        pipeline.execute()
    for day in days:
        pipeline = client.pipeline(transaction=False)
        for number in range(USERS):
            subject = f"user:{number}"
            for by in ("tokens", "cost"):
                pipeline.zadd(keys.ranking(shard_of(subject), day, by), {subject: rng.randrange(10**9)})
        pipeline.execute()
    for day in days:
        key = keys.summaries("user:1", window_index(Window.MONTH, day * _DAY_MS))
        for number in range(15):
            client.hset(key, f"{day} model-{number} pro -", packed(10))
    client.close()
    return events, fields


@dataclass(frozen=True, slots=True)
class Taken:
    """What one report took, in ms: wall time, CPU time of the gateway's process and of the store."""

    wall: float
    gateway_cpu: float
    store_cpu: float


async def measure(url: str, keys: Keys) -> dict[str, list[Taken]]:
    """Every report, `RUNS` times."""
    client = connect(url, timeout_ms=READ_TIMEOUT_MS, connections=2)
    policy = PolicySource(Policy({"free": Tier("free")}, "free"))
    session = StoreSession(client, keys)
    reporting = Reporting(LedgerReader(session), policy, KeyStore(session), DeploymentSumStore(session))
    taken: dict[str, list[Taken]] = {}
    try:
        for name in REPORTS:
            query = {"user_id": "1"} if name in ("user", "key") else {}
            for _ in range(RUNS):
                store_s, cpu_s, began_s = await _store_cpu_s(client), time.process_time(), time.perf_counter()
                report = await reporting.report(name, query)
                orjson.dumps(report.as_json())
                wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
                store_s = await _store_cpu_s(client) - store_s
                taken.setdefault(name, []).append(Taken(wall_s * 1000, cpu_s * 1000, store_s * 1000))
                assert report.rows
    finally:
        await client.aclose()
    return taken


async def _store_cpu_s(client: StoreClient) -> float:
    facts = await client.info("cpu")
    return float(facts["used_cpu_user"]) + float(facts["used_cpu_sys"])


def main() -> None:
    """Print one line for each report."""
    argparse.ArgumentParser(prog="python -m benchmarks.reports", description=__doc__).parse_args()
    today = time.time_ns() // 1_000_000 // _DAY_MS
    keys = Keys("bench:")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context((folder / "log").open("wb"))
        if store := stack.enter_context(EmbeddedStore(folder / "state", output=log)):
            events, fields = fill(store.url, keys, range(today - DAYS + 1, today + 1))
            client = redis.Redis.from_url(store.url)
            mib = client.info("memory")["used_memory"] / 2**20
            client.close()
            print(f"{events:,} events of {DAYS} days in {fields:,} sums, {USERS:,} users a day; {mib:,.0f} MiB")
            for name, taken in asyncio.run(measure(store.url, keys)).items():
                wall, ours, theirs = (
                    statistics.median(column)
                    for column in zip(*((one.wall, one.gateway_cpu, one.store_cpu) for one in taken), strict=True)
                )
                most = max(one.wall for one in taken)
                print(
                    f"{name:10} {wall:6.0f} ms (at most {most:.0f}), CPU: gateway {ours:.0f} ms, store {theirs:.0f} ms"
                )


if __name__ == "__main__":
    main()
