"""Compares the time to a stream's first byte with that of LiteLLM alone, under light load."""

import statistics
from dataclasses import replace

from benchmarks import generator
from benchmarks.generator import Request
from benchmarks.loads.base import QUESTION, SYSTEM
from benchmarks.measure import percentile, summarise
from benchmarks.peers import PEERS
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import LIMITED
from benchmarks.processes import BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting

BASELINE = "litellm-packages"
PAIRS, QUICK_PAIRS = 120, 30
_DIRECTIVE = "[[demo words=5 gap_ms=5]]"


class FirstByte:
    """One stream at a time, the peers one after the other, in changing order."""

    name = "first-byte"
    title = "First byte of a stream"
    peers: tuple[str, ...] = ("litellm", BASELINE, "gateway")
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        requests = {name: _request(setting.running[name]) for name in self.peers if name in setting.running}
        seen: dict[str, list[float]] = {name: [] for name in requests}
        pairs = QUICK_PAIRS if setting.quick else PAIRS
        for number in range(-10, pairs):
            for name in list(requests) if number % 2 else reversed(requests):
                ms = _first_byte_ms(name, requests[name])
                if number >= 0:
                    seen[name].append(ms)
        rows, shown = [], {}
        for name, values in seen.items():
            later = [mine - its for mine, its in zip(values, seen.get(BASELINE, values), strict=True)]
            summary = summarise(values)
            rows.append(
                (
                    PEERS[name].title,
                    f"{summary.median:.2f}",
                    f"{percentile(values, 90):.2f}",
                    f"{statistics.median(later):+.2f}",
                )
            )
            shown[name] = statistics.median(later)
        about = (
            f"{pairs} streams each, one at a time, the peers by turns; the provider sends its first event at once. The "
            "difference is the median of the pairs' differences.\n\n"
        )
        header = ("", "first byte p50 ms", "p90 ms", "later than with the packages, ms")
        return Findings(about + table(header, rows), seen, {"first_byte_later_ms": shown.get("gateway", 0.0)})


def _request(running: Running) -> Request:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{QUESTION} {_DIRECTIVE}"}]
    body = {"model": running.model, "messages": messages, "user": LIMITED, "stream": True}
    return Request.build(running.port, "POST", "/v1/chat/completions", running.headers, body)


def _first_byte_ms(name: str, request: Request) -> float:
    answers = generator.run(replace(request), requests=1, concurrency=1)
    if answers.statuses != {200: 1} or not answers.streams_ended:
        raise BenchmarkError(f"{name}: a stream was answered {dict(answers.statuses)}")
    return answers.first_byte_ns[0] / 1e6
