"""Fallbacks through the real gateway and LiteLLM, against the provider's own log."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS, Bench, read_until
from tests.e2e.gateways import ENGINE, Gateway

SERVED = "x-scalix-model-served"
# The names that the provider knows them by: of the format of OpenAI, and of Anthropic.
FROM_OPENAI = ("free-wizardlm", "free-wizardlm", "gpt-4")
FROM_ANTHROPIC = ("free-claude-first", "claude-3-first", "free-gemini-pro")
CHAINS = [
    *[(route, *FROM_OPENAI) for route in PATHS],
    *[(route, *FROM_ANTHROPIC) for route in PATHS if route != "embeddings"],
]


@pytest.fixture
def bench(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> Bench:
    return Bench(gateway, demo_server, http, new_user("roomy"), marker)


@pytest.fixture
def free(bench: Bench, new_user: Callable[..., str]) -> Bench:
    """A caller of the free tier."""
    return Bench(bench.gateway, bench.provider, bench.http, new_user("free"), bench.marker)


def _total(entry: dict[str, Any]) -> int:
    total: int = entry["prompt_tokens"] + entry["completion_tokens"]
    return total


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("route", "asked", "known_as", "takes_over"), CHAINS)
def test_the_next_model_answers_and_the_request_is_charged_once_at_what_it_used(
    bench: Bench, route: str, asked: str, known_as: str, takes_over: str, stream: bool
) -> None:
    if stream and route == "embeddings":
        return
    answer = bench.post(route, f"models={known_as} status=500]] [[demo words=7", model=asked, stream=stream)
    counted = bench.counted()
    entries = bench.log(2)

    assert answer.status_code == 200, answer.text
    assert answer.headers[SERVED] == takes_over
    # LiteLLM asks once more, but not for streamed completions in OpenAI's format; the direct engine does for those too.
    by_litellm_once = (ENGINE, route, stream, asked) == ("litellm", "completions", True, "free-wizardlm")
    tried = 1 if by_litellm_once else 2
    assert [(entry["model"], entry["status"]) for entry in entries] == [
        *[(known_as, 500)] * tried,
        (takes_over, 200),
    ]
    assert counted == (1, _total(entries[-1]), 0)
    assert not {"num_retries", "drop_params", "fallbacks"} & set(entries[-1]["body"])


@pytest.mark.parametrize("how", ["drop=1", "empty=1", "error_after=0", "reset_after=0", "status=503", "status=401"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ["chat", "messages", "responses"])
def test_every_way_to_fail_before_the_first_byte_is_mended(bench: Bench, route: str, stream: bool, how: str) -> None:
    answer = bench.post(route, f"models=free-wizardlm {how}]] [[demo words=5", model="free-wizardlm", stream=stream)
    counted = bench.counted()
    entries = bench.log(2)

    assert (answer.status_code, answer.headers.get(SERVED)) == (200, "gpt-4"), answer.text
    assert counted == (1, _total(entries[-1]), 0)
    assert len(entries) <= 3


@pytest.mark.parametrize(
    ("how", "calls"),
    [
        ("status=401", 1),
        ("status=402", 1),
        ("status=403", 1),
        ("status=404", 1),
        ("status=408", 1),
        ("status=429", 1),
        ("status=429 error_code=insufficient_quota", 1),
        ("status=400 error_message=Your_credit_balance_is_too_low", 1),
        ("status=400 error_code=content_filter", 1),
        ("status=400 error_code=context_length_exceeded error_message=This_models_maximum_context_length_is_9", 1),
        ("status=500", 2),
        ("status=503", 2),
    ],
)
def test_only_what_may_pass_by_itself_is_asked_again_before_the_next_model(bench: Bench, how: str, calls: int) -> None:
    answer = bench.post("chat", f"models=free-wizardlm {how}]] [[demo words=5", model="free-wizardlm")
    entries = bench.log(2)

    assert (answer.status_code, answer.headers.get(SERVED)) == (200, "gpt-4"), answer.text
    assert [entry["model"] for entry in entries] == ["free-wizardlm"] * calls + ["gpt-4"]


def test_what_is_wrong_with_the_request_is_asked_of_nobody_else(bench: Bench) -> None:
    answer = bench.post("chat", "status=400", model="free-wizardlm")
    assert (answer.status_code, len(bench.log())) == (400, 1)
    assert SERVED not in answer.headers


@pytest.mark.parametrize("stream", [False, True])
def test_a_free_caller_whose_model_fails_never_reaches_a_premium_model(free: Bench, stream: bool) -> None:
    answer = free.post("chat", "models=free-wizardlm status=500]] [[demo words=5", model="free-wizardlm", stream=stream)
    entries = free.log(3)

    assert answer.headers[SERVED] == "free-claude-format"
    assert [entry["model"] for entry in entries] == ["free-wizardlm", "free-wizardlm", "claude-3-demo"]
    assert free.counted() == (1, _total(entries[-1]), 0)


def test_the_chains_of_the_product_are_followed_to_their_end(bench: Bench) -> None:
    for asked, failing, last in (
        ("claude-3-opus", "claude-3-opus,gpt-4,gemini-pro", "free-deepseek-chat"),
        ("free-gemini-flash", "free-gemini-flash,free-gemini-pro", "free-deepseek-chat"),
    ):
        answer = bench.post("chat", f"models={failing} status=429]] [[demo words=5", model=asked)
        assert (answer.status_code, answer.headers.get(SERVED)) == (200, last)


@pytest.mark.parametrize("stream", [False, True])
def test_when_all_fail_nothing_is_charged_and_the_first_ones_wait_is_told(bench: Bench, stream: bool) -> None:
    answer = bench.post(
        "chat",
        "status=500]] [[demo models=free-wizardlm status=429 retry_after=17",
        model="free-wizardlm",
        stream=stream,
    )
    entries = bench.log(6)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "17")
    assert SERVED not in answer.headers
    assert answer.json()["error"]["scalix"]["category"] == "provider_rate_limit"
    assert bench.counted() == (0, 0, 0)
    # One of the first, two of the next, three of the last.
    assert [entry["model"] for entry in entries] == ["free-wizardlm", *["gpt-4"] * 2, *["claude-3-demo"] * 3]


@pytest.mark.parametrize("model", ["gpt-4", "free-claude-format"])
@pytest.mark.parametrize("wait_s", [9, 90])
def test_a_provider_that_asks_for_a_long_pause_is_not_waited_for_with_the_request_in_hand(
    bench: Bench, model: str, wait_s: int
) -> None:
    answer = bench.post("chat", f"status=503 retry_after={wait_s}", model=model)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(wait_s))
    assert len(bench.log(1)) == 1
    assert bench.counted() == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_two_failures_and_an_answer_are_one_request_and_its_tokens_once(bench: Bench, stream: bool) -> None:
    key = secrets.token_hex(6)
    answer = bench.post("chat", f"statuses=500,500,200 key={key}", model="free-wizardlm", stream=stream)
    counted = bench.counted()
    entries = bench.log(3)

    assert answer.status_code == 200, answer.text
    assert [entry["status"] for entry in entries] == [500, 500, 200]
    assert counted == (1, _total(entries[-1]), 0)


def test_a_stream_that_has_begun_ends_in_an_error_and_is_not_begun_anew(bench: Bench) -> None:
    answer = bench.post("chat", "words=200 gap_ms=1 cut_after=12", model="free-wizardlm", stream=True)
    assert answer.headers[SERVED] == "free-wizardlm"
    assert "broke off in the middle" in answer.text
    assert len(bench.log()) == 1


def test_a_client_that_leaves_while_a_model_fails_sets_no_other_to_work(bench: Bench) -> None:
    with bench.open("chat", "models=free-wizardlm delay_ms=300 status=503", model="free-wizardlm", stream=True):
        bench.wait_for_provider()
    counted = bench.counted_when(lambda counted: counted[2] == 0)
    assert counted[2] == 0
    assert {entry["model"] for entry in bench.log()} == {"free-wizardlm"}


def test_the_end_of_a_fallbacks_stream_is_counted_before_the_client_has_it(bench: Bench) -> None:
    with bench.open(
        "chat", "models=free-wizardlm drop=1]] [[demo words=30 gap_ms=2", model="free-wizardlm", stream=True
    ) as connection:
        read_until(connection, b"data: [DONE]")
        assert bench.counted()[0] == 1


def test_options_of_scalix_models_do_not_reach_a_fallback(bench: Bench, new_user: Callable[..., str]) -> None:
    bench.user = new_user("premium")
    answer = bench.post(
        "chat",
        "models=claude-3-opus status=500]] [[demo words=3",
        model="claude-3-opus",
        scalix_options={"enable_lazy_edits": True},
    )
    entries = bench.log(3)
    assert answer.headers[SERVED] == "gpt-4"
    assert not any("scalix_options" in json.dumps(entry["body"]) for entry in entries)


def test_a_fallback_gets_its_own_largest_answer(bench: Bench) -> None:
    answer = bench.post(
        "chat", "models=free-wizardlm status=401]] [[demo words=3", model="free-wizardlm", max_tokens=7500
    )
    gone = bench.post("chat", "models=free-wizardlm,gpt-4 status=401]] [[demo words=3", model="free-wizardlm")
    entries = bench.log(5)

    assert (answer.status_code, gone.headers[SERVED]) == (200, "free-claude-format")
    assert entries[-1]["body"]["max_tokens"] == 4096


def test_the_ledger_has_the_model_that_served_and_those_that_failed(bench: Bench) -> None:
    assert (
        bench.post("chat", "models=free-wizardlm status=401]] [[demo words=3", model="free-wizardlm").status_code == 200
    )
    assert bench.post("chat", "status=429", model="free-wizardlm").status_code == 503
    assert bench.post("chat", "status=400 error_code=content_filter", model="gpt-4").status_code == 400
    assert bench.post("chat", "words=90 gap_ms=1 reset_after=9", model="gpt-4", stream=True).status_code == 200
    made = bench.http.post("/key/generate", json={"user_id": bench.user})
    with bench.gateway.client(made.json()["key"]) as client:
        events = client.get("/scalix/v1/usage/events").json()["events"]
    seen = {event["outcome"]: event for event in events}

    assert len(events) == len(seen) == 4
    told = {outcome: (event["model"], event["model_served"], event["fallbacks"]) for outcome, event in seen.items()}
    assert told == {
        "success": ("free-wizardlm", "gpt-4", ["free-wizardlm"]),
        "provider_failed": ("free-wizardlm", None, ["free-wizardlm", "gpt-4", "free-claude-format"]),
        "provider_refused": ("gpt-4", None, []),
        "provider_broke": ("gpt-4", "gpt-4", []),
    }
    assert seen["success"]["error"] is None
    assert seen["provider_refused"]["error"] == "content_filter"
    assert all(seen[outcome]["error"] for outcome in ("provider_failed", "provider_broke"))
