"""What the ledger must say of requests, made from the provider's own log by the outcome table; and the comparison."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import redis

from scalix.domain.ledger.ledger import Event, event_of
from scalix.service.exchange.hidden_work import FASTEST_TOKENS_PER_S
from tests.e2e.chaos import Fate

FREE_ENDS = ("dropped", "empty")
BROKEN_OFF = ("cut", "reset", "error_event")
# A prompt of these tests is never estimated at more.
MOST_PROMPT_TOKENS = 300


@dataclass(frozen=True)
class Expected:
    """What one request's event may say. `optional`: there need not be one, as it may never have been admitted."""

    key: str
    outcomes: frozenset[str]
    requests: tuple[int, int]
    tokens: tuple[float, float]
    optional: bool = False

    def fits(self, event: Event) -> bool:
        """Whether the event says so."""
        return (
            event.outcome in self.outcomes
            and self.requests[0] <= event.requests <= self.requests[1]
            and self.tokens[0] <= event.tokens <= self.tokens[1]
        )


def near(tokens: int) -> tuple[float, float]:
    """Bounds of what we may count for so many tokens of the demo provider's, which counts words: for one request the
    error is far greater than for many."""
    return max(0, tokens / 2 - 24), tokens * 2 + 24


def expected_of(key: str, fate: Fate, entries: Sequence[Mapping[str, Any]], *, is_broken: bool = False) -> Expected:
    """The outcome table for one request: `entries` are the provider's of it, in order. `is_broken`: its worker may have
    died under it."""
    last = entries[-1] if entries else None
    if last is None:
        # The client left before it was forwarded, or its worker died.
        return Expected(key, LEFT | {"swept"}, (0, 1), (0, MOST_PROMPT_TOKENS), True)
    prompt, completion, delivered, outcome = (
        last[name] for name in ("prompt_tokens", "completion_tokens", "deltas", "outcome")
    )
    if is_broken:
        most = prompt + max(completion, delivered) + MOST_PROMPT_TOKENS
        return Expected(key, ANY, (0, 1), (0, most), optional=outcome.startswith("error_") or outcome in FREE_ENDS)
    if fate.leaves and outcome in ("complete", "client_left"):
        # Gone before the answer: all of it if the provider finished, else the prompt. In the middle of a stream: what
        # was delivered, counted by us, which is no more than what the provider has sent.
        # What may have been generated unseen in all that time comes on top, as far as the gateway can know.
        unseen = FASTEST_TOKENS_PER_S * (last["finished"] - last["time"] + 0.5)
        most = near(prompt + max(completion, delivered))[1] + unseen
        return Expected(key, LEFT if outcome == "client_left" else LEFT | {"success"}, (1, 1), (near(prompt)[0], most))
    if outcome == "complete" and fate.name in ("no usage", "absurd usage"):
        # Some clients of LiteLLM's end a stream with an error when its last chunk is absurd.
        broke = {"provider_broke"} if fate.name == "absurd usage" else set()
        return Expected(key, frozenset({"success"} | broke), (1, 1), near(prompt + completion))
    if outcome == "complete":
        return Expected(key, frozenset({"success"}), (1, 1), (prompt + completion, prompt + completion))
    if outcome == "error_400":
        return Expected(key, frozenset({"provider_refused"}), (1, 1), (0, 0))
    if outcome in BROKEN_OFF:
        return Expected(key, frozenset({"provider_broke"}), (1, 1), near(prompt + delivered))
    assert outcome.startswith("error_") or outcome in FREE_ENDS, outcome
    return Expected(key, frozenset({"provider_failed"}), (0, 0), (0, 0))


LEFT = frozenset({"client_left", "client_cut"})
ANY = frozenset(
    {"success", "client_left", "client_cut", "provider_broke", "provider_failed", "provider_refused", "swept"}
)


def by_key(entries: Iterable[Mapping[str, Any]], marker: str) -> dict[str, list[Mapping[str, Any]]]:
    """The provider's entries by the `marker-number-` in their prompts, in order."""
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        text = str(entry["body"])
        start = text.index(f"{marker}-")
        found[text[start : text.index("-", start + len(marker) + 1) + 1]].append(entry)
    return found


def mismatches(expected: Sequence[Expected], events: Sequence[Event]) -> list[str]:
    """Pairs every expectation with an event of its own, as far as that can be; what is left over, in words."""
    holder: dict[int, int] = {}  # event -> expectation

    @cache
    def fitting(kind: Expected) -> list[int]:
        return [number for number, event in enumerate(events) if kind.fits(event)]

    def place(one: int, tried: set[Expected]) -> bool:
        # Of thousands that are alike none has to make room for another, which could take no event that it could not.
        kind = replace(expected[one], key="")
        if kind in tried:
            return False
        tried.add(kind)
        for number in sorted(fitting(kind), key=holder.__contains__):
            if number not in holder or place(holder[number], tried):
                holder[number] = one
                return True
        return False

    # Who must have an event comes first: nobody gives a place up without another one.
    for one in sorted(range(len(expected)), key=lambda number: expected[number].optional):
        place(one, set())
    placed = set(holder.values())
    missing = [
        f"no event for {one}" for number, one in enumerate(expected) if number not in placed and not one.optional
    ]
    return missing + [f"nothing asked for {event}" for number, event in enumerate(events) if number not in holder]


class Ledger:
    """The events in a store, read past the gateway."""

    def __init__(self, client: redis.Redis, prefix: str = "scalix:") -> None:
        self._client = client
        self._prefix = prefix

    def events(self, users: str) -> dict[str, list[Event]]:
        """The events of all users whose name begins so, by user."""
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for name in self._client.scan_iter(f"{self._prefix}{{s??}}:e:user:{users}*", count=1000):
            subject = name.split(":e:", 1)[1].rpartition(":")[0]
            for request_id, text in self._client.hgetall(name).items():
                found[subject.removeprefix("user:")].append(event_of(request_id, subject, text))
        return found

    def twice(self) -> list[str]:
        """Request ids that are in the ledger more than once, whoever's."""
        ids: Counter[str] = Counter()
        for name in self._client.scan_iter(f"{self._prefix}{{s??}}:e:*", count=1000):
            ids.update(self._client.hkeys(name))
        return [request_id for request_id, count in ids.items() if count > 1]

    def in_flight(self) -> int:
        """How many requests are in flight."""
        indexes = [f"{self._prefix}{{s{shard:02x}}}:l" for shard in range(256)]
        pipeline = self._client.pipeline(transaction=False)
        for index in indexes:
            pipeline.zcard(index)
        return sum(pipeline.execute())
