"""Where time matters: fallbacks, cooldowns, and what the other worker has to learn, at a gateway of two workers that is
soon out of patience."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS, Bench
from tests.e2e.gateways import Gateway

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
        route,
        "models=free-claude-first,claude-3-first hang=1]] [[demo words=5",
        model="free-claude-first",
        stream=stream,
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


LEARNS_WITHIN_S = 0.5  # as docs/limits.md promises


def test_a_new_tier_is_seen_within_half_a_second_by_a_worker_that_refuses_the_caller_over_and_over(
    hasty: Gateway, bench: Bench
) -> None:
    # Given a caller who has used a limit up, and goes on asking at both workers
    bench.http.post("/user/update", json={"user_id": bench.user, "tier": "fifty"})
    for _ in range(50):
        assert bench.post("chat", "words=1").status_code == 200
    with ExitStack() as stack:
        connections: list[httpx.Client] = []

        def ask_all() -> list[int]:
            return [http.post(PATHS["chat"], json=bench.body("chat")).status_code for http in connections]

        def are_at_both() -> bool:
            connections.append(stack.enter_context(hasty.client()))
            ask_all()
            port = httpx.URL(hasty.url).port
            held = [{at.laddr.port for at in worker.net_connections() if at.raddr} for worker in hasty.workers()]
            return all(port in ports for ports in held) and len(connections) >= 4

        bench.http.close()
        _until(are_at_both)
        for _ in range(3):
            assert set(ask_all()) == {429}
        # When one of the workers gives them another tier
        connections[0].post("/user/update", json={"user_id": bench.user, "tier": "all-models"}).raise_for_status()
        changed_s = time.monotonic()
        # Then the one that has done so serves them at once, and the other after half a second at the latest
        assert ask_all()[0] == 200
        while time.monotonic() < changed_s + LEARNS_WITHIN_S:
            ask_all()
        assert set(ask_all()) == {200}


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "in vain"
