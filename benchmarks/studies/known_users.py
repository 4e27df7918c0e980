"""Compares the cost of a request with one, a thousand and a million known users."""

import random
import statistics
import time

from benchmarks.generator import Request
from benchmarks.loads import LOADS
from benchmarks.loads.base import CONCURRENCY
from benchmarks.measure import Contender, run_rounds
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import ScalixGateway, ask, create_user
from benchmarks.peers.redis_server import start_redis
from benchmarks.processes import stop
from benchmarks.report import ratio, spread, table
from benchmarks.studies.base import Findings, Setting
from benchmarks.studies.preload import preload, user_name

MILLION, QUICK_MILLION = 1_000_000, 50_000
REQUESTS, QUICK_REQUESTS = 250, 100
TEMPLATE = "known-example"
_SEED = 20_26


class KnownUsers:
    """Two gateways with a store each, of which one holds a million users; a request of one user to either, and of users
    picked at random from a thousand and from all."""

    name = "known-users"
    title = "One, a thousand, a million known users"
    peers: tuple[str, ...] = ()
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        many = QUICK_MILLION if setting.quick else MILLION
        requests = QUICK_REQUESTS if setting.quick else REQUESTS
        gateways: list[tuple[Running, int]] = []
        stack = []
        try:
            for name in ("few", "many"):
                place = setting.folder / name
                place.mkdir()
                process, port = start_redis(place)
                stack.append(process)
                env = {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
                running = ScalixGateway(name, env=env).start(place, setting.provider_url)
                running.beside.append(process)
                create_user(f"http://127.0.0.1:{running.port}", TEMPLATE, "pro")
                ask(f"http://127.0.0.1:{running.port}", TEMPLATE)
                gateways.append((running, port))
            began_s = time.monotonic()
            keys = preload(gateways[1][1], TEMPLATE, many)
            setting.note(f"  {many} users of {keys} keys each in {time.monotonic() - began_s:.0f} s")
            contenders = _contenders(gateways[0][0], gateways[1][0], many, requests, setting.rounds)
            run_rounds(contenders, setting.rounds, setting.note)
        finally:
            for running, _ in gateways:
                running.stop()
            for process in stack:
                stop(process)
        return _findings(contenders, keys, requests, setting.rounds)


def _contenders(few: Running, many: Running, users: int, requests: int, rounds: int) -> list[Contender]:
    picks = random.Random(_SEED)
    turns = requests * (rounds + 1)

    def row(label: str, running: Running, names: list[str]) -> Contender:
        load = LOADS["not-streamed"]
        entry = next(entry for entry in load.entries if entry.peer == "gateway")
        built = [
            Request.build(
                running.port,
                "POST",
                "/v1/chat/completions",
                running.headers,
                load.body(running.model, entry) | {"user": name},
            )
            for name in names
        ]
        return Contender(label, Request.circle(built), requests, CONCURRENCY, running.roots)

    thousand = [user_name(picks.randrange(1_000)) for _ in range(turns)]
    anybody = [user_name(number) for number in picks.sample(range(users), min(turns, users))]
    return [
        row("one user known, and calling", few, [TEMPLATE]),
        row(f"{users:,} known, one calls", many, [TEMPLATE]),
        row(f"{users:,} known, a thousand call", many, thousand),
        row(f"{users:,} known, each request is another's", many, anybody),
    ]


def _findings(contenders: list[Contender], keys: int, requests: int, rounds: int) -> Findings:
    base = contenders[0]

    def both(contender: Contender) -> float:
        pairs = zip(contender.turns, base.turns, strict=True)
        return statistics.median((a.cpu_ms + a.store_cpu_ms) / (b.cpu_ms + b.store_cpu_ms) for a, b in pairs)

    rows = [
        (
            contender.label,
            spread(contender.figure("cpu_ms"), 2),
            f"{contender.cpu_ratio(base):.3f}",
            f"{contender.figure('store_cpu_ms').median:.3f}",
            ratio(both(contender)),
            f"{contender.figure('requests_per_s').median:.0f}",
        )
        for contender in contenders
    ]
    about = (
        f"Answers that are not streamed, of users of the tier `pro`; {rounds} rounds of {requests} requests by turns. "
        f"The many are copies, {keys} keys each, of a user that has made a request; each gateway has a Valkey of its "
        "own without persistence.\n\n"
    )
    header = ("", "CPU ms/request", "× one user's", "store CPU ms", "with the store, ×", "requests/s")
    raw = {c.label: [[turn.cpu_ms, turn.store_cpu_ms] for turn in c.turns] for c in contenders}
    shown = {"million_users": contenders[1].cpu_ratio(base), "million_users_cold": contenders[3].cpu_ratio(base)}
    return Findings(about + table(header, rows), raw, shown)
