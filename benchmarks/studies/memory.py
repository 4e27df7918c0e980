"""Compares a worker's resident memory after few and after many requests."""

from benchmarks import generator
from benchmarks.accounting import usage
from benchmarks.generator import Request
from benchmarks.loads import LOADS
from benchmarks.loads.base import CONCURRENCY
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import ScalixGateway, create_user
from benchmarks.processes import OTHER_CORES, PEER_CORES, BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting

QUICK_FEW, QUICK_MANY = 300, 1_500
_AT_ONCE = 1_000
_STREAMED = 10  # one of so many requests is a stream
_USERS = 100
_NUMBERS = {1: "One worker", 2: "Two workers"}


class Memory:
    """One gateway takes requests of many users, streamed ones among them, all of them answered."""

    peers: tuple[str, ...] = ()

    def __init__(
        self, name: str, title: str, few: int, many: int, *, workers: int = 1, only_when_named: bool = False
    ) -> None:
        self.name, self.title = name, title
        self._workers = workers
        self.only_when_named = only_when_named
        self._few, self._many = few, many

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        few, many = (QUICK_FEW, QUICK_MANY) if setting.quick else (self._few, self._many)
        place = setting.folder / self.name
        place.mkdir()
        cores = frozenset(PEER_CORES if self._workers == 1 else PEER_CORES | OTHER_CORES)
        peer = ScalixGateway(self.name, workers=self._workers, cores=cores)
        running = peer.start(place, setting.provider_url)
        seen: list[tuple[int, float]] = [(0, _mib(running))]
        try:
            sent = 0
            for number in range(_USERS):
                create_user(f"http://127.0.0.1:{running.port}", _user(number), "pro")
            request = _mixed(running)
            while sent < many:
                step = min(_AT_ONCE, many - sent, few - sent if sent < few else many)
                answers = generator.run(request, requests=step, concurrency=CONCURRENCY * self._workers, first=sent)
                if answers.statuses != {200: step}:
                    raise BenchmarkError(f"memory: {dict(answers.statuses)}")
                sent += step
                seen.append((sent, _mib(running)))
                setting.note(f"  {sent} requests: {seen[-1][1]:.1f} MiB")
        finally:
            running.stop()
        at = dict(seen)
        growth = at[many] / at[few] - 1
        rows = [
            ("before the first", f"{at[0]:.1f}", ""),
            (f"{few:,}", f"{at[few]:.1f}", ""),
            *(
                (f"{count:,}", f"{at[count]:.1f}", f"{100 * (at[count] / at[few] - 1):+.1f} %")
                for count in _between(at, few)
            ),
        ]
        who = _NUMBERS[self._workers]
        about = f"{who} with the launcher; admitted requests of {_USERS} users, every {_STREAMED}th a stream.\n\n"
        header = ("requests", "MiB", f"against {few:,}")
        return Findings(about + table(header, rows), seen, {f"{self.name}_growth": growth})


SHORT = Memory("memory", "Resident memory, a tenth of the requests", 2_000, 20_000)
LONG = Memory("memory-200k", "Resident memory", 20_000, 200_000, workers=2, only_when_named=True)


def _between(at: dict[int, float], few: int) -> list[int]:
    """Some of the numbers of requests after `few`, the last one among them."""
    later = [count for count in at if count > few]
    step = max(1, len(later) // 4)
    return sorted({*later[step - 1 :: step], later[-1]})


def _mib(running: Running) -> float:
    return usage(running.roots).rss_bytes / 2**20


def _user(number: int) -> str:
    return f"memory-{number}"


def _mixed(running: Running) -> Request:
    load = LOADS["not-streamed"]
    entry = next(entry for entry in load.entries if entry.peer == "gateway")
    built = []
    for number in range(_USERS):
        body = load.body(running.model, entry) | {"user": _user(number)}
        if number % _STREAMED == 0:
            body["stream"] = True
        built.append(Request.build(running.port, "POST", "/v1/chat/completions", running.headers, body))
    return Request.circle(built)
