"""Whatever a client sends, the edge answers once, in time, with an error of its own or not at all; nothing leaks."""

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalix.domain.requests.routes import Route
from scalix.edge.allowed_fields import allowed_fields
from scalix.edge.routes import all_routes
from tests.edge.gates import MASTER_KEY, Answered, InProcess, in_process

CANARY = "sk-canary-fuzz-8d1f02c7"
EXAMPLES = int(os.environ.get("SCALIX_FUZZ_EXAMPLES", "250"))
# Readiness is a 503 here, where nothing is started.
PATHS = sorted({path.replace("{id}", "free-small") for path, _, _ in all_routes()} - {"/health/readiness"})
METERED = {path: target for path, _, target in all_routes() if isinstance(target, Route)}
NEEDED: dict[Route, dict[str, Any]] = {
    Route.CHAT: {"messages": [{"role": "user", "content": "x"}]},
    Route.COMPLETIONS: {"prompt": "x"},
    Route.EMBEDDINGS: {"input": "x"},
    Route.RESPONSES: {"input": "x"},
    Route.MESSAGES: {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
}
FIELDS = sorted({name for route in Route for name in allowed_fields(route)})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["free-small", "u", "http://127.0.0.1/", "https://example.com/a.png", "a" * 300, "\x00", -1])
)
names = st.sampled_from([*FIELDS, "type", "url", "content", "role", "image_url", "function", "text"]) | st.text(
    max_size=8
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda value: dumped(value)),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6).map(
        lambda body: dumped({"model": "free-small", **body})
    ),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3).map(
        lambda body: dumped(
            {**body, "model": "free-small", "user": "u", "messages": [{"role": "user", "content": "x"}]}
        )
    ),
)
KNOWN_HEADERS = (
    *(b"authorization", b"x-api-key", b"host", b"content-length", b"content-type", b"content-encoding", b"expect"),
    *(b"transfer-encoding", b"x-forwarded-for", b"forwarded", b"cookie", b"x-litellm-tags", b"anthropic-version"),
)
header_names = st.sampled_from(KNOWN_HEADERS) | st.binary(min_size=1, max_size=10).map(bytes.lower)
header_values = st.binary(max_size=40) | st.sampled_from(
    [b"Bearer " + CANARY.encode(), CANARY.encode(), b"Bearer", b"basic eDp4", b"chunked", b"gzip", b"0", b"-1", b"1e9"]
)
headers = st.lists(st.tuples(header_names, header_values), max_size=6)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])


def right_but_for(path: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """A path and a body with what its route needs, and any values in one or two more of its fields."""
    route = METERED[path]
    more = st.dictionaries(st.sampled_from(sorted(allowed_fields(route))), values, min_size=1, max_size=2)
    needed = {"model": "free-small", "user": "u", **NEEDED[route]}
    return more.map(lambda fields: (path, dumped({**needed, **fields})))


def dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, TypeError):
        return repr(value).encode("utf-8", "replace")


def is_page(answered: Answered) -> bool:
    return answered.headers.get("content-type", "").startswith("text/html")


class Runner:
    """An event loop of its own, so that hypothesis' plain functions can call the gate."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._context = in_process(folder, store_url)
        self.edge: InProcess = self.run(self._context.__aenter__())
        self.log: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self.log.append(f"{record.levelname} {record.getMessage()}")  # type: ignore[method-assign]
        logging.getLogger("scalix").addHandler(handler)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def check(self, answered: Answered) -> None:
        """What every answer must be, whatever was asked."""
        # A transfer encoding that is not read is a 501, which is about the request too.
        assert 200 <= answered.status < 500 or answered.status == 501, answered
        text = answered.body.decode()
        assert CANARY not in text
        assert "Traceback" not in text
        assert 'File "' not in text
        assert not any("\r" in value or "\n" in value for value in answered.headers.values())
        if answered.status >= 400 and not is_page(answered):
            error = answered.error
            assert error["message"]
            assert error["code"] or error["type"]
        assert not [line for line in self.log if line.startswith("ERROR") or CANARY in line]

    def close(self) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("fuzz"), store_url)
    yield runner
    runner.close()


@settings(max_examples=EXAMPLES)
@given(method=methods, path=st.sampled_from(PATHS) | st.text(max_size=20).map("/".__add__), sent=headers, body=bodies)
def test_any_request_without_a_key_is_refused(
    runner: Runner, method: str, path: str, sent: list[tuple[bytes, bytes]], body: bytes
) -> None:
    answered = runner.run(runner.edge.call(method, path, body, key=None, headers=sent, address="127.0.0.1"))
    runner.check(answered)
    pages = runner.edge.gate.pages
    assert answered.status >= 400 or path.startswith("/health") or pages.takes(path)
    # To browsers it is said by a page, and to nobody else.
    assert pages.takes(path) or not is_page(answered)


@settings(max_examples=EXAMPLES)
@given(method=methods, path=st.sampled_from(PATHS), sent=headers, body=bodies, query=st.binary(max_size=30))
def test_any_headers_query_and_body_under_the_master_key_are_answered(
    runner: Runner, method: str, path: str, sent: list[tuple[bytes, bytes]], body: bytes, query: bytes
) -> None:
    runner.check(runner.run(runner.edge.call(method, path, body, headers=sent, query=query, address="127.0.0.1")))


@settings(max_examples=2 * EXAMPLES)
@given(
    call=st.tuples(st.sampled_from(sorted(METERED)), bodies) | st.sampled_from(sorted(METERED)).flatmap(right_but_for)
)
def test_any_body_is_answered_and_only_listed_fields_get_through(runner: Runner, call: tuple[str, bytes]) -> None:
    path, body = call
    inner = runner.edge.inner
    inner.bodies.clear()
    inner.scopes.clear()
    runner.check(runner.run(runner.edge.call("POST", path, body)))
    for seen in inner.bodies:
        assert seen["model"] in ("free-small", "large")
        assert set(seen) <= {*FIELDS, "num_retries"}  # which the edge itself adds
        assert "metadata" not in seen


def test_fuzzed_paths_never_reach_litellm(runner: Runner) -> None:
    inner = runner.edge.inner
    inner.scopes.clear()
    for path in ("/v1/chat/completions/../../model/info", "/v1/%2e%2e/model/info", "/model/new", "/key/generate/x"):
        answered = runner.run(runner.edge.call("POST", path, {}, key=MASTER_KEY))
        assert answered.status == 404
    assert inner.scopes == []
