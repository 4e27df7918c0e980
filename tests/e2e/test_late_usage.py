"""A client that goes before the provider has stated its usage pays what was used, by the provider's own figures where
they still come: against a running gateway."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_gateway import begun_anew
from tests.e2e.scripted_provider import Answer, Provider, whole
from tests.e2e.test_who_is_to_blame import CLAUDE, GEMINI, OPENAI, Caller, proper

_STREAM = (("content-type", "text/event-stream"),)
# One whose price map says what a search on the web costs, $0.01.
SEARCHING: dict[str, Any] = {
    "model_name": "late-searching",
    "litellm_params": {
        "model": "anthropic/claude-sonnet-4-5",
        "api_base": "${TEST_PROVIDER_ROOT}",
        "api_key": "${TEST_PROVIDER_KEY}",
    },
}


@pytest.fixture(scope="module")
def provider(answering: Provider) -> Provider:
    return begun_anew(answering)


@pytest.fixture
def http(answered: Gateway) -> Iterator[httpx.Client]:
    with answered.client() as client:
        yield client


def data(**event: Any) -> bytes:
    name = f"event: {event['type']}\n".encode() if "type" in event else b""
    return name + b"data: " + orjson.dumps(event) + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return data(
        **{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
    )


USAGE = {"prompt_tokens": 70, "completion_tokens": 20_000, "total_tokens": 20_070}
CHAT = (
    (chunk({"role": "assistant", "content": "hello"}), chunk({}, "stop")),
    (chunk({}, choices=[], usage=USAGE), b"data: [DONE]\n\n"),
)
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
}
ANTHROPIC = (
    (
        data(type="message_start", message={**MESSAGE, "usage": {"input_tokens": 50, "output_tokens": 1}}),
        data(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        data(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"}),
        data(type="content_block_stop", index=0),
    ),
    (
        data(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 16_000}),
        data(type="message_stop"),
    ),
)
RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": []}
ITEM: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
SAID = {**ITEM, "content": [{"type": "output_text", "text": "hello", "annotations": []}]}
RESPONSES = (
    (
        data(type="response.created", response={**RESPONSE, "status": "in_progress"}, sequence_number=0),
        data(type="response.output_item.added", output_index=0, item={**ITEM, "content": []}, sequence_number=1),
        data(
            type="response.output_text.delta",
            item_id="msg_1",
            output_index=0,
            content_index=0,
            delta="hello",
            sequence_number=2,
        ),
        data(type="response.output_item.done", output_index=0, item=SAID, sequence_number=3),
    ),
    (
        data(
            type="response.completed",
            response={
                **RESPONSE,
                "status": "completed",
                "output": [SAID],
                "usage": {
                    "input_tokens": 30,
                    "output_tokens": 9_000,
                    "total_tokens": 9_030,
                    "output_tokens_details": {"reasoning_tokens": 8_998},
                },
            },
            sequence_number=4,
        ),
    ),
)


def parts(text: str, **more: Any) -> bytes:
    return data(candidates=[{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}], **more)


GEMINI_END = {"content": {"role": "model", "parts": [{"text": "."}]}, "finishReason": "STOP", "index": 0}
GEMINI_USAGE = {"promptTokenCount": 40, "candidatesTokenCount": 2, "thoughtsTokenCount": 5_000}
GEMINI_STREAM = (
    (parts("hello"), data(candidates=[GEMINI_END])),
    (data(candidates=[], usageMetadata=GEMINI_USAGE),),
)


def said_then(answer: tuple[tuple[bytes, ...], tuple[bytes, ...]], left: threading.Event) -> Any:
    """The first part, and the second one a moment after the client has gone."""

    def answering(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield from answer[0]
            left.wait(10)
            time.sleep(0.05)
            yield from answer[1]

        return Answer(200, pieces(), _STREAM)

    return answering


def leave_after(caller: Caller, word: bytes, path: str, model: str, left: threading.Event) -> None:
    """Read a stream up to a word, and go."""
    body: dict[str, Any] = {"model": model, "user": caller.name, "stream": True, "max_tokens": 200}
    if path.endswith("/responses"):
        body |= {"max_output_tokens": body.pop("max_tokens"), "input": "hi"}
    else:
        body["messages"] = [{"role": "user", "content": "hi"}]
    with caller.http.stream("POST", path, json=body) as answer:
        seen = b""
        for piece in answer.iter_raw():
            seen += piece
            if word in seen:
                break
    left.set()


def leave_in_time(caller: Caller, path: str, body: dict[str, Any], seconds: float) -> None:
    """Read what comes, and go after some seconds."""
    until_s = time.monotonic() + seconds
    with suppress(httpx.ReadTimeout), caller.http.stream("POST", path, json=body, timeout=seconds) as answer:
        for _ in answer.iter_raw():
            if time.monotonic() > until_s:
                break


def settled(caller: Caller, wait_s: float = 10) -> tuple[int, int]:
    deadline = time.monotonic() + wait_s
    while caller.used()[0] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return caller.used()


@pytest.mark.parametrize(
    ("model", "path", "answer", "last_word", "tokens"),
    [
        (OPENAI, "/v1/chat/completions", CHAT, b'"stop"', 20_070),
        (CLAUDE, "/v1/messages", ANTHROPIC, b"content_block_stop", 16_050),
        (CLAUDE, "/v1/chat/completions", ANTHROPIC, b"hello", 16_050),
        (OPENAI, "/v1/responses", RESPONSES, b"response.output_item.done", 9_030),
        (GEMINI, "/v1/chat/completions", GEMINI_STREAM, b"hello", 5_042),
    ],
)
def test_who_has_read_the_whole_answer_and_resets_before_its_usage_pays_what_the_provider_states(
    http: httpx.Client, provider: Provider, model: str, path: str, answer: Any, last_word: bytes, tokens: int
) -> None:
    left = threading.Event()
    provider.answer = said_then(answer, left)
    caller = Caller(http)
    leave_after(caller, last_word, path, model, left)
    assert settled(caller) == (1, tokens)


@pytest.mark.parametrize(
    ("model", "path", "opening"),
    [
        (OPENAI, "/v1/chat/completions", [chunk({"role": "assistant", "content": ""})]),
        (CLAUDE, "/v1/messages", list(ANTHROPIC[0][:1])),
        (OPENAI, "/v1/responses", list(RESPONSES[0][:1])),
        # What is shown of the thoughts is a summary.
        (
            CLAUDE,
            "/v1/messages",
            [
                ANTHROPIC[0][0],
                data(type="content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
                *[data(type="content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "so"})] * 5,
            ],
        ),
    ],
    ids=["chat", "messages", "responses", "summary"],
)
def test_a_model_that_thinks_unseen_is_hung_up_on_at_once_and_its_time_is_charged(
    http: httpx.Client, provider: Provider, model: str, path: str, opening: list[bytes]
) -> None:
    # Given a model that has begun and shows nothing
    hung_up = threading.Event()

    def thinking(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield from opening
            try:
                for _ in range(600):
                    yield (opening[-1] if len(opening) > 1 else b": thinking\n\n")
                    time.sleep(0.05)
            finally:
                hung_up.set()

        return Answer(200, pieces(), _STREAM)

    provider.answer = thinking
    caller = Caller(http)
    body: dict[str, Any] = {"model": model, "user": caller.name, "stream": True}
    if path.endswith("/responses"):
        body |= {"max_output_tokens": 2_000, "input": "hi"}
    else:
        body |= {"max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}]}
    # When its client goes after two seconds
    leave_in_time(caller, path, body, 2.0)
    # Then the provider is not left working, and what it can have thought in that time is charged
    assert hung_up.wait(5)
    requests, tokens = settled(caller)
    assert requests == 1
    assert 200 < tokens < 700  # some two seconds at 150 tokens a second, and the prompt


@pytest.mark.parametrize("pause_s", [0, 0.05, 1], ids=["at-once", "soon", "late"])
def test_a_usage_after_the_end_of_a_stream_counts_or_the_charge_is_an_estimate(
    http: httpx.Client, provider: Provider, pause_s: float
) -> None:
    # Given a provider that states its usage after the mark where OpenAI's clients stop reading
    done, usage = b"data: [DONE]\n\n", CHAT[1][0]

    def answering(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield b"".join((*CHAT[0], done, usage)) if not pause_s else b"".join((*CHAT[0], done))
            if pause_s:
                time.sleep(pause_s)
                yield usage

        return Answer(200, pieces(), _STREAM)

    provider.answer = answering
    caller = Caller(http)
    answer = caller.ask(OPENAI, stream=True)
    # Then it counts where it comes in time; else what was seen is counted, and said to be an estimate
    assert answer.content.rstrip().endswith(b"[DONE]")
    (event,) = ledger_of(caller)
    assert event["estimated"] is (pause_s == 1)
    assert (caller.used()[1] == 20_070) is (pause_s < 1)


def ledger_of(caller: Caller) -> list[dict[str, Any]]:
    """The user's events, as the user is shown them."""
    secret = caller.http.post("/key/generate", json={"user_id": caller.name}).json()["key"]
    headers = {"authorization": f"Bearer {secret}"}
    found: list[dict[str, Any]] = caller.http.get("/scalix/v1/usage/events", headers=headers).json()["events"]
    return found


def test_the_place_of_a_client_that_has_gone_is_free_while_its_usage_is_waited_for(
    http: httpx.Client, provider: Provider
) -> None:
    # Given a user of a tier with one request at once, who goes when the answer is over, and a usage that does not come
    left, never = threading.Event(), threading.Event()
    provider.answer = said_then(CHAT, never)
    caller = Caller(http, "two-at-once")
    for _ in range(2):
        leave_after(caller, b'"stop"', "/v1/chat/completions", OPENAI, left)
    # When the next one is sent, sooner than the usage is given up
    provider.answer = proper
    deadline = time.monotonic() + 1.0
    while (answer := caller.ask(OPENAI)).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Then there is room for it
    assert answer.status_code == 200
    never.set()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_what_a_provider_bills_beside_tokens_is_charged_on_every_route(
    http: httpx.Client, provider: Provider, path: str, stream: bool
) -> None:
    usage = {"input_tokens": 50, "output_tokens": 5, "server_tool_use": {"web_search_requests": 30}}

    def answer(path: str, body: dict[str, Any]) -> Answer:
        if not stream:
            return whole({**orjson.loads(b"".join(proper(path, body).pieces)), "usage": usage})
        end = data(type="message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        return Answer(200, (*ANTHROPIC[0], end, ANTHROPIC[1][1]), _STREAM)

    provider.answer = answer
    caller = Caller(http, "all-models")
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    assert caller.ask("late-searching", path, stream=stream, tools=tools).status_code == 200
    cost_usd = http.get("/user/info", params={"user_id": caller.name}).json()["usage"]["cost_today_usd"]
    assert cost_usd == pytest.approx(30 * 0.01 + 50 * 3e-6 + 5 * 15e-6, abs=1e-6)
