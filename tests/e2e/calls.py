"""Requests of every route, and the two accounts that must agree: the gateway's counters, the provider's own log."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import MASTER_KEY, Gateway

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
OPENAI_MODEL, ANTHROPIC_MODEL = "gpt-4", "free-claude-format"
# Every way through LiteLLM: its routes, to a provider of OpenAI's format and to one that needs translation.
WAYS = [
    *[
        (route, OPENAI_MODEL, stream)
        for route in PATHS
        for stream in (False, True)
        if (route, stream) != ("embeddings", True)
    ],
    *[(route, ANTHROPIC_MODEL, stream) for route in PATHS if route != "embeddings" for stream in (False, True)],
]
Way = tuple[str, str, bool]


def crossed(ways: Sequence[Way], variants: Sequence[Any]) -> list[Any]:
    """Every way with every variant. `make test` takes two variants for each way, and all of them somewhere."""
    params = []
    for row, way in enumerate(ways):
        kept = {2 * row % len(variants), (2 * row + 1) % len(variants)}
        for column, variant in enumerate(variants):
            marks = () if column in kept else (pytest.mark.soak,)
            name = "-".join((*way[:2], *(("stream",) if way[2] else ()), str(variant).partition(" error_message")[0]))
            params.append(pytest.param(way, variant, marks=marks, id=name))
    return params


WHOLE_WAYS = [way for way in WAYS if not way[2]]
STREAMED_WAYS = [way for way in WAYS if way[2]]


def body_of(route: str, text: str, *, model: str = OPENAI_MODEL, stream: bool = False, **more: Any) -> dict[str, Any]:
    """A request's body. Change or add fields with `more`."""
    body: dict[str, Any] = {"model": model}
    if route in ("chat", "messages"):
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["prompt" if route == "completions" else "input"] = text
    if route == "messages":
        body["max_tokens"] = 400
    if stream:
        body["stream"] = True
    return body | more


@dataclass
class Bench:
    """One user at one gateway. `marker` is in every prompt of the test."""

    gateway: Gateway
    provider: DemoServer
    http: httpx.Client
    user: str
    marker: str

    def post(self, route: str, directives: str = "", **body: Any) -> httpx.Response:
        """Send one request to its end."""
        return self.http.post(PATHS[route], json=self.body(route, directives, **body))

    def body(self, route: str, directives: str = "", **more: Any) -> dict[str, Any]:
        text = f"{self.marker} [[demo {directives}]]" if directives else self.marker
        return {"user": self.user, **body_of(route, text, **more)}

    def usage(self) -> dict[str, Any]:
        """What `GET /user/info` says, now."""
        usage: dict[str, Any] = self.http.get("/user/info", params={"user_id": self.user}).json()["usage"]
        return usage

    def counted(self) -> tuple[int, int, int]:
        """Requests, tokens, requests in flight."""
        usage = self.usage()
        return usage["requests_today"], usage["tokens_today"], usage["in_flight_requests"]

    def counted_when(self, done: Callable[[tuple[int, int, int]], bool], within_s: float = 5.0) -> tuple[int, int, int]:
        """The same, as soon as `done`; for what nobody waits for. The last one seen after `within_s`."""
        deadline = time.monotonic() + within_s
        while not done(counted := self.counted()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return counted

    def log(self, settled: int = 1) -> list[dict[str, Any]]:
        """The provider's log of this test's requests, when `settled` of them are over."""
        return self.provider.requests(contains=self.marker, settled=settled)

    @contextmanager
    def open(self, route: str, directives: str, **body: Any) -> Iterator[socket.socket]:
        """A connection on which a request has been sent. Closed at the end, answered or not."""
        raw = json.dumps(self.body(route, directives, **body)).encode()
        url = urlsplit(self.gateway.url)
        head = (
            f"POST {PATHS[route]} HTTP/1.1\r\nhost: {url.netloc}\r\nauthorization: Bearer {MASTER_KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        ).encode()
        with socket.create_connection((url.hostname or "", url.port or 0), timeout=20) as connection:
            connection.sendall(head + raw)
            yield connection

    def wait_for_provider(self) -> None:
        """Returns when the provider has the request."""
        deadline = time.monotonic() + 10
        while not self.provider.requests(contains=self.marker):
            assert time.monotonic() < deadline, "the provider was never asked"
            time.sleep(0.005)


def read_until(connection: socket.socket, mark: bytes, count: int = 1) -> bytes:
    """Reads until `mark` has come `count` times."""
    data = b""
    while data.count(mark) < count:
        piece = connection.recv(65536)
        assert piece, f"the answer ended early: {data[-300:]!r}"
        data += piece
    return data
