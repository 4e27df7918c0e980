"""Measures what a second worker adds."""

import os
import statistics
from dataclasses import dataclass

from benchmarks import generator
from benchmarks.accounting import STORE_PROGRAMS, cpu_ns, read_stats, tree
from benchmarks.generator import Request
from benchmarks.loads import LOADS
from benchmarks.measure import percentile, quiet_usage
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import LIMITED, ScalixGateway
from benchmarks.processes import OTHER_CORES, PEER_CORES, BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting

CONNECTIONS = 64
REQUESTS, QUICK_REQUESTS = 400, 150
# With four cores or more: two for the gateway, the rest for the load, the provider and the store.
_CORES = sorted(PEER_CORES | OTHER_CORES)
HAS_ROOM = len(_CORES) >= 4


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement. `busiest` is the share of the workers' CPU that the busiest of them has used."""

    cpu_ms: float
    requests_per_s: float
    p99_ms: float
    busiest: float

    @property
    def capacity(self) -> float:
        """The requests per second at which the busiest worker fills its core."""
        return 1000 / (self.cpu_ms * self.busiest)


class Workers:
    """One and two workers on the same cores, by turns."""

    name = "workers"
    title = "One and two workers"
    peers: tuple[str, ...] = ()
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        cores = frozenset(_CORES[-2:])
        requests = QUICK_REQUESTS if setting.quick else REQUESTS
        running: dict[int, Running] = {}
        turns: dict[int, list[Turn]] = {1: [], 2: []}
        before = os.sched_getaffinity(0)
        try:
            for count in turns:
                place = setting.folder / f"workers-{count}"
                place.mkdir()
                peer = ScalixGateway(f"workers-{count}", workers=count, cores=cores)
                running[count] = peer.start(place, setting.provider_url)
            if HAS_ROOM:
                os.sched_setaffinity(0, set(_CORES[:-2]))
            for number in range(-1, setting.rounds):
                for count in turns if number % 2 else reversed(turns):
                    turn = _turn(running[count], requests)
                    if number >= 0:
                        turns[count].append(turn)
                        setting.note(f"  round {number + 1}: {count} workers: {turn}")
        finally:
            os.sched_setaffinity(0, before)
            for one in running.values():
                one.stop()
        return _findings(turns)


def _turn(running: Running, requests: int) -> Turn:
    before, quiet = _workers_ns(running), quiet_usage(running.roots)
    answers = generator.run(_request(running), requests=requests, concurrency=CONNECTIONS)
    if answers.statuses != {200: requests}:
        raise BenchmarkError(f"workers: {dict(answers.statuses)}")
    used = quiet_usage(running.roots).since(quiet).serving_cpu_ns
    after = _workers_ns(running)
    own = sorted(after[pid] - before.get(pid, 0) for pid in after)
    # The launcher and the mother have next to nothing to do; a worker is what has.
    return Turn(
        cpu_ms=used / 1e6 / requests,
        requests_per_s=requests / answers.wall_s,
        p99_ms=percentile(answers.whole_ns, 99) / 1e6,
        busiest=own[-1] / max(1, sum(own)),
    )


def _request(running: Running) -> Request:
    load = LOADS["not-streamed"]
    entry = next(entry for entry in load.entries if entry.peer == "gateway" and entry.body.get("user") == LIMITED)
    return load.contender(entry, "", running, 1).request


def _workers_ns(running: Running) -> dict[int, int]:
    stats = read_stats()
    members = [stat for stat in tree(running.process.pid, stats) if stat.program not in STORE_PROGRAMS]
    return {stat.pid: cpu_ns(stat) for stat in members}


def _findings(turns: dict[int, list[Turn]]) -> Findings:
    def median(count: int, name: str) -> float:
        return float(statistics.median(getattr(turn, name) for turn in turns[count]))

    capacity = statistics.median(two.capacity / one.capacity for one, two in zip(turns[1], turns[2], strict=True))
    measured: float = statistics.median(
        two.requests_per_s / one.requests_per_s for one, two in zip(turns[1], turns[2], strict=True)
    )
    rows = [
        (
            f"{count} worker{'s' if count > 1 else ''}",
            f"{median(count, 'cpu_ms'):.2f}",
            f"{100 * median(count, 'busiest'):.0f} %",
            f"{median(count, 'capacity'):.0f}",
            f"{median(count, 'requests_per_s'):.0f}",
            f"{median(count, 'p99_ms'):.0f}",
        )
        for count in turns
    ]
    rows.append(("two for one", "", "", f"{capacity:.2f} ×", f"{measured:.2f} ×", ""))
    room = (
        "The gateway has two cores, the load, the provider and the store have the others."
        if HAS_ROOM
        else "**This machine has two cores, and the gateway, the load, the provider and the store share them**, so "
        "requests/s say nothing of two workers with a core each. Capacity does: what the busiest worker used of CPU "
        "for its share of the requests, and so how many requests a second fill its core."
    )
    about = f"Answers that are not streamed, {CONNECTIONS} connections, {len(turns[1])} rounds by turns. {room}\n\n"
    header = ("", "CPU ms/request", "busiest worker's share", "capacity, requests/s", "requests/s here", "p99 ms")
    raw = {
        count: [[turn.cpu_ms, turn.requests_per_s, turn.p99_ms, turn.busiest] for turn in turns[count]]
        for count in turns
    }
    return Findings(about + table(header, rows), raw, {"two_workers": measured if HAS_ROOM else capacity})
