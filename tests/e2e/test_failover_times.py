"""Fallbacks and cooldowns where time matters: a gateway of two workers that is soon out of patience."""

import secrets
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS, Bench
from tests.e2e.gateways import Gateway

pytestmark = pytest.mark.xdist_group("gateway")
SECTION = {
    "retries": {"first_byte_s": 3, "whole_answer_s": 3},
    "cooldown": {"failures": 3, "seconds": 60},
}
ALONE = "free-deepseek-chat"  # it has no fallbacks


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("hasty"), demo_server.url, options=("--workers", "2"), section=SECTION
    ).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def bench(hasty: Gateway, demo_server: DemoServer, marker: str) -> Iterator[Bench]:
    user = f"user-{secrets.token_hex(6)}"
    with hasty.client() as http:
        assert http.post("/user/new", json={"user_id": user, "tier": "roomy"}).status_code == 200
        yield Bench(hasty, demo_server, http, user, marker)


@pytest.mark.parametrize(("route", "stream"), [("chat", True), ("messages", False)])
def test_a_provider_that_says_nothing_is_hung_up_on_and_the_next_model_answers(
    bench: Bench, route: str, stream: bool
) -> None:
    answer = bench.post(
        route, "models=free-claude-first,claude-first hang=1]] [[demo words=5", model="free-claude-first", stream=stream
    )
    counted = bench.counted()
    first, second = bench.log(2)

    assert (answer.status_code, answer.headers["x-scalix-model-served"]) == (200, "free-gemini-pro"), answer.text
    assert (first["outcome"], second["outcome"]) == ("client_left", "complete")
    assert counted == (1, second["prompt_tokens"] + second["completion_tokens"], 0)


def test_a_model_that_keeps_failing_is_left_alone_by_every_worker(bench: Bench) -> None:
    def ask() -> httpx.Response:
        with bench.gateway.client() as http:  # a connection of its own, which may be any worker's
            return http.post(PATHS["chat"], json=bench.body("chat", "status=401", model=ALONE))

    _until(lambda: all("has kept failing" in ask().text for _ in range(20)))
    asked = len(bench.log())
    # What a provider says of our account is true for everybody: one is enough, for each that has not learned it yet.
    assert 1 <= asked <= 2

    refused = ask()
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert len(bench.log()) == asked
    assert bench.counted() == (0, 0, 0)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "in vain"
