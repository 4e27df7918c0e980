"""Odd values of what bounds an answer: nonsense is a 400 that names it, the rest one cap that the provider sees."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.calls import ANTHROPIC_MODEL, PATHS, Bench
from tests.e2e.gateways import Gateway

CAPS = {"chat": "max_tokens", "completions": "max_tokens", "responses": "max_output_tokens", "messages": "max_tokens"}
NONSENSE: tuple[Any, ...] = (0, -1, -(10**12), True, "100", "lots", 1.5, [], {}, [100])
HUGE = (2**31, 10**12, 10**18)


@pytest.fixture
def bench(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> Bench:
    return Bench(gateway, demo_server, http, new_user("roomy"), marker)


def _refused(bench: Bench, route: str, param: str, fields: dict[str, Any]) -> None:
    answer = bench.post(route, **fields)
    assert answer.status_code == 400, (fields, answer.text)
    assert answer.json()["error"]["param"] == param, fields
    assert param in answer.json()["error"]["message"]


@pytest.mark.parametrize("route", CAPS)
def test_a_cap_that_is_no_number_of_tokens_is_refused_by_name(bench: Bench, route: str) -> None:
    for value in NONSENSE:
        _refused(bench, route, CAPS[route], {CAPS[route]: value})
        if route == "chat":
            _refused(bench, route, "max_completion_tokens", {"max_completion_tokens": value})
    assert bench.counted() == (0, 0, 0)
    assert bench.provider.requests(contains=bench.marker) == []


def test_a_number_of_choices_that_is_none_is_refused_by_name(bench: Bench) -> None:
    for value in (*NONSENSE, 129, 10**9):
        for route in ("chat", "completions"):
            _refused(bench, route, "n", {"n": value})
        _refused(bench, "completions", "best_of", {"best_of": value})
    _refused(bench, "completions", "best_of", {"n": 3, "best_of": 2})
    assert bench.counted() == (0, 0, 0)
    assert bench.provider.requests(contains=bench.marker) == []


@pytest.mark.parametrize("route", CAPS)
def test_a_cap_beyond_the_models_own_is_cut_to_it_under_the_clients_name(bench: Bench, route: str) -> None:
    for number, value in enumerate(HUGE, 1):
        assert bench.post(route, "words=3", model=ANTHROPIC_MODEL, **{CAPS[route]: value}).status_code == 200
        assert [entry["body"]["max_tokens"] for entry in bench.log(number)] == [4096] * number
    answer = bench.post(route, "words=3", model="scalix-engine", **{CAPS[route]: 10**12})
    sent = bench.log(len(HUGE) + 1)[-1]["body"]

    assert answer.status_code == 200, answer.text
    assert {name: value for name, value in sent.items() if name.startswith("max_")} in (
        {CAPS[route]: 8192},
        # LiteLLM speaks chat completions to most providers.
        {"max_tokens": 8192},
    )


def test_the_cap_goes_out_under_the_name_that_came_in(bench: Bench) -> None:
    cases: list[tuple[dict[str, int], dict[str, int]]] = [
        ({}, {"max_tokens": 8192}),
        ({"max_tokens": 50}, {"max_tokens": 50}),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 50}),
        ({"max_tokens": 70, "max_completion_tokens": 50}, {"max_tokens": 50, "max_completion_tokens": 50}),
        ({"max_tokens": 40, "max_completion_tokens": 60}, {"max_tokens": 40, "max_completion_tokens": 40}),
    ]
    for number, (asked, sent) in enumerate(cases, 1):
        answer = bench.post("chat", "words=100", model="scalix-engine", **asked)
        body = bench.log(number)[-1]["body"]

        assert answer.status_code == 200, answer.text
        assert {name: value for name, value in body.items() if name.startswith("max_")} == sent
        if asked:
            assert answer.json()["usage"]["completion_tokens"] == min(asked.values())


@pytest.mark.parametrize("route", ["chat", "responses", "messages"])
def test_a_tiers_cap_holds_for_every_route(bench: Bench, new_user: Callable[..., str], route: str) -> None:
    bench.user = new_user("free")
    for number, asked in enumerate(({}, {CAPS[route]: 100_000}, {CAPS[route]: 30}), 1):
        answer = bench.post(route, "words=3", model="free-gemini-flash", **asked)
        body = bench.log(number)[-1]["body"]
        expected = 30 if asked.get(CAPS[route]) == 30 else 400 if route == "messages" and not asked else 2048

        assert answer.status_code == 200, answer.text
        assert [value for name, value in body.items() if name.startswith("max_")] == [expected]


def test_a_thinking_budget_above_what_an_answer_may_have_is_refused_clearly(
    bench: Bench, new_user: Callable[..., str]
) -> None:
    def thinking(tokens: Any) -> dict[str, Any]:
        return {"thinking": {"type": "enabled", "budget_tokens": tokens}}

    _refused(bench, "messages", "max_tokens", {"max_tokens": 1024, **thinking(1024)})
    for value in ("many", -5, 1.5, True):
        _refused(bench, "messages", "thinking.budget_tokens", {"max_tokens": 2048, **thinking(value)})
    fits = bench.post("messages", "words=3", model=ANTHROPIC_MODEL, max_tokens=3000, **thinking(2000))
    assert fits.status_code == 200, fits.text

    bench.user = new_user("free")
    answer = bench.post("messages", "words=3", model=ANTHROPIC_MODEL, max_tokens=9000, **thinking(4000))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "thinking")
    assert "4000" in error["message"]
    assert "2048" in error["message"]
    assert bench.counted() == (0, 0, 0)


@pytest.mark.parametrize("route", PATHS)
def test_a_null_is_an_absent_value(bench: Bench, route: str) -> None:
    names = [CAPS[route]] if route in CAPS and route != "messages" else []
    names += ["n"] if route in ("chat", "completions") else []
    names += ["stream"] if route != "embeddings" else []
    answer = bench.http.post(PATHS[route], json=bench.body(route, "words=3") | dict.fromkeys(names))
    assert answer.status_code == 200, answer.text
    assert bench.counted()[0] == 1
