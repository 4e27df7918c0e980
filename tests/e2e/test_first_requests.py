"""What a newcomer does first, with the real SDKs, against the whole gateway."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.demo_server import DemoServer
from tests.e2e.conftest import NewUser
from tests.e2e.gateways import Gateway
from tests.edge.described import check_answer

HELLO: Any = [{"role": "user", "content": "Say hello. [[demo words=5]]"}]


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.master_key, max_retries=0) as client:
        yield client


def test_an_answer_has_usage_and_rate_limit_headers(http: httpx.Client, new_user: NewUser) -> None:
    answer = http.post(
        "/v1/chat/completions", json={"model": "free-gemini-flash", "user": new_user(), "messages": HELLO}
    )
    assert answer.status_code == 200
    used = answer.json()["usage"]["total_tokens"]
    assert used > 0
    assert answer.headers["x-ratelimit-limit-requests"] == "10"
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(10_000 - used)
    assert answer.headers["x-scalix-tier"] == "free"
    assert '"requests-hour";q=10;w=3600' in answer.headers["ratelimit-policy"]


def test_the_openai_sdk_gets_whole_answers_and_streams(sdk: openai.OpenAI, new_user: NewUser) -> None:
    user = new_user()
    whole = sdk.chat.completions.create(model="free-gemini-flash", user=user, messages=HELLO)
    parts = sdk.chat.completions.create(
        model="free-gemini-flash",
        user=user,
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    text, usage = "", None
    for part in parts:
        text += (part.choices[0].delta.content or "") if part.choices else ""
        usage = part.usage or usage
    assert text == whole.choices[0].message.content
    assert usage == whole.usage


def test_a_stream_without_include_usage_shows_none_and_is_counted_all_the_same(
    sdk: openai.OpenAI, http: httpx.Client, new_user: NewUser, demo_server: DemoServer, marker: str
) -> None:
    user = new_user()
    messages: Any = [{"role": "user", "content": f"{marker} [[demo words=7]]"}]
    parts = list(sdk.chat.completions.create(model="free-gemini-flash", user=user, messages=messages, stream=True))
    assert {part.usage for part in parts} == {None}
    counted = http.get("/user/info", params={"user_id": user}).json()["usage"]
    (request,) = demo_server.requests(contains=marker, settled=1)
    assert counted["tokens_today"] == request["prompt_tokens"] + request["completion_tokens"]
    assert (counted["requests_today"], counted["in_flight_requests"]) == (1, 0)


def test_the_anthropic_sdk_gets_whole_answers_and_streams(gateway: Gateway) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.master_key, max_retries=0) as client:
        whole = client.messages.create(model="free-gemini-flash", max_tokens=50, messages=HELLO)
        with client.messages.stream(model="free-gemini-flash", max_tokens=50, messages=HELLO) as stream:
            text = "".join(stream.text_stream)
    assert text == "".join(block.text for block in whole.content if block.type == "text")
    assert whole.usage.output_tokens == 5


def test_the_eleventh_free_request_in_an_hour_is_a_rate_limit_error_with_the_right_wait(
    sdk: openai.OpenAI, new_user: NewUser
) -> None:
    user = new_user()
    _not_at_the_turn_of_the_hour()
    for _ in range(10):
        sdk.chat.completions.create(model="free-gemini-flash", user=user, messages=HELLO)
    with pytest.raises(openai.RateLimitError) as caught:
        sdk.chat.completions.create(model="free-gemini-flash", user=user, messages=HELLO)
    now = time.time()
    response = caught.value.response
    assert caught.value.code == "rate_limit_exceeded"
    assert response.headers["x-should-retry"] == "false"
    assert abs(int(response.headers["retry-after"]) - (3600 - now % 3600)) <= 1.5
    details = response.json()["error"]["scalix"]
    assert details["tier"] == "free"
    assert (details["limit"], details["limit_value"], details["used"]) == ("requests-hour", 10, 10)
    assert details["upgrade_url"] == "https://scalix.world/pricing"
    assert datetime.fromisoformat(details["reset_at"]).timestamp() == now - now % 3600 + 3600
    assert response.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_model_of_another_tier_is_a_403_that_names_the_tier_and_an_upgrade_helps_at_once(
    sdk: openai.OpenAI, http: httpx.Client, new_user: NewUser
) -> None:
    user = new_user()
    with pytest.raises(openai.PermissionDeniedError) as caught:
        sdk.chat.completions.create(model="scalix-engine", user=user, messages=HELLO)
    assert caught.value.code == "model_not_allowed"
    assert "pro" in caught.value.message
    assert http.post("/user/update", json={"user_id": user, "tier": "pro"}).status_code == 200
    answer = sdk.chat.completions.create(model="scalix-engine", user=user, messages=HELLO)
    assert answer.usage


def test_wrong_and_missing_keys_are_401(gateway: Gateway) -> None:
    with gateway.client("sk-wrong-key-0123456789") as client:
        wrong = client.post("/v1/chat/completions", json={"model": "gpt-4", "messages": HELLO})
    missing = httpx.post(f"{gateway.url}/v1/chat/completions", json={"model": "gpt-4", "messages": HELLO})
    for answer in (wrong, missing):
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert "sk-wrong" not in answer.text


def test_an_unknown_model_and_an_unknown_path_are_404(http: httpx.Client, new_user: NewUser) -> None:
    body = {"model": "no-such-model", "user": new_user(), "messages": HELLO}
    assert http.post("/v1/chat/completions", json=body).json()["error"]["code"] == "model_not_found"
    assert http.get("/model/new").json()["error"]["code"] == "route_not_found"


def test_models_are_those_of_the_callers_tier(http: httpx.Client, new_user: NewUser) -> None:
    listed = http.get("/v1/models", params={"user": new_user()}).json()["data"]
    names = {model["id"] for model in listed}
    assert {"free-gemini-flash", "free-deepseek-chat"} <= names
    assert not names & {"gpt-4", "scalix-engine"}
    everything = {model["id"] for model in http.get("/models").json()["data"]}
    assert {"gpt-4", "scalix-engine"} <= everything


def test_health_says_little_without_a_key_and_more_with_it(gateway: Gateway, http: httpx.Client) -> None:
    assert httpx.get(f"{gateway.url}/health/liveliness").json() == {"status": "alive"}
    ready = httpx.get(f"{gateway.url}/health/readiness")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "litellm": "ok", "store": "ok"})
    assert set(httpx.get(f"{gateway.url}/health").json()) == {"status", "version"}
    checked = http.get("/health").json()
    assert checked["healthy_count"] >= 9
    check_answer("GET", "/health", checked)
    check_answer("GET", "/health/readiness", ready.json())


def test_the_model_check_leaves_the_deployments_as_they_are(http: httpx.Client, new_user: NewUser) -> None:
    http.get("/health")
    body = {"model": "free-gemini-flash", "user": new_user(), "prompt": "Once upon a time"}
    assert http.post("/v1/completions", json=body).status_code == 200


@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/chat/completions", {"messages": HELLO}),
        ("/completions", {"prompt": "Say hello."}),
        ("/embeddings", {"input": "Say hello."}),
        ("/responses", {"input": "Say hello."}),
        ("/messages", {"messages": HELLO, "max_tokens": 20}),
    ],
)
def test_every_metered_route_charges_what_the_provider_counted(
    http: httpx.Client, new_user: NewUser, demo_server: DemoServer, prefix: str, path: str, content: dict[str, object]
) -> None:
    user, since = new_user(), demo_server.last_seq()
    answer = http.post(prefix + path, json={"model": "free-gemini-flash", "user": user, **content})
    assert answer.status_code == 200, answer.text
    (request,) = demo_server.requests(since=since, settled=1)
    counted = http.get("/user/info", params={"user_id": user}).json()["usage"]
    assert counted["tokens_today"] == request["prompt_tokens"] + request["completion_tokens"]
    assert counted["requests_today"] == 1


def _not_at_the_turn_of_the_hour() -> None:
    left = 3600 - time.time() % 3600
    if left < 15:
        time.sleep(left + 0.1)
