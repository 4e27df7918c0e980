"""Compares what paced streams cost with what they cost routers in Rust, at a number that all hold."""

import time
from dataclasses import asdict

from benchmarks.loads import paced
from benchmarks.loads.paced import Step
from benchmarks.measure import quiet_usage, summarise
from benchmarks.peers import PEERS
from benchmarks.report import spread, table
from benchmarks.studies.base import Findings, Setting
from benchmarks.studies.paced import token_cpu_ms
from benchmarks.texts import provider_text

# How many the routers would hold can't be told here: the provider and the clients, on one core, would end it.
STREAMS = 96
ROUNDS, QUICK_ROUNDS = 3, 2
_REST_S = 1.0


class PacedBeside:
    """The same number of streams at each, by turns."""

    name = "paced-beside"
    title = "Paced streams, beside routers in Rust"
    peers: tuple[str, ...] = ("vllm-router", "sglang-router", "gateway")
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        text = provider_text(setting.provider_url, paced.body_of("gpt-4o-mini") | {"user": "benchmark"})
        seen: dict[str, list[Step]] = {name: [] for name in self.peers}
        for number in range(QUICK_ROUNDS if setting.quick else ROUNDS):
            for name in self.peers if number % 2 else reversed(self.peers):
                running = setting.running[name]
                seen[name].append(paced.measure(running, STREAMS, text, 3.0 if setting.quick else paced.HOLD_S))
                setting.note(f"  {PEERS[name].title}: {seen[name][-1]}")
                time.sleep(_REST_S)
                quiet_usage(running.roots)
        rows = [
            (
                PEERS[name].title,
                spread(summarise([token_cpu_ms(step) for step in steps]), 3),
                f"{summarise([step.busy for step in steps]).median:.2f}",
                f"{summarise([step.gap_p99_ms for step in steps]).median:.0f}",
                f"{summarise([step.first_token_p99_ms for step in steps]).median:.0f}",
                f"{summarise([step.events_per_token for step in steps]).median:.2f}",
            )
            for name, steps in seen.items()
        ]
        about = (
            f"{STREAMS} streams of {1000 // paced.GAP_MS} tokens/s at each, in turn. The routers know no users, limits"
            " or prices: they pass on what they read. How many they would hold can't be told on this machine, where"
            " the provider and the clients share the other core.\n\n"
        )
        header = ("", "CPU ms per token", "cores", "p99 gap ms", "first token p99 ms", "events per token")
        raw = {name: [asdict(step) for step in steps] for name, steps in seen.items()}
        return Findings(about + table(header, rows), raw, {})
