"""Traces as an OTLP receiver gets them from a running gateway."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import MASTER_KEY, Gateway
from tests.e2e.otlp_receiver import CLIENT, FAILED, SERVER, Received, Receiver, receiving
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_late_usage import chunk, data
from tests.e2e.test_who_is_to_blame import proper

PROMPT, ANSWER, USER = "canary-prompt-5531", "canary-answer-8802", "canary-user-1276"
DIRECT, TRANSLATED, FALLING = "free-deepseek-chat", "free-claude-format", "free-wizardlm"
_USAGE = {
    "prompt_tokens": 70,
    "completion_tokens": 20,
    "total_tokens": 90,
    "prompt_tokens_details": {"cached_tokens": 64},
}
_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-of-the-provider",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 70, "output_tokens": 1},
}
_EVENTS = (("content-type", "text/event-stream"),)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def answering() -> Iterator[Provider]:
    with scripted(proper) as made:
        yield made


@pytest.fixture
def provider(answering: Provider) -> Provider:
    answering.answer = _whole_chat
    answering.asked.clear()
    answering.heads.clear()
    return answering


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, answering: Provider, receiver: Receiver) -> Iterator[Gateway]:
    extra = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
    }
    made = Gateway(tmp_path_factory.mktemp("traced"), answering.url, extra=extra).start()
    yield made
    made.stop()


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def _whole_chat(path: str, body: dict[str, Any]) -> Answer:
    if path.endswith("/messages"):
        usage = {"input_tokens": 6, "output_tokens": 20, "cache_read_input_tokens": 64}
        content = [{"type": "text", "text": ANSWER}]
        said: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "stop_sequence": None,
            "usage": usage,
        }
        return whole({**said, "model": "claude-of-the-provider", "content": content, "stop_reason": "end_turn"})
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    said = {"id": "c", "object": "chat.completion", "created": 1, "model": "model-of-the-provider"}
    return whole({**said, "choices": [choice], "usage": _USAGE})


def _chat(http: httpx.Client, model: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def _spans_of(receiver: Receiver, answer: httpx.Response, spans: int) -> list[Received]:
    return receiver.of(answer.headers["x-request-id"], spans)


@pytest.mark.parametrize(
    ("model", "engine", "system", "names"),
    [
        (DIRECT, "direct", "openai", ("free-deepseek-chat", "model-of-the-provider", ["stop"])),
        (TRANSLATED, "litellm", "anthropic", ("claude-3-demo", "claude-of-the-provider", ["end_turn"])),
    ],
)
def test_a_request_and_the_attempt_at_its_provider_have_a_span_each(
    model: str, engine: str, system: str, names: Any, http: httpx.Client, provider: Provider, receiver: Receiver
) -> None:
    answer = _chat(http, model, user=USER)
    assert answer.status_code == 200, answer.text
    own, attempt = _spans_of(receiver, answer, 2)
    assert (own.name, own.kind, own.parent_id, own.status) == ("POST /v1/chat/completions", SERVER, "", 0)
    pseudonym = own.said.pop("scalix.user")
    assert len(pseudonym) == 12
    cost = own.said.pop("scalix.cost_usd", 0), own.said.pop("scalix.charge_usd", 0)
    assert all(amount >= 0 for amount in cost)
    assert own.said.pop("scalix.provider_cost_usd", 0) == cost[0]
    assert own.said == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "scalix.request_id": answer.headers["x-request-id"],
        "scalix.tier": "free",
        "scalix.model": model,
        "scalix.outcome": "success",
    }
    asked_for, said_model, reasons = names
    assert (attempt.name, attempt.kind, attempt.status) == (f"chat {asked_for}", CLIENT, 0)
    assert attempt.trace_id == own.trace_id
    assert attempt.said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": system,
        "gen_ai.request.model": asked_for,
        "gen_ai.response.model": said_model,
        "gen_ai.response.finish_reasons": reasons,
        "gen_ai.usage.input_tokens": 70,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "scalix.model": model,
        "scalix.engine": engine,
        "scalix.fallback": 0,
    }
    assert provider.heads[-1]["traceparent"] == f"00-{own.trace_id}-{attempt.span_id}-01"
    assert own.resource["service.name"] == "scalix-gateway"
    assert own.resource["deployment.environment.name"] == "tests"
    assert receiver.heads[-1]["x-tenant"] == "blue"


@pytest.mark.parametrize("model", [DIRECT, TRANSLATED])
def test_a_clients_trace_goes_on_to_its_provider_and_baggage_does_not(
    model: str, http: httpx.Client, provider: Provider, receiver: Receiver
) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    headers = {"traceparent": f"00-{trace}-{parent}-01", "tracestate": "blue=1, red=2", "baggage": "user=canary"}
    answer = _chat(http, model, headers)
    own, attempt = _spans_of(receiver, answer, 2)
    assert (own.trace_id, own.parent_id, own.state) == (trace, parent, "blue=1,red=2")
    head = provider.heads[-1]
    assert head["traceparent"] == f"00-{trace}-{attempt.span_id}-01"
    assert head["tracestate"] == "blue=1,red=2"
    assert "baggage" not in head


def test_the_operator_can_have_a_request_left_out_and_a_user_can_not(
    http: httpx.Client, gateway: Gateway, provider: Provider, receiver: Receiver
) -> None:
    trace = "5bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-00"}
    assert _chat(http, DIRECT, headers).status_code == 200
    assert provider.heads[-1]["traceparent"] == f"00-{trace}-{provider.heads[-1]['traceparent'][36:52]}-00"
    key = http.post("/key/generate", json={"user_id": "traced", "max_budget": None}).json()["key"]
    with gateway.client(key) as users:
        answer = _chat(users, DIRECT, headers)
    own, _ = _spans_of(receiver, answer, 2)
    assert own.trace_id == trace
    assert [span for span in receiver.spans if span.trace_id == trace and span.kind == SERVER] == [own]


@pytest.mark.parametrize("model", [DIRECT, TRANSLATED])
def test_the_span_of_a_stream_ends_with_it(
    model: str, http: httpx.Client, provider: Provider, receiver: Receiver
) -> None:
    def streamed(path: str, body: dict[str, Any]) -> Answer:
        if path.endswith("/messages"):
            pieces = [
                data(type="message_start", message=_MESSAGE),
                data(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
                data(type="content_block_delta", index=0, delta={"type": "text_delta", "text": ANSWER}),
                data(type="content_block_stop", index=0),
                data(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 20}),
                data(type="message_stop"),
            ]
        else:
            pieces = [chunk({"role": "assistant", "content": ANSWER})] + [chunk({"content": f" {n}"}) for n in range(9)]
            pieces += [chunk({}, "length"), chunk({}, choices=[], usage=_USAGE), b"data: [DONE]\n\n"]

        def slow() -> Iterator[bytes]:
            for piece in pieces:
                yield piece
                time.sleep(0.05)

        return Answer(200, slow(), _EVENTS)

    provider.answer = streamed
    answer = _chat(http, model, stream=True)
    assert answer.text.rstrip().endswith("[DONE]"), answer.text
    own, attempt = _spans_of(receiver, answer, 2)
    assert min(own.seconds, attempt.seconds) > 0.2
    assert 0 < attempt.said["gen_ai.response.time_to_first_chunk"] < attempt.seconds
    assert attempt.said["gen_ai.response.finish_reasons"] == (["length"] if model == DIRECT else ["end_turn"])
    assert attempt.said["gen_ai.response.model"]
    assert attempt.said["gen_ai.usage.output_tokens"] == 20


def test_each_attempt_has_a_span_and_a_failed_one_says_of_what(
    http: httpx.Client, provider: Provider, receiver: Receiver
) -> None:
    def falling(path: str, body: dict[str, Any]) -> Answer:
        if body["model"] == FALLING:
            return whole({"error": {"message": "canary-message", "type": "server_error"}}, 503)
        return _whole_chat(path, body)

    provider.answer = falling
    answer = _chat(http, FALLING)
    assert answer.status_code == 200, answer.text
    own, *attempts = _spans_of(receiver, answer, 3)
    failed, served = sorted(attempts, key=lambda span: span.said["scalix.fallback"])
    assert (failed.status, served.status, own.status) == (FAILED, 0, 0)
    assert (failed.said["error.type"], failed.said["http.response.status_code"]) == ("provider_down", 503)
    assert (failed.said["scalix.fallback"], served.said["scalix.fallback"]) == (0, 1)
    assert (failed.said["scalix.model"], own.said["scalix.model"]) == (FALLING, FALLING)
    assert served.said["scalix.model"] != FALLING
    assert {head["traceparent"][36:52] for head in provider.heads} == {failed.span_id, served.span_id}


def test_a_failure_of_all_is_told_by_its_class(http: httpx.Client, provider: Provider, receiver: Receiver) -> None:
    provider.answer = lambda path, body: whole({"error": {"message": "no", "type": "server_error"}}, 500)
    answer = _chat(http, TRANSLATED)
    assert answer.status_code == 503, answer.text
    own, attempt = _spans_of(receiver, answer, 2)
    assert (own.status, attempt.status) == (FAILED, FAILED)
    assert (own.said["scalix.outcome"], own.said["error.type"]) == ("provider_failed", "provider_down")


def test_refusals_have_a_span_with_their_code(
    http: httpx.Client, gateway: Gateway, provider: Provider, receiver: Receiver
) -> None:
    with gateway.client("sk-wrong-0123456789abcdef") as stranger:
        answers = [_chat(stranger, DIRECT, {"traceparent": f"00-{'6' * 32}-{'7' * 16}-01"}) for _ in range(2)]
    for answer in answers:
        (own,) = _spans_of(receiver, answer, 1)
        assert own.said["http.response.status_code"] == 401
        assert own.said["scalix.error.code"] == own.said["error.type"] == "invalid_api_key"
        assert own.trace_id != "6" * 32  # nobody knows who that is
    http.post("/user/new", json={"user_id": "limited-of-traces", "tier": "shadow"})
    key = http.post("/key/generate", json={"user_id": "limited-of-traces", "rpm_limit": 1}).json()["key"]
    with gateway.client(key) as limited:
        answers = [_chat(limited, DIRECT, {"traceparent": f"00-{'8' * 32}-{'9' * 16}-00"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    for answer in answers[1:]:  # the second one is refused before there is a task
        (own,) = _spans_of(receiver, answer, 1)
        assert (own.said["http.response.status_code"], own.trace_id) == (429, "8" * 32)
        assert own.said["scalix.error.code"] == answer.json()["error"]["code"]
        assert own.said["scalix.tier"] == "shadow"


def test_a_client_that_leaves_ends_its_span(http: httpx.Client, provider: Provider, receiver: Receiver) -> None:
    def endless(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            for _ in range(400):
                yield chunk({"content": "more "})
                time.sleep(0.02)

        return Answer(200, pieces(), _EVENTS)

    provider.answer = endless
    body = {"model": DIRECT, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
    with suppress(httpx.HTTPError), http.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_bytes())
    own, attempt = receiver.of(answer.headers["x-request-id"], 2)
    assert own.said["scalix.outcome"] == "client_cut"
    assert (own.status, attempt.said["scalix.engine"]) == (0, "direct")


def test_the_line_of_the_log_names_the_trace(
    http: httpx.Client, gateway: Gateway, provider: Provider, receiver: Receiver
) -> None:
    answer = _chat(http, DIRECT)
    own = _spans_of(receiver, answer, 2)[0]
    until_s = time.monotonic() + 10
    while f"trace={own.trace_id}" not in gateway.log_text() and time.monotonic() < until_s:
        time.sleep(0.05)
    (line,) = [line for line in gateway.log_text().splitlines() if f"trace={own.trace_id}" in line]
    assert answer.headers["x-request-id"] in line
    assert http.get("/health/liveliness").status_code == 200
    assert not [span for span in receiver.spans if "health" in span.name]


def test_no_span_holds_content_or_a_name(
    http: httpx.Client, gateway: Gateway, provider: Provider, receiver: Receiver
) -> None:
    _spans_of(receiver, _chat(http, DIRECT, user=USER), 2)
    sent = b"".join(receiver.raw)
    for secret in (PROMPT, ANSWER, USER, "canary-message", MASTER_KEY, "limited-of-traces", "127.0.0.1"):
        assert secret.encode() not in sent, secret
    figures = dict(line.rsplit(" ", 1) for line in http.get("/metrics").text.splitlines() if line[:1] != "#")
    assert float(figures["scalix_trace_spans_sent_total"]) >= 2
    assert float(figures["scalix_trace_spans_dropped_total"]) == 0
