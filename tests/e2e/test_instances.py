"""Two instances with one store: what one has begun when it ends is accounted for all the same."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS, body_of
from tests.e2e.crowds import OK, Crowd, served
from tests.e2e.gateways import Gateway, instances
from tests.e2e.scripted_provider import Answer, scripted
from tests.e2e.test_deployments import entry
from tests.e2e.test_who_is_to_blame import proper

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
REQUESTS = 20
# A lease lasts a minute, and every gateway looks for lapsed ones every 15 s.
SWEPT_WITHIN_S = 80.0
PROMPT_USD, COMPLETION_USD = 3e-5, 6e-5  # gpt-4's, a token


@pytest.fixture
def two(tmp_path: Path, demo_server: DemoServer) -> Iterator[list[Gateway]]:
    with instances(tmp_path, demo_server.url) as gateways:
        yield gateways


@pytest.fixture
def crowd(two: list[Gateway]) -> Crowd:
    """One user, seen from the second instance."""
    user = f"user-{secrets.token_hex(6)}"
    with two[1].client() as http:
        assert http.post("/user/new", json={"user_id": user, "tier": "roomy"}).status_code == 200
    return Crowd([two[1].url], user, f"marker-{user}")


class Begun:
    """`REQUESTS` requests at the first instance, which the provider has."""

    def __init__(self, gateway: Gateway, provider: DemoServer, crowd: Crowd, directives: str) -> None:
        self.statuses: list[int] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(REQUESTS)
        body = body_of("chat", f"{crowd.marker} [[demo {directives}]]", stream=True, user=crowd.user)
        for _ in range(REQUESTS):
            self._pool.submit(self._ask, gateway, body)
        deadline = time.monotonic() + 30
        while len(provider.requests(contains=crowd.marker, bodies=False)) < REQUESTS:
            assert time.monotonic() < deadline, "the provider was not asked"
            time.sleep(0.02)

    def _ask(self, gateway: Gateway, body: dict[str, object]) -> None:
        with gateway.client() as http, suppress(httpx.TransportError):
            answer = http.post(PATHS["chat"], json=body)
            with self._lock:
                self.statuses.append(answer.status_code)

    def ended(self) -> list[int]:
        self._pool.shutdown()
        return self.statuses


def test_an_instance_that_is_stopped_finishes_and_counts_what_is_in_flight(
    two: list[Gateway], crowd: Crowd, demo_server: DemoServer
) -> None:
    begun = Begun(two[0], demo_server, crowd, "words=100 gap_ms=20")
    assert crowd.counted()[2] == REQUESTS
    two[0].stop()
    assert begun.ended() == [200] * REQUESTS
    asked = served(demo_server, crowd.marker)
    assert crowd.counted() == (REQUESTS, asked.tokens, 0)


def test_what_a_killed_instance_had_in_flight_is_swept_by_the_other_within_a_minute_of_its_lease(
    two: list[Gateway], crowd: Crowd, demo_server: DemoServer
) -> None:
    launcher, workers = two[0].launcher(), two[0].workers()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    others = [Crowd([one.url for one in two], f"{crowd.user}-{n}", f"other-{n}-of-{crowd.user}-") for n in range(4)]
    with two[1].client() as http:
        for one in others:
            assert http.post("/user/new", json={"user_id": one.user, "tier": "roomy"}).status_code == 200
    with ThreadPoolExecutor(len(others)) as pool:
        answers = pool.map(lambda one: one.at_once(8, "words=20", stream=True), others)
        assert list(answers) == [[OK] * 8] * len(others)
    begun = Begun(two[0], demo_server, crowd, "hang=1")
    killed_s = time.monotonic()
    for process in (launcher, *workers):
        process.kill()
    psutil.wait_procs([launcher, *workers], timeout=10)
    assert begun.ended() == []
    assert crowd.counted() == (0, 0, REQUESTS)
    while (counted := crowd.counted())[2] and time.monotonic() < killed_s + SWEPT_WITHIN_S:
        time.sleep(0.5)
    print(f"swept {time.monotonic() - killed_s:.0f} s after the kill: {counted}")
    requests, tokens, in_flight = counted
    assert (requests, in_flight) == (REQUESTS, 0)
    prompts = sum(entry["prompt_tokens"] for entry in demo_server.requests(contains=crowd.marker, bodies=False))
    # Each at the estimate of its prompt, and all prompts are alike.
    assert tokens >= prompts
    assert tokens % REQUESTS == 0
    asked = [one for other in others for one in demo_server.requests(contains=other.marker, bodies=False)]
    cost = PROMPT_USD * (tokens + sum(one["prompt_tokens"] for one in asked))
    cost += COMPLETION_USD * sum(one["completion_tokens"] for one in asked)
    with two[1].client() as http:
        shown = http.get("/scalix/v1/reports/today", params={"day": day}).json()["day"]
        verified = http.get("/scalix/v1/ledger/verify", params={"day": day}).json()
    assert len(asked) == len(others) * 8
    assert (shown["active_users"], shown["new_users"]) == (1 + len(others), 1 + len(others))
    assert (shown["requests"], shown["errors"]) == (REQUESTS + len(asked), 0)
    assert shown["provider_cost_usd"] == pytest.approx(cost, abs=1e-9)
    assert verified["differences"] == []


def test_all_workers_together_go_over_the_limits_of_deployments_by_little(tmp_path: Path) -> None:
    asked, most = Counter[tuple[int, str]](), {"a": 150, "b": 50}

    def answer(path: str, body: dict[str, Any]) -> Answer:
        asked[int(time.time()) // 60, path[1]] += 1
        return proper(path[2:], body)

    with scripted(answer) as provider:
        models = [entry("free-limited", "openai/m", f"{provider.url}/{place}", rpm=rpm) for place, rpm in most.items()]
        with instances(tmp_path, provider.url, models=models) as gateways:
            time.sleep(max(0.0, time.time() % 60 - 45))  # into the next minute, where this one is nearly over

            def ask(number: int) -> int:
                body = {"model": "free-limited", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
                with gateways[number % 2].client() as http:
                    return http.post("/v1/chat/completions", json=body).status_code

            with ThreadPoolExecutor(32) as pool:
                statuses = Counter(pool.map(ask, range(500)))
    minutes = {minute for minute, _ in asked}
    for (minute, place), number in asked.items():
        assert number <= most[place] + 12, asked
        assert len(minutes) > 1 or number >= most[place], (minute, asked)
    assert statuses == {200: asked.total(), 429: 500 - asked.total()}
