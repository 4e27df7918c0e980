"""Requests that go wrong in every way, at random but from a seed, and what the outcome table says they cost."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.calls import STREAMED_WAYS, WAYS, WHOLE_WAYS, Bench, Way, read_until

# Where we count ourselves, another tokenizer than the demo provider's counts: this far off, and this many tokens more.
COUNTING_ERROR, COUNTING_TOKENS = 0.35, 16


@dataclass(frozen=True)
class Fate:
    """One way for a request to go. `leaves`: the client does, and when."""

    name: str
    directives: str
    ways: Sequence[Way] = tuple(WAYS)
    leaves: str = ""


FATES = (
    Fate("success", "words={words}"),
    Fate("success", "words={words} cached=3 reasoning=4", [way for way in WAYS if way[0] != "embeddings"]),
    Fate("slow", "words={words} delay_ms=40 gap_ms=1"),
    Fate("late usage", "words={words} usage=late", STREAMED_WAYS),
    Fate("client cuts", "words=900 gap_ms=3", STREAMED_WAYS, "midway"),
    Fate("client leaves before the first byte", "words={words} delay_ms=60", STREAMED_WAYS, "early"),
    Fate("client leaves before the answer", "words={words} delay_ms=60", WHOLE_WAYS, "early"),
    Fate("502", "status=502"),
    Fate("timeout", "status=504"),
    Fate("429", "status=429 retry_after=9"),
    Fate("refused", "status=400"),
    Fate("no connection", "drop=1"),
    Fate("reset", "words=60 gap_ms=1 reset_after=15", STREAMED_WAYS),
    Fate("cut", "words=60 gap_ms=1 cut_after=15", STREAMED_WAYS),
    Fate("error event", "words=60 gap_ms=1 error_after=15", STREAMED_WAYS),
    Fate("empty", "empty=1"),
    Fate("no usage", "words={words} usage=none"),
    Fate("absurd usage", "words={words} usage=string"),
    Fate("second attempt", "statuses=500,200 key={key} words={words}"),
)


@dataclass
class Sums:
    """Bounds of what the counters may say."""

    least_requests: int = 0
    most_requests: int = 0
    least_tokens: float = 0
    most_tokens: float = 0

    def add(self, requests: tuple[int, int], least_tokens: float, most_tokens: float) -> None:
        self.least_requests += requests[0]
        self.most_requests += requests[1]
        self.least_tokens += least_tokens
        self.most_tokens += most_tokens


@dataclass
class Chaos:
    """Sends `count` requests of `bench.user`, `at_once` at a time."""

    bench: Bench
    seed: int
    count: int
    at_once: int = 10
    sent: dict[str, Fate] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # whose worker may have died under them

    def run(self, *, midway: Callable[[], None] = lambda: None) -> None:
        """Sends them all; `midway` is called once, when half of them have been begun."""
        chooser = random.Random(self.seed)
        plans = []
        for number in range(self.count):
            fate = chooser.choice(FATES)
            way = chooser.choice(fate.ways)
            key = f"{self.bench.marker}-{number:04d}-"
            words = chooser.randrange(2, 60)
            plans.append((key, fate, way, fate.directives.format(words=words, key=key.strip("-"))))
            self.sent[key] = fate
        begun = 0
        lock = threading.Lock()

        def one(plan: tuple[str, Fate, Way, str]) -> None:
            nonlocal begun
            with lock:
                begun += 1
                is_half = begun == self.count // 2
            if is_half:
                midway()
            try:
                self._send(*plan)
            except (httpx.TransportError, OSError, AssertionError):
                self.broken.add(plan[0])

        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(one, plans))

    def _send(self, key: str, fate: Fate, way: Way, directives: str) -> None:
        route, model, stream = way
        bench = Bench(self.bench.gateway, self.bench.provider, self.bench.http, self.bench.user, key)
        if not fate.leaves:
            bench.post(route, directives, model=model, stream=stream)
            return
        with bench.open(route, directives, model=model, stream=stream) as connection:
            if fate.leaves == "midway":
                read_until(connection, b" demo", 2)
            else:
                bench.wait_for_provider()

    def expected(self) -> Sums:
        """What the outcome table makes of the provider's own log."""
        entries = self.bench.provider.requests(contains=self.bench.marker, settled=1)
        last: dict[str, dict[str, Any]] = {}
        for entry in entries:
            text = str(entry["body"])
            start = text.index(self.bench.marker)
            last[text[start : start + len(self.bench.marker) + 6]] = entry
        sums = Sums()
        for key, fate in self.sent.items():
            _add(sums, fate, last.get(key), is_broken=key in self.broken)
        return sums


def _add(sums: Sums, fate: Fate, entry: dict[str, Any] | None, *, is_broken: bool) -> None:
    if entry is None:
        # Never forwarded. Had its worker died first, a sweep may have charged the estimate of its prompt.
        sums.add((0, 1 if is_broken else 0), 0, 200 if is_broken else 0)
        return
    prompt, completion, delivered = entry["prompt_tokens"], entry["completion_tokens"], entry["deltas"]
    outcome = entry["outcome"]
    if is_broken:
        # Swept at the estimate of its prompt, or settled before its worker died, in whatever way.
        is_free = outcome.startswith("error_") or outcome in ("dropped", "empty")
        sums.add((0 if is_free else 1, 1), 0, prompt + max(completion, delivered) + 300)
    elif outcome == "complete" and fate.name in ("no usage", "absurd usage"):
        sums.add((1, 1), *near(prompt + completion))
    elif outcome == "complete":
        sums.add((1, 1), prompt + completion, prompt + completion)
    elif outcome == "error_400":
        sums.add((1, 1), 0, 0)
    elif outcome == "client_left":
        least, most = near(prompt)
        sums.add((1, 1), least, most + delivered)
    elif outcome in ("cut", "reset", "error_event"):
        sums.add((1, 1), *near(prompt + delivered))
    else:
        assert outcome.startswith("error_") or outcome in ("dropped", "empty"), outcome


def near(tokens: int) -> tuple[float, float]:
    """Bounds of what we may count for so many tokens of the demo provider's."""
    error = max(COUNTING_TOKENS, COUNTING_ERROR * tokens)
    return max(0, tokens - error), tokens + error
