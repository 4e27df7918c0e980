"""Requests of many users over every route that go wrong in every way, and the ledger held against the provider."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import psutil
import redis

from tests.demo_server import DemoServer
from tests.e2e.calls import Bench, Way, read_until
from tests.e2e.chaos import FATES, Fate
from tests.e2e.gateways import ROOT, Gateway
from tests.e2e.ledger_truth import Expected, Ledger, by_key, expected_of, mismatches

SETTLED_WITHIN_S = 5.0


@dataclass(frozen=True)
class Plan:
    """One request to come."""

    key: str
    user: str
    fate: Fate
    way: Way
    directives: str


@dataclass
class Soak:
    """`count` requests of `users`, `at_once` at a time. `acts` are done when that part of them has been begun."""

    gateway: Gateway
    provider: DemoServer
    http: httpx.Client
    users: list[str]
    marker: str
    seed: int
    count: int
    at_once: int = 10
    acts: Mapping[float, Callable[[], None]] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # whose worker may have died under them
    left: list[tuple[str, float, float]] = field(default_factory=list)  # by their clients: key, begun, left
    acted: list[tuple[float, float]] = field(default_factory=list)

    def run(self) -> None:
        """Send them all."""
        chooser = random.Random(self.seed)
        for number in range(self.count):
            fate = chooser.choice(FATES)
            key = f"{self.marker}-{number:05d}-"
            directives = fate.directives.format(words=chooser.randrange(2, 60), key=key.strip("-"))
            way = chooser.choice(fate.ways)
            self.plans.append(Plan(key, chooser.choice(self.users), fate, way, directives))
        acts = {int(part * self.count): act for part, act in self.acts.items()}
        lock, begun = threading.Lock(), 0

        def one(plan: Plan) -> None:
            nonlocal begun
            with lock:
                begun += 1
                act = acts.get(begun)
            if act is not None:
                begun_s = time.monotonic()
                act()
                self.acted.append((begun_s, time.monotonic()))
            begun_s = time.monotonic()
            try:
                self._send(plan)
            except (httpx.TransportError, OSError, AssertionError):
                self.broken.add(plan.key)
            if plan.fate.leaves:
                self.left.append((plan.key, begun_s, time.monotonic()))

        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(one, self.plans))
        # A client that leaves does not see how its request ends: with its worker, maybe.
        for key, begun_s, left_s in self.left:
            if any(begun_s <= ended_s and began_s <= left_s + SETTLED_WITHIN_S for began_s, ended_s in self.acted):
                self.broken.add(key)

    def _send(self, plan: Plan) -> None:
        route, model, stream = plan.way
        bench = Bench(self.gateway, self.provider, self.http, plan.user, plan.key)
        if not plan.fate.leaves:
            bench.post(route, plan.directives, model=model, stream=stream)
            return
        newest = self.provider.last_seq()
        with bench.open(route, plan.directives, model=model, stream=stream) as connection:
            if plan.fate.leaves == "midway":
                read_until(connection, b" demo", 2)
            else:
                # After the newest alone: the log of so many requests is long.
                self._wait_for_provider(plan.key, newest)

    def _wait_for_provider(self, key: str, since: int) -> None:
        deadline = time.monotonic() + 10
        while not self.provider.requests(contains=key, since=since, bodies=False):
            assert time.monotonic() < deadline, "the provider was never asked"
            time.sleep(0.005)

    def expected(self) -> dict[str, list[Expected]]:
        """What the provider's log makes of them, by user."""
        entries = by_key(self.provider.requests(contains=self.marker, settled=1, wait_s=60), self.marker)
        found: dict[str, list[Expected]] = {user: [] for user in self.users}
        for plan in self.plans:
            one = expected_of(plan.key, plan.fate, entries.get(plan.key, []), is_broken=plan.key in self.broken)
            found[plan.user].append(one)
        return found

    def disagreements(self, ledger: Ledger, users: str) -> list[str]:
        """Where the ledger does not say what the provider's log says, of every user."""
        events, found = ledger.events(users), []
        for user, expected in self.expected().items():
            wrong = mismatches(expected, events.get(user, []))
            if wrong:
                found += [f"{user}: {what}" for what in wrong]
                print(*expected, *events.get(user, []), sep="\n  ")
        return found


def settled(ledger: Ledger, within_s: float) -> None:
    """Return when nothing is in flight."""
    deadline = time.monotonic() + within_s
    while ledger.in_flight():
        assert time.monotonic() < deadline, f"{ledger.in_flight()} requests are still in flight"
        time.sleep(0.1)


def verify(gateway: Gateway, *more: str) -> "subprocess.CompletedProcess[str]":
    """`scalix ledger verify`, as an operator runs it."""
    return subprocess.run(
        [sys.executable, "-m", "scalix", "--url", gateway.url, "ledger", "verify", *more],
        env=gateway.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )


def store_of(gateway: Gateway) -> redis.Redis:
    """The gateway's embedded store."""
    (path,) = gateway.state_dir.rglob("*.sock")
    return redis.Redis(unix_socket_path=str(path), decode_responses=True)


def store_process(gateway: Gateway) -> psutil.Process:
    """The process of the embedded store."""
    servers = [child for child in gateway.launcher().children() if "server" in child.name()]
    (server,) = servers
    return server
