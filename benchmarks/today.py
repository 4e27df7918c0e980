"""Measures the report of today: `python -m benchmarks.today [--events 100000 1000000]`.

Fills a store of its own with what it reads (sums by hour, first bytes, rankings, who was there) of events of 100,000
users over 30 days, in the form in which settlements leave them. The bound is 300 ms for the 95th percentile, and keys
are not to grow with the events.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import uvloop

from benchmarks.measured_store import PREFIX
from benchmarks.paging import RUNS, Counted, drawn, filled
from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.first_bytes import first_byte_word
from scalix.domain.ledger.ledger import sums_of
from scalix.domain.ledger.people import Counts, after_days, numbers_text
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.domain.policy import Policy, Tier
from scalix.service.policy_source import PolicySource
from scalix.service.usage.days import Days
from scalix.service.usage.todays_figures import TodaysFigures
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.quota_wire import LETTER

_TOGETHER = 5_000


def fill(admin: Any, keys: Keys, count: int, now_ms: int) -> None:
    """Write what the events make."""
    hours: dict[tuple[str, str], list[int]] = {}  # sums by hour, by day, and each user's; windows
    first_bytes, costs = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    stays = defaultdict[str, set[int]](set)
    for event in drawn(count, now_ms):
        detail, shard, day = event.detail, shard_of(event.subject), event.admitted_ms // DAY_MS
        names = f"{detail.served or detail.model} openai free {event.outcome} {detail.error or '-'}"
        month, figures = window_index(Window.MONTH, event.admitted_ms), sums_of(event).values()
        for place in (
            (keys.hour_sums(shard, day), f"{event.admitted_ms // HOUR_MS} {names}"),
            (keys.day_sums(shard, month), f"{day} {names}"),
            (keys.summaries(event.subject, month), f"{day} {detail.served or detail.model} free -"),
        ):
            known = hours.get(place)
            hours[place] = list(figures) if known is None else list(map(int.__add__, known, figures))
        for word in first_byte_word(event).split():
            first_bytes[keys.first_bytes(shard, day), word] += 1
        costs[keys.ranking(shard, day, "cost"), event.subject] += detail.cost_nano_usd
        costs[keys.ranking(shard, day, "tokens"), event.subject] += event.tokens
        for window, letter in LETTER.items():
            place = (keys.windows(event.subject), f"{letter}{window_index(window, event.admitted_ms)}")
            if window is not Window.MINUTE:
                known = hours.get(place, [0] * 6)
                more = (event.requests, event.tokens, detail.charge_nano_usd, 0, 0, 0)
                hours[place] = list(map(int.__add__, known, more))
        stays[event.subject].add(day)
    numbers = defaultdict[str, Counts](Counter)
    texts = list[tuple[str, str, str]]()
    for subject, days in stays.items():
        person, name = after_days({"free": days}, None, 0), keys.people(subject)
        numbers[name].update(person.counts())
        texts.append((name, subject, person.text))
    for name, counts in numbers.items():
        by_day = defaultdict[int, dict[str, int]](dict)
        for (day, what), number in counts.items():
            by_day[day][what] = number
        texts += [(name, str(day), numbers_text(of_day)) for day, of_day in by_day.items()]
    texts += [(*place, " ".join(map(str, figures))) for place, figures in hours.items()]
    texts += [(*place, str(number)) for place, number in first_bytes.items()]
    _send(admin, (("HSET", *one) for one in texts))
    _send(admin, (("ZADD", name, cost, subject) for (name, subject), cost in costs.items()))


def _send(admin: Any, commands: Iterable[tuple[Any, ...]]) -> None:
    left: Iterator[tuple[Any, ...]] = iter(commands)
    while some := list(islice(left, _TOGETHER)):
        pipeline = admin.pipeline(transaction=False)
        for command in some:
            pipeline.execute_command(*command)
        pipeline.execute()


async def measure(path: str, keys: Keys) -> str:
    """One line for the views of a store."""
    client = connect(f"unix://{path}", timeout_ms=30_000)
    counted = Counted(client)
    session = StoreSession(client, keys, timeout_ms=30_000)
    policy = PolicySource(Policy({"free": Tier("free")}, "free"))
    ledger, figures = LedgerReader(session), FiguresStore(session)
    view = TodaysFigures(ledger, Days(ledger, figures, policy), policy)
    times, cpu = [], []
    for _ in range(RUNS + 1):
        counted.begin()
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        await view.today({})
        times.append((time.perf_counter() - began_s) * 1_000)
        cpu.append((time.process_time() - began_cpu_s) * 1_000)
    await client.aclose()
    first, *others = times
    others.sort()
    found = f"{counted.commands} commands, {counted.keys} keys, {counted.answered / 1024:,.0f} KiB"
    p50, p95 = others[RUNS // 2], others[RUNS * 95 // 100]
    took = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, lowest {others[0]:.0f} ms, CPU of the client {min(cpu[1:]):.0f} ms"
    return f"  {found}; {took}; the first, which adds up 29 days: {first:,.0f} ms, CPU {cpu[0]:,.0f} ms"


def main() -> None:
    """Print a line for each number of events."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.today", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000], help="how many there are")
    for count in parser.parse_args().events:
        with filled(count, fill) as (path, _, _):
            print(uvloop.run(measure(path, Keys(PREFIX))), flush=True)


if __name__ == "__main__":
    main()
