"""Peers take turns: one measurement of each per round, and the medians of all rounds with their spread."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import generator
from benchmarks.accounting import Usage, usage
from benchmarks.generator import Answers, Request
from benchmarks.processes import BenchmarkError
from benchmarks.texts import check_texts

QUIET_CPU_NS = 3_000_000
QUIET_STEP_S = 0.05
QUIET_TIMEOUT_S = 3.0
# Fewer than these are shown in the table and do not stop a run that has taken minutes.
MOST_WRONG = 0.02


@dataclass(frozen=True, slots=True)
class Summary:
    """A median, with the lowest and the highest value."""

    median: float
    least: float
    most: float


def summarise(values: Sequence[float]) -> Summary:
    """Raises ValueError without values."""
    if not values:
        raise ValueError("there is nothing to summarise")
    return Summary(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile. Raises ValueError without values."""
    if not values:
        raise ValueError("there is nothing to rank")
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement of one entry, per request; times in ms."""

    cpu_ms: float
    store_cpu_ms: float
    requests_per_s: float
    whole_p50_ms: float
    whole_p99_ms: float
    first_byte_p50_ms: float
    rss_mib: float


def turn(answers: Answers, used: Usage) -> Turn:
    """The figures of one measurement."""
    count = sum(answers.statuses.values())
    return Turn(
        cpu_ms=used.serving_cpu_ns / 1e6 / count,
        store_cpu_ms=used.store_cpu_ns / 1e6 / count,
        requests_per_s=count / answers.wall_s,
        whole_p50_ms=percentile(answers.whole_ns, 50) / 1e6,
        whole_p99_ms=percentile(answers.whole_ns, 99) / 1e6,
        first_byte_p50_ms=percentile(answers.first_byte_ns, 50) / 1e6,
        rss_mib=used.rss_bytes / 2**20,
    )


@dataclass(slots=True)
class Contender:
    """One row of a table: what is sent to which peer, how often, and what must come back.

    `roots` are the peer's processes; `statuses` are right answers, none meaning any refusal (4xx, 5xx);
    `streamed` is what share of them are streams. With a `text`,
    every stream's text put together must be that, byte for byte.
    """

    label: str
    request: Request
    requests: int
    concurrency: int
    roots: Sequence[int]
    statuses: frozenset[int] = frozenset({200})
    streamed: float = 0.0
    text: str | None = None
    sent: int = 0
    seen: Counter[int] = field(default_factory=Counter)
    turns: list[Turn] = field(default_factory=list)

    def figure(self, name: str) -> Summary:
        """A figure of `Turn` over all rounds."""
        return summarise([getattr(one, name) for one in self.turns])

    def cpu_ratio(self, baseline: "Contender") -> float:
        """CPU per request over that of `baseline`: the median of the rounds' ratios.

        If the machine is slower for a while (shared cores, heat), both sides of a round are affected.
        """
        pairs = zip(self.turns, baseline.turns, strict=True)
        return statistics.median(mine.cpu_ms / its.cpu_ms for mine, its in pairs)


def run_rounds(contenders: Sequence[Contender], rounds: int, note: Callable[[str], None]) -> None:
    """Warm each up, then measure each once per round. Every other round runs in reverse order, so that none always
    follows the same one. Raises `BenchmarkError` when more than `MOST_WRONG` of the answers are wrong."""
    for contender in contenders:
        _send(contender, max(contender.concurrency * 2, contender.requests // 2), note)
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            before = quiet_usage(contender.roots)
            answers = _send(contender, contender.requests, note)
            used = quiet_usage(contender.roots).since(before)
            contender.seen += answers.statuses
            contender.turns.append(turn(answers, used))
            note(f"  round {number + 1}: {contender.label}: {contender.turns[-1].cpu_ms:.3f} ms")


def _send(contender: Contender, requests: int, note: Callable[[str], None]) -> Answers:
    try:
        answers = generator.run(
            contender.request,
            requests=requests,
            concurrency=contender.concurrency,
            first=contender.sent,
            keeps_all=contender.text is not None,
        )
    except (OSError, TimeoutError) as error:
        raise BenchmarkError(f"{contender.label}: {type(error).__name__}: {error}") from None
    contender.sent += requests
    wrong = {status: count for status, count in answers.statuses.items() if not _is_right(contender, status)}
    if wrong:
        sample = answers.samples[next(iter(wrong))][:400].decode(errors="replace")
        note(f"  {contender.label}: wrong statuses {wrong}, one body: {sample}")
    missing = max(0, round(requests * contender.streamed) - answers.streams_ended - sum(wrong.values()))
    bad = sum(wrong.values()) + answers.broken + missing
    if bad > requests * MOST_WRONG:
        what = f"{sum(wrong.values())} wrong statuses, {answers.broken} broken, {missing} streams without an end"
        raise BenchmarkError(f"{contender.label}: of {requests} answers {what}")
    if contender.text is not None:
        check_texts(contender.label, answers.bodies, contender.text)
    return answers


def _is_right(contender: Contender, status: int) -> bool:
    return status in contender.statuses if contender.statuses else status >= 400


def quiet_usage(roots: Sequence[int]) -> Usage:
    """The usage so far of the process trees under `roots`, once the work after the answers (callbacks, settlement)
    is done."""
    deadline_s = time.monotonic() + QUIET_TIMEOUT_S
    before = usage(roots)
    while time.monotonic() < deadline_s:
        time.sleep(QUIET_STEP_S)
        now = usage(roots)
        if now.since(before).serving_cpu_ns < QUIET_CPU_NS:
            return now
        before = now
    return before
