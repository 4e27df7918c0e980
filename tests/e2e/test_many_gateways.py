"""What three gateways of two workers each together send to three deployments of a model."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.many_gateways import WEIGHTS, Script, ask, ask_all, clients, make_users, three
from tests.e2e.scripted_provider import Answer, scripted, whole
from tests.e2e.test_who_is_to_blame import proper

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
REQUESTS = 6_000


def test_six_thousand_requests_are_shared_by_weight_within_a_point(tmp_path: Path) -> None:
    script = Script()
    with scripted(script.answer) as provider, three(tmp_path, provider, weighted=True) as gateways:
        for at_once in (1, 64):
            began_s = time.monotonic()
            with clients(gateways) as made:
                statuses = ask_all(made, REQUESTS, at_once)
            assert statuses == {200: REQUESTS}
            shares = script.shares(began_s)
            print(f"{at_once} at a time: { ({place: 100 * shares[place] / REQUESTS for place in WEIGHTS}) }")
            for place, weight in WEIGHTS.items():
                assert abs(100 * shares[place] / REQUESTS - 100 * weight / 6) < 1, shares


def test_the_share_of_one_that_is_cooled_is_dealt_anew_within_a_second(tmp_path: Path) -> None:
    script = Script()
    with scripted(script.answer) as provider, three(tmp_path, provider, weighted=True) as gateways:
        make_users(gateways, [f"u{number}" for number in range(16)])
        statuses: Counter[int] = Counter()
        ended = threading.Event()

        def keep_asking(number: int, http: httpx.Client) -> None:
            while not ended.is_set():
                statuses[ask(http, user=f"u{number % 16}")] += 1

        with clients(gateways, 8) as made, ThreadPoolExecutor(len(made)) as pool:
            for number, http in enumerate(made):
                pool.submit(keep_asking, number, http)
            time.sleep(5)
            script.by_place["b"] = lambda body: whole({"error": {"message": "no credit", "code": "x"}}, 402)
            failed_s = time.monotonic()
            time.sleep(6)
            ended.set()
    asked_s = [at_s - failed_s for at_s, place in script.times if place == "b" and at_s >= failed_s]
    print(
        f"asked {len(asked_s)} times after it began to fail, the last {asked_s[-1]:.3f} s after the first: {statuses}"
    )
    assert asked_s[-1] - asked_s[0] < 1.0
    assert set(statuses) == {200}
    shares = script.shares(failed_s + 1.5)
    assert abs(100 * shares["a"] / shares.total() - 75) < 1.5, shares


def slow(seconds: float) -> Callable[[dict[str, Any]], Answer]:
    def answer(body: dict[str, Any]) -> Answer:
        time.sleep(seconds)
        return proper("/chat/completions", body)

    return answer


def test_one_that_is_ten_times_slower_gets_under_fifteen_per_cent(tmp_path: Path) -> None:
    script = Script()
    script.by_place = {"a": slow(0.1), "b": slow(0.1), "c": slow(1.0)}
    with (
        scripted(script.answer) as provider,
        three(tmp_path, provider, "least-busy") as gateways,
        clients(gateways) as made,
    ):
        assert ask_all(made, 3_000, 24) == {200: 3_000}
    shares = script.shares()
    print(f"least busy: {shares}")
    assert 0 < shares["c"] / shares.total() < 0.15, shares
