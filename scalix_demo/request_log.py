"""The demo provider's log of requests and of what it delivered, with which tests compare the gateway's figures."""

import hashlib
import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Final

import orjson

SECRET_HEADERS: Final = frozenset(
    {b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"proxy-authorization", b"cookie"}
)
MAX_BODY_BYTES: Final = 256 * 1024 * 1024


def fingerprint(value: bytes) -> str:
    """The start of the SHA-256 of a secret header: enough to tell two apart, useless as a credential."""
    return "sha256:" + hashlib.sha256(value).hexdigest()[:16]


@lru_cache(maxsize=4096)
def _kept(name: bytes, value: bytes) -> tuple[bytes, str]:
    """One header as it is stored. Most are the same in every request, so the cache saves memory and time."""
    return name, fingerprint(value) if name in SECRET_HEADERS else value.decode("latin-1")


@dataclass(slots=True)
class Entry:
    """One request. Times are seconds since 1970; `outcome` and `finished` are None while it is being answered.

    `usage` is what the answer reported, even if it is absurd. `prompt_tokens`, `completion_tokens` and `deltas` are the
    true figures; for an answer that did not end, they are what was written until the end of the connection was noticed.
    Outcomes: `complete`, `client_left`, `cut`, `reset`, `dropped`, `error_event`, `empty`, `error_<status>`,
    `shutdown`; `failed` would be a bug of the demo provider.
    """

    seq: int
    time: float
    method: str
    path: str
    headers: tuple[tuple[bytes, str], ...]
    body: bytes = b""
    model: str | None = None
    stream: bool = False
    status: int | None = None
    usage: Any = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    deltas: int = 0
    outcome: str | None = None
    finished: float | None = None

    def as_json(self, *, with_body: bool = True) -> dict[str, Any]:
        """The entry as `GET /demo/requests` and the file of `--log` have it. A body that is not JSON is a string."""
        record: dict[str, Any] = {
            "seq": self.seq,
            "time": self.time,
            "finished": self.finished,
            "method": self.method,
            "path": self.path,
            "model": self.model,
            "stream": self.stream,
            "status": self.status,
            "outcome": self.outcome,
            "usage": self.usage,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "deltas": self.deltas,
            "headers": {name.decode("latin-1"): value for name, value in self.headers},
        }
        if with_body:
            record["body"] = self._parsed()
        return record

    def contains(self, needle: str) -> bool:
        """Whether the body contains `needle`, even if its characters are escaped."""
        if needle.encode() in self.body:
            return True
        return b"\\" in self.body and orjson.dumps(needle)[1:-1] in orjson.dumps(self._parsed())

    def _parsed(self) -> Any:
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return self.body.decode("utf-8", "replace")


class RequestLog:
    """The newest `most` requests (fewer if their bodies pass 256 MiB); each finished one goes to `file` as a line."""

    def __init__(self, most: int = 100_000, file: BinaryIO | None = None) -> None:
        self._entries: deque[Entry] = deque()
        self._most = most
        self._file = file
        self._numbers = itertools.count(1)
        self._body_bytes = 0
        self.last_seq = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def oldest_seq(self) -> int:
        return self._entries[0].seq if self._entries else self.last_seq + 1

    def start(self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Entry:
        self.last_seq = next(self._numbers)
        entry = Entry(self.last_seq, time.time(), method, path, tuple(_kept(*header) for header in headers))
        self._entries.append(entry)
        return entry

    def received(self, entry: Entry, body: bytes) -> None:
        entry.body = body
        if entry.seq < self.oldest_seq:
            return
        self._body_bytes += len(body)
        while len(self._entries) > self._most or (self._entries and self._body_bytes > MAX_BODY_BYTES):
            self._body_bytes -= len(self._entries.popleft().body)

    def finish(self, entry: Entry, outcome: str) -> None:
        """Ends `entry`; an outcome that is set already stays."""
        if entry.outcome is None:
            entry.outcome = outcome
            entry.finished = time.time()
            if self._file is not None:
                self._file.write(orjson.dumps(entry.as_json()) + b"\n")
                self._file.flush()

    def select(self, *, contains: str = "", since: int = 0) -> list[Entry]:
        """The entries after the number `since` whose body has `contains` in it, oldest first."""
        newest = []
        for entry in reversed(self._entries):
            if entry.seq <= since:
                break
            if not contains or entry.contains(contains):
                newest.append(entry)
        return newest[::-1]
