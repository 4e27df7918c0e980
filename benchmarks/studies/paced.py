"""Finds how many paced streams one worker holds on one core: `benchmarks.loads.paced` at rising numbers of streams."""

import time
from collections.abc import Callable
from dataclasses import asdict

from benchmarks.loads import paced
from benchmarks.loads.paced import Step
from benchmarks.measure import quiet_usage
from benchmarks.peers import PEERS
from benchmarks.peers.base import Running
from benchmarks.processes import BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting
from benchmarks.texts import provider_text

BASELINE = "litellm-packages"
# Where the search begins, by peer: near where it has ended before, which saves steps and changes nothing else.
_GUESSES = {BASELINE: 20, "gateway": 400}
# The answer lies between a number that was held and one that was not, at most this factor apart.
PRECISION = 1.1
MOST_STEPS = 6
_STRIDE = 1.3
_REST_S = 1.0


def search(measure: Callable[[int], Step], guess: int, precision: float, most_steps: int) -> list[Step]:
    """Measured steps, in order: from `guess` up or down by strides until the bound is enclosed, then between."""
    steps: list[Step] = []
    streams = guess
    while len(steps) < most_steps:
        steps.append(measure(streams))
        held = max((step.streams for step in steps if step.holds), default=0)
        lost = min((step.streams for step in steps if not step.holds), default=None)
        if lost is None:
            streams = max(held + 1, round(held * _STRIDE))
        elif not held:
            if lost <= 1:
                break
            streams = max(1, round(lost / _STRIDE))
        elif lost <= max(held + 1, held * precision):
            break
        else:
            streams = round((held * lost) ** 0.5)
            if streams in (held, lost):
                break
    return steps


def most_held(steps: list[Step]) -> int:
    """The largest number that was held below the smallest one that was not."""
    lost = min((step.streams for step in steps if not step.holds), default=1 << 30)
    return max((step.streams for step in steps if step.holds and step.streams < lost), default=0)


def token_cpu_ms(step: Step) -> float:
    """What a token of a paced stream takes of the peer's CPU."""
    return step.busy * paced.GAP_MS / step.streams


class Paced:
    """The search, peer by peer."""

    name = "paced"
    title = "Paced streams"
    peers: tuple[str, ...] = (BASELINE, "gateway")
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        text = provider_text(setting.provider_url, paced.body_of("gpt-4o-mini") | {"user": "benchmark"})
        hold_s, most_steps = (3.0, 3) if setting.quick else (paced.HOLD_S, MOST_STEPS)
        found: dict[str, list[Step]] = {}
        for name in self.peers:
            if name in setting.running:
                found[name] = self._search(setting, name, text, hold_s, most_steps)
        if len(found) < len(self.peers):
            raise BenchmarkError("paced streams need both peers")
        return _findings(found, hold_s)

    def _search(self, setting: Setting, name: str, text: str, hold_s: float, most_steps: int) -> list[Step]:
        running: Running = setting.running[name]

        def measure(streams: int) -> Step:
            step = paced.measure(running, streams, text, hold_s)
            setting.note(f"  {PEERS[name].title}, {streams} streams: {'held' if step.holds else 'not held'}, {step}")
            time.sleep(_REST_S)
            quiet_usage(running.roots)
            return step

        paced.measure(running, 4, text, 1.0)
        return search(measure, _GUESSES[name], PRECISION, most_steps)


def _findings(found: dict[str, list[Step]], hold_s: float) -> Findings:
    rows = [
        (
            f"{PEERS[name].title}: {step.streams} streams" + ("" if step.holds else ", not held"),
            f"{step.gap_p99_ms:.0f}",
            f"{step.first_token_p50_ms:.0f}",
            f"{step.first_token_p99_ms:.0f}",
            f"{step.busy:.2f}",
            f"{token_cpu_ms(step):.3f}",
            f"{step.events_per_token:.2f}",
        )
        for name, steps in found.items()
        for step in sorted(steps, key=lambda step: step.streams)
    ]
    stock, ours = most_held(found[BASELINE]), most_held(found["gateway"])
    times = f", {ours / stock:.1f} × as many" if stock else ""
    compared = sum(step.compared for steps in found.values() for step in steps)
    about = (
        f"{paced.WORDS} tokens at {1000 // paced.GAP_MS} tokens/s, held for {hold_s:.0f} s; bounds: p99 gap "
        f"{paced.MOST_GAP_P99_MS:.0f} ms, p99 first token {paced.MOST_FIRST_TOKEN_P99_MS / 1000:.0f} s. "
        f"**Held: {stock} streams by LiteLLM, {ours} by this gateway{times}.** The text of all "
        f"{compared} streams that ended whole was the provider's, byte for byte.\n\n"
    )
    header = ("", "p99 gap ms", "first token p50 ms", "p99 ms", "cores", "CPU ms per token", "events per token")
    raw = {name: [asdict(step) for step in steps] for name, steps in found.items()}
    shown = {"paced_streams": ours / stock} if stock else {}
    return Findings(about + table(header, rows), raw, shown | _token_shown(found))


def _token_shown(found: dict[str, list[Step]]) -> dict[str, float]:
    """What a token takes here and with LiteLLM, each at the most streams that it held."""
    at_most = {name: [step for step in steps if step.streams == most_held(steps)] for name, steps in found.items()}
    if not all(at_most.values()):
        return {}
    return {"paced_token": token_cpu_ms(at_most["gateway"][0]) / token_cpu_ms(at_most[BASELINE][0])}
