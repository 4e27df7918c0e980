"""Measures what traces cost where they are on: two gateways by turns, of which one sends its spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.loads import LOADS
from benchmarks.measure import Contender, run_rounds
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import LIMITED, ScalixGateway
from benchmarks.processes import BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting
from benchmarks.texts import provider_text

# Requests of each round, by load: two spans of each, so that whole batches of 512 are sent within the round.
_REQUESTS = {"not-streamed": 1_024, "burst": 256}
_OFF, _ON = "off", "on"


class _Collector(BaseHTTPRequestHandler):
    """Takes spans by HTTP, and counts what it has taken."""

    taken_bytes = 0

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        self.rfile.read(size)
        type(self).taken_bytes += size
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said of each."""


@contextmanager
def _collecting() -> Iterator[str]:
    """An endpoint that takes spans, on the core of the clients."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Tracing:
    """A gateway without traces and one that records every request, by turns. Both have a line in the log for each."""

    name = "tracing"
    title = "Traces, on and off"
    peers: tuple[str, ...] = ()
    only_when_named = True

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        running: dict[str, Running] = {}
        with _collecting() as endpoint:
            try:
                for name, env in ((_OFF, {}), (_ON, {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})):
                    (setting.folder / name).mkdir()
                    peer = ScalixGateway(name, env=env)
                    running[name] = peer.start(setting.folder / name, setting.provider_url)
                found = {name: _measured(name, running, setting) for name in _REQUESTS}
            finally:
                for one in running.values():
                    one.stop()
        if not _Collector.taken_bytes:
            raise BenchmarkError("no span has come: are the packages of the extra `traces` installed?")
        return _findings(found, setting.rounds)


def _measured(load_name: str, running: dict[str, Running], setting: Setting) -> list[Contender]:
    load = LOADS[load_name]
    entry = next(one for one in load.entries if one.peer == "gateway" and one.body.get("user") == LIMITED)
    text = provider_text(setting.provider_url, load.body("gpt-4o-mini", entry)) if load.streamed else None
    contenders = [load.contender(entry, title, one, _REQUESTS[load.name], text) for title, one in running.items()]
    run_rounds(contenders, setting.rounds, setting.note)
    return contenders


def _findings(found: dict[str, list[Contender]], rounds: int) -> Findings:
    rows, shown = [], {}
    for name, (off, on) in found.items():
        ratio = on.cpu_ratio(off)
        shown[f"tracing {name}"] = ratio
        cpu_ms = [one.figure("cpu_ms").median for one in (off, on)]
        rows.append((LOADS[name].title, *(f"{value:.3f}" for value in cpu_ms), f"{ratio:.3f}"))
    about = (
        f"CPU of an answer, {rounds} rounds by turns; every request is recorded, and its spans are sent by HTTP as "
        "by default, in batches of 512. `×` is the median of the rounds' own ratios. "
        '`make bench ARGS="--only tracing --rounds 16"` makes it anew.\n\n'
    )
    raw = {name: {one.label: [asdict(turn) for turn in one.turns] for one in both} for name, both in found.items()}
    return Findings(about + table(("", "off, CPU ms", "on, CPU ms", "×"), rows), raw, shown)
