"""A load: what is sent, to which peers, how often, and the title of its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.generator import Request
from benchmarks.measure import Contender
from benchmarks.peers.base import Running

CONCURRENCY = 8
SYSTEM = (
    "You are a careful programming assistant inside a code editor. Answer with code where code is asked for, and with "
    "one short paragraph of reasons. Keep the names and the style of the code that you are shown."
)
QUESTION = (
    "Here is a function that reads a file line by line and counts the words in it. Make it read from any iterable of "
    "strings, keep its type annotations, and say in one sentence what else changes for its callers."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a peer, and what is special about the request to it.

    `share`: that part of the load's number of requests, for peers that are many times slower. `statuses`: the right
    answers; none means that any refusal is right.
    """

    peer: str
    what: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"
    statuses: frozenset[int] = frozenset({200})
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """One table. `baseline` is the peer that the others are divided by."""

    name: str
    title: str
    about: str
    entries: tuple[Entry, ...]
    requests: int
    quick_requests: int
    baseline: str = "litellm-packages"
    directive: str = ""
    streamed: bool = False

    def body(self, model: str, entry: Entry) -> dict[str, Any]:
        """What is sent."""
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"{QUESTION} {self.directive}".strip()},
        ]
        stream = {"stream": True} if self.streamed else {}
        return {"model": model, "messages": messages, "user": "bench-unlimited", **stream, **entry.body}

    def contender(
        self, entry: Entry, title: str, running: Running, requests: int, text: str | None = None
    ) -> Contender:
        """The row's measurement, against a running peer. `text`: what every stream must say."""
        body = self.body(running.model, entry)
        headers = {**running.headers, **entry.headers}
        return Contender(
            label=f"{title}, {entry.what}" if entry.what else title,
            request=Request.build(running.port, "POST", entry.path, headers, body),
            requests=max(CONCURRENCY, round(requests * entry.share)),
            concurrency=CONCURRENCY,
            roots=running.roots,
            statuses=entry.statuses,
            streamed=self.streamed,
            text=text,
        )
