"""Counts what a page of requests, users, keys and audit costs: `python -m benchmarks.paging [--events 100000 1000000]`.

Fills a store of its own with events of 100,000 users over 30 days, in the form in which settlements leave them, and
asks for every view as the gateway does. Of each: commands and keys that the store was asked for, bytes both ways,
times, and the CPU time of gateway and store, which says on a busy machine what it would be on a quiet one. The bound is
300 ms for the 95th percentile, and keys are not to grow with the events.
"""

import argparse
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import uvloop

from benchmarks.measured_store import PREFIX, own_server
from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.ledger import READ_WHOLE, Detail, Event, event_words, last_words
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.policy import Policy, Tier
from scalix.service.identity.callers import THE_OPERATOR
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.service.usage.requests import Requests
from scalix.service.usage.usage import UsageReading
from scalix.service.usage.usage_events import UsageEvents
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.ledger.redis_requests import Place, RequestReader
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_limits import LimitTools
from scalix.store.records.redis_audit import AuditStore
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_users import UserStore

USERS, DAYS, RUNS = 100_000, 30, 40
BUSY = "busy"
"""A user with a tenth of all events."""
MODELS = ("free-gemini-flash", "scalix-engine", "gpt-4", "claude-3-opus")
_TOGETHER = 2_000


def drawn(count: int, now_ms: int) -> Iterator[Event]:
    """Events of the last days, spread over all users but for the busy one."""
    chance = random.Random(11)
    for number in range(count):
        user = BUSY if number % 10 == 0 else f"u{chance.randrange(USERS):08d}"
        model = chance.choice(MODELS)
        fails = chance.random() < 0.01
        detail = Detail(
            tier="free",
            model=model,
            served="" if fails else model,
            provider="openai",
            prompt_tokens=900,
            completion_tokens=300,
            cost_nano_usd=400_000,
            charge_nano_usd=480_000,
            price_version="2026-11-01",
            latency_ms=(took_ms := chance.randrange(300, 9_000)),
            first_token_ms=took_ms // 4,
            error="timeout" if fails else "",
            deployment=model,
            engine="direct",
        )
        at_ms = now_ms - chance.randrange(DAYS * DAY_MS)
        outcome = "provider_failed" if fails else "success"
        yield Event(f"{at_ms:012x}{number:020x}", f"user:{user}", at_ms, "", outcome, 1, 1_200, 480_000, False, detail)


def fill(admin: Any, keys: Keys, count: int, now_ms: int) -> None:
    """Write the events and their places, as lua/ledger.lua does, and a record for each user."""
    pipeline = admin.pipeline(transaction=False)
    many: dict[str, int] = {}
    for written, event in enumerate(drawn(count, now_ms)):
        day, name = event.admitted_ms // DAY_MS, keys.events(event.subject, event.admitted_ms)
        pipeline.hset(name, event.request_id, " ".join([*event_words(event), last_words(event.detail)]))
        member = f"{event.request_id} {event.subject}"
        pipeline.zadd(keys.in_time(shard_of(event.subject), day), {member: event.admitted_ms})
        many[name] = many.get(name, 0) + 1
        if event.subject == f"user:{BUSY}":
            pipeline.zadd(keys.events_in_time(event.subject, day), {event.request_id: event.admitted_ms})
        if not written % _TOGETHER:
            pipeline.execute()
    pipeline.execute()
    for number in range(-1, USERS):
        subject = f"user:u{number:08d}" if number >= 0 else f"user:{BUSY}"
        pipeline.hset(keys.record(subject), mapping={"version": "1", "created_ms": now_ms, "updated_ms": now_ms})
        pipeline.zadd(keys.user_names(subject), {subject.removeprefix("user:"): 0})
        if not number % _TOGETHER:
            pipeline.execute()
    pipeline.execute()
    for name, number in many.items():
        if number <= READ_WHOLE and name.split(":")[3] == BUSY:
            admin.delete(name.replace(":e:", ":et:"))


@contextmanager
def filled(count: int, *fills: Callable[[Any, Keys, int, int], None]) -> Iterator[tuple[str, int, Any]]:
    """A server of its own with so many events, and a client to it. Prints how much it holds."""
    with own_server() as (path, pid):
        admin, now_ms = redis.Redis(unix_socket_path=path, decode_responses=True), time.time_ns() // 1_000_000
        for one in fills:
            one(admin, Keys(PREFIX), count, now_ms)
        memory: Any = admin.info("memory")
        print(f"{count:,} events, {USERS:,} users, {memory['used_memory'] / 2**20:,.0f} MiB")
        yield path, pid, admin


@dataclass
class Counted:
    """A client's calls, counted."""

    client: Any
    commands: int = 0
    keys: int = 0
    asked: int = 0
    answered: int = 0
    _execute: Any = field(init=False)

    def __post_init__(self) -> None:
        self._execute, self.client.execute_command = self.client.execute_command, self._one

    def begin(self) -> None:
        self.commands = self.keys = self.asked = self.answered = 0

    async def _one(self, *words: Any, **options: Any) -> Any:
        answer = await self._execute(*words, **options)
        self.commands, self.keys = self.commands + 1, self.keys + (words[2] if words[0] == "EVALSHA" else 1)
        self.asked += _size(words)
        self.answered += _size(answer)
        return answer


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return _size(list(value)) + _size(list(value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else len(str(value))


def views(session: StoreSession) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Each listing as its route asks for it."""
    policy = PolicySource(Policy({"free": Tier("free")}, "free"))
    keys, users = KeyStore(session), UserStore(session)
    usage = UsageReading(
        LedgerReader(session), LimitTools(session), BalanceStore(session), UserDirectory(users, policy), policy, keys
    )
    requests = Requests(UsageEvents(RequestReader(session), usage, policy, keys))

    async def page(**query: str) -> Any:
        return await requests.page(THE_OPERATOR, query)

    async def tenth(**query: str) -> Any:
        found = await page(**query)
        for _ in range(9):
            found = await page(**query, cursor=found.next_cursor)
        return found

    known = list[str]()

    async def one() -> Any:
        if not known:
            known.append((await RequestReader(session).newest(_now(), 0, 1))[0].request_id)
        return await requests.one(THE_OPERATOR, known[0], {})

    return {
        "everybody's requests": page,
        "everybody's, failures": lambda: page(outcome="provider_failed"),
        "everybody's, a filter that nothing fits": lambda: page(model="none"),
        "everybody's, of 20 days ago": lambda: page(to=_day(20)),
        "ten pages of everybody's": tenth,
        "one user's, who is busy": lambda: page(user_id=BUSY),
        "one user's, of 20 days ago": lambda: page(user_id=BUSY, to=_day(20)),
        "one user's, who is not": lambda: page(user_id="u00000001"),
        "one request by its id": one,
        "users, by cursor": lambda: users.after("u00050000", "", 100),
        "users, by the beginning of the name": lambda: users.after("", "u0009", 100),
        "audit": lambda: AuditStore(session).before(None, 50),
    }


def cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1_000


def _now() -> Place:
    return Place(time.time_ns() // 1_000_000 + DAY_MS, "")


def _day(back: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - back * 86_400))


async def measure(path: str, keys: Keys, pid: int) -> list[str]:
    client = connect(f"unix://{path}", timeout_ms=30_000)
    counted = Counted(client)
    session = StoreSession(client, keys, timeout_ms=30_000)
    lines = []
    for name, view in views(session).items():
        times, store_us, ours_s = [], cpu_us(pid), time.process_time()
        for _ in range(RUNS):
            counted.begin()
            began_s = time.perf_counter()
            await view()
            times.append((time.perf_counter() - began_s) * 1_000)
        cpu_ms = (time.process_time() - ours_s) * 1_000 / RUNS, (cpu_us(pid) - store_us) / 1_000 / RUNS
        times.sort()
        figures = (
            f"{counted.commands:6} commands {counted.keys:6} keys {(counted.asked + counted.answered) / 1024:7.0f} KiB"
        )
        cpu = f"CPU: gateway {cpu_ms[0]:.0f} ms, store {cpu_ms[1]:.0f} ms"
        quantiles = f"p50 {times[RUNS // 2]:5.0f} ms  p95 {times[RUNS * 95 // 100]:5.0f} ms"
        lines.append(f"{name:40} {figures}  {quantiles}  {cpu}")
    await client.aclose()
    return lines


def main() -> None:
    """Print a line for each view, for each number of events."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paging", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000], help="how many there are")
    for count in parser.parse_args().events:
        with filled(count, fill) as (path, pid, _):
            print("\n".join(uvloop.run(measure(path, Keys(PREFIX), pid))), flush=True)


if __name__ == "__main__":
    main()
