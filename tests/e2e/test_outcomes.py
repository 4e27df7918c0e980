"""The outcome table, row by row and on every route, against the provider's own log."""

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from scalix.litellm_adapter.tokenizers import tokenizer
from scalix.service.exchange.hidden_work import FASTEST_TOKENS_PER_S
from scalix_demo.app import ROUTES
from scalix_demo.plan import SENTENCE
from scalix_demo.prompts import read_prompt
from tests.demo_server import DemoServer
from tests.e2e.calls import (
    ANTHROPIC_MODEL,
    OPENAI_MODEL,
    PATHS,
    STREAMED_WAYS,
    WAYS,
    WHOLE_WAYS,
    Bench,
    Way,
    crossed,
    read_until,
)
from tests.e2e.gateways import PROVIDER_KEY, Gateway

# What we count ourselves is counted by another tokenizer than the demo provider's, which has one token for four bytes
# of prompt and one for each word of an answer.
TOLERANCE = 0.35
TOLERANCE_TOKENS = 16

SECRETS = "sk-abcdefghijklmnop https://internal.example/v1?key=1 org-A1B2C3D4E5F6 admin@internal.example"
AS_DIRECTIVE = f"error_message=The_temperature_is_wrong_{SECRETS}".replace(" ", "_")


@pytest.fixture
def bench(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> Bench:
    return Bench(gateway, demo_server, http, new_user("roomy"), marker)


def _total(entry: dict[str, Any]) -> int:
    total: int = entry["prompt_tokens"] + entry["completion_tokens"]
    return total


def _by_tokenizer(entry: dict[str, Any]) -> int:
    """What a tokenizer makes of a prompt and its answer. The provider counts words and bytes."""
    prompt = read_prompt(ROUTES[entry["path"].removeprefix("/v1")], entry["body"])
    answer = " ".join((SENTENCE.split() * entry["deltas"])[: entry["deltas"]])
    texts = [*prompt.texts, answer] if entry["deltas"] else prompt.texts
    return sum(tokenizer()("cl100k_base", text) for text in texts) + 7


def _is_near(counted: int, true: int) -> bool:
    return abs(counted - true) <= max(TOLERANCE_TOKENS, TOLERANCE * true)


def _send(bench: Bench, way: Way, directives: str, **more: Any) -> httpx.Response:
    route, model, stream = way
    return bench.post(route, directives, model=model, stream=stream, **more)


def _names(way: object) -> str:
    return "-".join(map(str, way[:2])) + ("-stream" if way[2] else "") if isinstance(way, tuple) else str(way)


# ---- success --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS, ids=_names)
def test_an_answer_is_counted_as_the_provider_states_it_before_the_client_has_its_end(bench: Bench, way: Way) -> None:
    answer = _send(bench, way, "words=9")
    counted = bench.counted()
    (entry,) = bench.log()

    assert answer.status_code == 200, answer.text
    assert counted == (1, _total(entry), 0)
    assert entry["prompt_tokens"] > 0


@pytest.mark.parametrize("way", STREAMED_WAYS, ids=_names)
def test_usage_is_found_wherever_a_stream_has_it(bench: Bench, way: Way) -> None:
    """Cached and reasoning tokens are part of it, whatever they cost."""
    kinds = ("usage=late", "usage=in_finish", "cached=7 reasoning=5", "burst=1", "crlf=1 words=40")
    for number, kind in enumerate(kinds, 1):
        assert _send(bench, way, f"words=6 {kind}").status_code == 200
        total = sum(map(_total, bench.log(number)))
        assert bench.counted() == (number, total, 0), kind


@pytest.mark.parametrize("way", WHOLE_WAYS, ids=_names)
def test_cached_and_reasoning_tokens_are_counted(bench: Bench, way: Way) -> None:
    assert _send(bench, way, "words=6 cached=7 reasoning=5").status_code == 200
    (entry,) = bench.log()
    # Embeddings have no output; the demo provider says so too.
    assert bench.counted() == (1, entry["prompt_tokens"] if way[0] == "embeddings" else _total(entry), 0)


@pytest.mark.parametrize("route", ["chat", "completions"])
def test_several_choices_are_all_counted(bench: Bench, route: str) -> None:
    for number, stream in enumerate((False, True), 1):
        assert bench.post(route, "words=5", stream=stream, n=3).status_code == 200
        total = sum(map(_total, bench.log(number)))
        assert bench.counted() == (number, total, 0)


@pytest.mark.parametrize("model", [OPENAI_MODEL, ANTHROPIC_MODEL])
@pytest.mark.parametrize("route", ["chat", "completions"])
def test_a_client_sees_usage_in_a_stream_only_if_it_has_asked(bench: Bench, route: str, model: str) -> None:
    for number, wanted in enumerate((False, True), 1):
        options = {"stream_options": {"include_usage": True}} if wanted else {}
        answer = bench.post(route, "words=5", model=model, stream=True, **options)
        chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
        stated = [chunk["usage"]["total_tokens"] for chunk in chunks if chunk.get("usage")]
        entries = bench.log(number)

        assert stated == ([_total(entries[-1])] if wanted else [])
        assert '"cost"' not in answer.text
        assert bench.counted() == (number, sum(map(_total, entries)), 0)


# ---- the client goes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", STREAMED_WAYS, ids=_names)
def test_a_client_that_cuts_its_stream_pays_for_the_prompt_and_what_was_delivered(bench: Bench, way: Way) -> None:
    route, model, stream = way
    with bench.open(route, "words=2000 gap_ms=3", model=model, stream=stream) as connection:
        read_until(connection, b" demo", 3)
    counted = bench.counted_when(lambda counted: counted[0] == 1 and counted[2] == 0)
    (entry,) = bench.log()

    assert (counted[0], counted[2]) == (1, 0)
    assert entry["outcome"] == "client_left"
    assert entry["deltas"] < 1000
    # What is on the wire between provider and client when it goes is nobody's fault.
    most = (entry["prompt_tokens"] + entry["deltas"]) * (1 + TOLERANCE) + TOLERANCE_TOKENS
    assert entry["prompt_tokens"] < counted[1] <= most


@pytest.mark.parametrize("way", [("chat", OPENAI_MODEL, True), ("messages", ANTHROPIC_MODEL, True)], ids=_names)
def test_a_client_that_leaves_before_the_first_byte_of_a_stream_gives_its_slot_back_at_once(
    bench: Bench, way: Way
) -> None:
    route, model, stream = way
    with bench.open(route, "hang=1", model=model, stream=stream):
        bench.wait_for_provider()
        assert bench.counted() == (0, 0, 1)
    counted = bench.counted_when(lambda counted: counted[2] == 0)
    (entry,) = bench.log()

    assert entry["outcome"] == "client_left"
    assert (counted[0], counted[2]) == (1, 0)
    # A model that other tests have seen thinking may have thought meanwhile, as far as the gateway can know.
    thought_tokens = FASTEST_TOKENS_PER_S * (entry["finished"] - entry["time"] + 0.5)
    assert entry["prompt_tokens"] - TOLERANCE_TOKENS <= counted[1]
    assert counted[1] <= entry["prompt_tokens"] + TOLERANCE_TOKENS + thought_tokens


@pytest.mark.parametrize("way", WHOLE_WAYS, ids=_names)
def test_a_client_that_leaves_before_its_answer_pays_what_the_provider_then_states(bench: Bench, way: Way) -> None:
    route, model, stream = way
    with bench.open(route, "words=9 delay_ms=200", model=model, stream=stream):
        bench.wait_for_provider()
    (entry,) = bench.log()
    counted = bench.counted_when(lambda counted: counted[2] == 0 and counted[0] == 1)

    assert entry["outcome"] == "complete"
    assert counted == (1, _total(entry), 0)


# ---- the provider goes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "how"), crossed(STREAMED_WAYS, ["cut_after=12", "reset_after=12", f"error_after=12 {AS_DIRECTIVE}"])
)
def test_a_stream_that_its_provider_breaks_off_ends_in_our_error_and_costs_what_was_delivered(
    bench: Bench, way: Way, how: str
) -> None:
    answer = _send(bench, way, f"words=200 gap_ms=1 {how}")
    counted = bench.counted()
    (entry,) = bench.log()

    assert answer.status_code == 200
    last = [event for event in answer.text.split("\n\n") if event][-1]
    assert "broke off in the middle" in last
    assert _is_in_shape(way[0], last)
    assert not any(secret in answer.text for secret in SECRETS.split())
    assert (counted[0], counted[2]) == (1, 0)
    assert _is_near(counted[1], _by_tokenizer(entry)), (counted, entry)


def _is_in_shape(route: str, event: str) -> bool:
    data = json.loads(event.rpartition("data: ")[2])
    if route == "messages":
        return event.startswith("event: error\n") and data["type"] == "error" and "message" in data["error"]
    if route == "responses":
        return event.startswith("event: error\n") and data["type"] == "error" and "sequence_number" in data
    return set(data["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("way", "how"),
    crossed(
        WAYS, ["drop=1", "cut_after=0", "reset_after=0", "error_after=0", "empty=1", "empty=choices", "status=500"]
    ),
)
def test_a_provider_that_fails_before_it_has_said_anything_is_an_http_error_and_costs_nothing(
    bench: Bench, way: Way, how: str
) -> None:
    answer = _send(bench, way, f"{how} {AS_DIRECTIVE}")
    counted = bench.counted()

    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "provider_unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    assert not any(secret in answer.text for secret in SECRETS.split())
    assert counted == (0, 0, 0)
    assert len(bench.log()) <= 3


@pytest.mark.parametrize(("way", "status"), crossed(WAYS, [401, 402, 403, 404, 408, 429, 502, 503, 504]))
def test_a_providers_own_troubles_are_503_with_its_retry_after(bench: Bench, way: Way, status: int) -> None:
    keep = " retry_after=17" if status == 429 else ""
    answer = _send(bench, way, f"status={status}{keep} {AS_DIRECTIVE}")

    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == ("17" if keep else "5")
    assert not any(secret in answer.text for secret in SECRETS.split())
    assert bench.counted() == (0, 0, 0)


@pytest.mark.parametrize(("way", "status"), crossed(WAYS, [400, 413, 422]))
def test_what_a_provider_refuses_counts_as_a_request_without_tokens(bench: Bench, way: Way, status: int) -> None:
    answer = _send(bench, way, f"status={status} error_code=content_filter {AS_DIRECTIVE}")

    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    if way[1] == OPENAI_MODEL:  # Anthropic's errors have no code
        assert (error["code"], error["scalix"]["code"]) == ("content_filter", "provider_refused")
    assert "The temperature is wrong" in answer.json()["error"]["message"]
    assert not any(secret in answer.text for secret in SECRETS.split())
    assert bench.counted() == (1, 0, 0)
    assert len(bench.log()) == 1


def test_a_refusal_takes_the_model_from_nobody_else(bench: Bench) -> None:
    for status in (401, 404, 429, 500):
        assert bench.post("chat", f"status={status}").status_code == 503
        assert bench.post("chat", "words=3").status_code == 200


@pytest.mark.parametrize("way", WAYS, ids=_names)
def test_attempts_that_fail_are_not_counted_beside_the_one_that_succeeds(bench: Bench, way: Way) -> None:
    answer = _send(bench, way, f"statuses=500,500,200 key={secrets.token_hex(6)}")
    counted = bench.counted()
    entries = bench.log(3)

    assert answer.status_code == 200, answer.text
    assert [entry["status"] for entry in entries] == [500, 500, 200]
    assert counted == (1, _total(entries[-1]), 0)


# ---- a provider's nonsense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "usage"), crossed(WAYS, ["string", "none", "null", "negative", "zero", "huge", "string"])
)
def test_a_usage_that_cant_be_true_is_replaced_by_our_own_count(bench: Bench, way: Way, usage: str) -> None:
    answer = _send(bench, way, f"words=40 usage={usage}")
    counted = bench.counted()
    (entry,) = bench.log()

    assert answer.status_code == 200, answer.text
    assert (counted[0], counted[2]) == (1, 0)
    assert _is_near(counted[1], _by_tokenizer(entry)), (counted, entry)
    assert counted[1] > entry["prompt_tokens"] * 0.6
    assert "many" not in answer.text
    assert "1000000000000" not in answer.text


@pytest.mark.parametrize(("prompt", "completion"), [(0, 12), (10**13, 5), (25, 10**13)])
@pytest.mark.parametrize("way", [way for way in WAYS if way[0] == "chat"], ids=_names)
def test_half_a_usage_is_none(bench: Bench, way: Way, prompt: int, completion: int) -> None:
    answer = _send(bench, way, f"words=30 prompt_tokens={prompt} completion_tokens={completion}")
    counted = bench.counted()
    (entry,) = bench.log()

    assert answer.status_code == 200, answer.text
    assert counted[0] == 1
    assert _is_near(counted[1], _by_tokenizer(entry)), (counted, entry)


def test_text_that_says_it_is_the_end_is_not_taken_for_it(bench: Bench) -> None:
    """The last event is held back until it is counted; an answer about events must not be."""
    text = 'data: [DONE] {"error": {}} message_stop response.completed event: error'
    answer = bench.post(
        "chat", "words=5", stream=True, messages=[{"role": "user", "content": f"{bench.marker} {text}"}]
    )
    assert answer.text.endswith("data: [DONE]\n\n")


# ---- refused by us --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", PATHS)
def test_what_we_refuse_costs_nothing_and_reaches_no_provider(bench: Bench, route: str) -> None:
    fields: list[dict[str, Any]] = [
        {"no-log": True},
        {"mock_response": "free"},
        {"api_base": bench.provider.url},
        {"fallbacks": ["gpt-4"]},
        {"extra_body": {"model": "gpt-4"}},
        {"input_cost_per_token": 0},
        {"stream": "yes"},
    ]
    for field in fields:
        answer = bench.http.post(PATHS[route], json=bench.body(route) | field)
        assert answer.status_code == 400, (field, answer.text)
        assert answer.json()["error"]["param"] == next(iter(field))
    unknown = bench.post(route, model="gpt-4,free-gemini-flash")

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert bench.counted() == (0, 0, 0)
    assert bench.provider.requests(contains=bench.marker) == []


@pytest.mark.parametrize("route", PATHS)
def test_both_parsers_see_one_request(bench: Bench, route: str) -> None:
    """Of duplicate keys one holds for us and for the provider; a model in the URL is none."""
    raw = json.dumps(bench.body(route, model="free-gemini-flash"))
    doubled = raw[:-1] + ', "model": "free-deepseek-chat"}'
    answer = bench.http.post(
        PATHS[route] + "?model=gpt-4", content=doubled, headers={"content-type": "application/json"}
    )
    (entry,) = bench.log()

    assert answer.status_code == 200, answer.text
    assert entry["model"] == "free-deepseek-chat"
    assert bench.counted()[0] == 1


def test_a_body_too_deep_to_forward_is_refused_before_anything_is_reserved(bench: Bench) -> None:
    deep = json.loads("[" * 300 + "]" * 300)
    answer = bench.post("chat", metadata={"deep": deep})

    assert answer.status_code == 400, answer.text
    assert bench.counted() == (0, 0, 0)


def test_no_answer_and_no_log_line_holds_the_providers_key(bench: Bench, gateway: Gateway) -> None:
    answer = bench.post("chat", f"status=400 error_message=your_key_{PROVIDER_KEY}_is_odd")

    assert answer.status_code == 400
    assert "your key " in answer.text  # the provider's own words, but for the key
    assert PROVIDER_KEY not in answer.text
    assert PROVIDER_KEY not in gateway.log_text()
    assert not re.search(r"Traceback", gateway.log_text())
