"""What a provider has used is charged, wherever and however it states it: against a running gateway, whose provider's
log says what it was asked."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_gateway import begun_anew
from tests.e2e.scripted_provider import Answer, Provider, scripted_models, whole
from tests.e2e.test_late_usage import CHAT, MESSAGE, RESPONSE, RESPONSES, SAID, chunk, data
from tests.e2e.test_who_is_to_blame import Caller, proper

# Names of their own: what a model is seen to do counts for its next answers.
OPENAI, GEMINI, CLAUDE = "stated-openai", "stated-gemini", "stated-claude"
MODELS = scripted_models(
    (OPENAI, "openai/stated", "/v1"),
    (GEMINI, "gemini/gemini-2.5-flash", ""),
    (CLAUDE, "anthropic/claude-stated", ""),
)
# One whose prompts are dear to keep for an hour.
CACHED = "cached-claude"
_HOUR = {"cache_creation_input_token_cost": 1e-6, "cache_creation_input_token_cost_above_1hr": 1e-3}
_RATES = {"output_cost_per_token": 1e-6, **_HOUR}
MODELS.append(
    {
        **MODELS[2],
        "model_name": CACHED,
        "model_info": {"input_cost_per_token": 1e-6, **_RATES},
    }
)
CHATS, RESPOND, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
DONE = b"data: [DONE]\n\n"
_MIB = 2**20


@pytest.fixture(scope="module")
def provider(answering: Provider) -> Provider:
    return begun_anew(answering)


@pytest.fixture
def http(answered: Gateway) -> Iterator[httpx.Client]:
    with answered.client() as client:
        yield client


@pytest.fixture(autouse=True)
def _as_usual(provider: Provider) -> None:
    provider.answer = proper


def stream(*pieces: bytes, kind: str = "text/event-stream") -> Answer:
    return Answer(200, pieces, (("content-type", kind),) if kind else ())


def usage_chunk(usage: dict[str, Any]) -> bytes:
    return chunk({}, choices=[], usage=usage)


def chat(usage: dict[str, Any], choices: int = 1, content: str = "hello", **more: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop", **more}
    listed = [{"index": index, **choice} for index in range(choices)]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": listed, "usage": usage}


def completed(output_tokens: int) -> bytes:
    usage = {"input_tokens": 30, "output_tokens": output_tokens, "total_tokens": 30 + output_tokens}
    answer = {**RESPONSE, "status": "completed", "output": [SAID], "usage": usage}
    return data(type="response.completed", response=answer, sequence_number=4)


def gemini(usage: dict[str, int] | None, finish: str | None = None, part: dict[str, Any] | None = None) -> bytes:
    candidate = {"content": {"role": "model", "parts": [part or {"text": "hello"}]}, "index": 0}
    return data(
        candidates=[candidate | ({"finishReason": finish} if finish else {})],
        **({"usageMetadata": usage} if usage else {}),
    )


CHAT_USAGE = {"prompt_tokens": 70, "completion_tokens": 20_000, "total_tokens": 20_070}
# Gemini's endpoint in OpenAI's format has thoughts in the total only; xAI states them beside the completion.
ONLY_IN_TOTAL = {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 1_015}
BESIDE = {**ONLY_IN_TOTAL, "completion_tokens_details": {"reasoning_tokens": 1_000}}
THOUGHT = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 3_000,
    "toolUsePromptTokenCount": 9_000,
    "totalTokenCount": 12_012,
}
LESS = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
ITERATIONS = {
    "input_tokens": 100,
    "output_tokens": 20,
    "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 100, "output_tokens": 20},
    ],
}
CLAUDE_OPENS = {**MESSAGE, "usage": {"input_tokens": 100, "output_tokens": 1}}
CLAUDE_STREAM = (
    data(type="message_start", message=CLAUDE_OPENS),
    data(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
    data(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"}),
    data(type="content_block_stop", index=0),
    data(type="message_delta", delta={"stop_reason": "end_turn"}, usage=ITERATIONS),
    data(type="message_stop"),
)
# What is compressed badly: of two mebibytes of base64.
IMAGE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(bytes(range(256)) * 6_144).decode()}}
PROBABLE = {"token": "x", "logprob": -1.0, "bytes": [1], "top_logprobs": [{"token": "y", "logprob": -1.0}] * 20}
COLONS = chunk({"content": ":" * 2 * _MIB})  # each piece of it could be a comment

# A model, a route, whether it streams, the answer, and what it has used.
Stated = tuple[str, str, bool, Answer, int]
STATED: dict[str, Stated] = {
    "before the mark of the end, in one piece with it": (
        *(OPENAI, CHATS, True),
        stream(*CHAT[0], usage_chunk(CHAT_USAGE) + DONE),
        20_070,
    ),
    "after the mark of the end, in one piece with all": (
        *(OPENAI, CHATS, True),
        stream(b"".join(CHAT[0]) + DONE + usage_chunk(CHAT_USAGE)),
        20_070,
    ),
    "in a second end, larger": (
        *(OPENAI, RESPOND, True),
        stream(*RESPONSES[0], completed(10) + completed(9_000)),
        9_030,
    ),
    "in a second end, smaller": (
        *(OPENAI, RESPOND, True),
        stream(*RESPONSES[0], completed(9_000) + completed(10)),
        9_030,
    ),
    "in the total only": (OPENAI, CHATS, False, whole(chat(ONLY_IN_TOTAL)), 1_015),
    "in the total only, streamed": (
        *(OPENAI, CHATS, True),
        stream(*CHAT[0], usage_chunk(ONLY_IN_TOTAL), DONE),
        1_015,
    ),
    "beside the completion": (OPENAI, CHATS, False, whole(chat(BESIDE)), 1_015),
    "beside the completion, streamed": (OPENAI, CHATS, True, stream(*CHAT[0], usage_chunk(BESIDE), DONE), 1_015),
    "beside the completion, on another route": (
        *(OPENAI, MESSAGES, True),
        stream(*CHAT[0], usage_chunk(BESIDE), DONE),
        1_015,
    ),
    "whole in an event that is not the last": (
        *(GEMINI, CHATS, True),
        stream(gemini(THOUGHT), gemini(LESS, "STOP")),
        12_012,
    ),
    "among iterations": (
        *(CLAUDE, MESSAGES, False),
        whole(
            {**MESSAGE, "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "usage": ITERATIONS}
        ),
        183_620,
    ),
    "among iterations, streamed": (CLAUDE, MESSAGES, True, stream(*CLAUDE_STREAM), 183_620),
    "in one event with two mebibytes": (GEMINI, CHATS, True, stream(gemini(THOUGHT, "STOP", IMAGE)), 12_012),
    "after an event of two mebibytes": (
        *(OPENAI, CHATS, True),
        stream(COLONS, *CHAT[0], usage_chunk(CHAT_USAGE), DONE),
        20_070,
    ),
}


@pytest.mark.parametrize("stated", STATED.values(), ids=STATED.keys())
def test_a_usage_is_charged_wherever_it_is_stated(http: httpx.Client, provider: Provider, stated: Stated) -> None:
    model, path, streams, answer, tokens = stated
    provider.answer = lambda path, body: answer
    caller = Caller(http)
    given = caller.ask(model, path, stream=streams)
    assert given.status_code == 200, given.text[:500]
    assert caller.used() == (1, tokens)


EMPTY: dict[str, Stated] = {
    "no choice": (OPENAI, CHATS, False, whole(chat(CHAT_USAGE, choices=0)), 20_070),
    "no candidate": (GEMINI, CHATS, False, whole({"candidates": [], "usageMetadata": THOUGHT}), 12_012),
    "a stream of nothing else": (OPENAI, CHATS, True, stream(usage_chunk(CHAT_USAGE), DONE), 20_070),
}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY.keys())
def test_an_answer_of_thoughts_alone_is_asked_for_once_and_charged(
    http: httpx.Client, provider: Provider, empty: Stated
) -> None:
    model, path, streams, answer, tokens = empty
    provider.answer = lambda path, body: answer
    caller, asked = Caller(http), len(provider.asked)
    caller.ask(model, path, stream=streams)
    assert len(provider.asked) == asked + 1
    assert caller.used() == (1, tokens)


def test_an_answer_that_is_larger_than_is_read_is_asked_for_once_and_charged_as_reserved(
    http: httpx.Client, provider: Provider
) -> None:
    raw = orjson.dumps(chat(CHAT_USAGE, choices=16, logprobs={"content": [PROBABLE] * 4_000}))
    assert len(raw) > 32 * _MIB
    provider.answer = lambda path, body: Answer(200, (raw,))
    caller, asked = Caller(http), len(provider.asked)
    answer = caller.ask(OPENAI, n=2, logprobs=True, top_logprobs=20, max_tokens=1_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "answer_untranslatable")
    assert "fewer choices" in answer.json()["error"]["message"]
    assert len(provider.asked) == asked + 1
    requests, tokens = caller.used()
    assert requests == 1
    assert 2_000 < tokens < 2_100


@pytest.mark.parametrize("kind", ["Application/JSON", "text/json", "application/problem+json", "text/plain", ""])
def test_an_error_in_a_200_is_the_providers_failure_under_any_content_type(
    http: httpx.Client, provider: Provider, kind: str
) -> None:
    headers = (("content-type", kind),) if kind else ()
    provider.answer = lambda path, body: Answer(200, (b'{"error": {"message": "no"}}',), headers)
    caller = Caller(http)
    assert caller.ask(OPENAI).status_code == 503
    assert caller.used() == (0, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "googleSearch": {}}]},
        {"tools": [{"type": "custom", "urlContext": {}}]},
        {"tools": [{"type": "bash_20250124", "googleMaps": {}}]},
        {"functions": [{"googleSearch": {}}]},
        {"functions": [{"code_execution": {}}]},
    ],
    ids=str,
)
def test_a_tool_of_the_providers_own_is_refused_where_tokens_are_limited_whatever_its_type_says(
    http: httpx.Client, provider: Provider, more: dict[str, Any]
) -> None:
    caller, asked = Caller(http), len(provider.asked)
    answer = caller.ask(GEMINI, **more)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == f"{next(iter(more))}[0]"
    assert len(provider.asked) == asked


def test_a_conversation_that_the_provider_is_to_shorten_is_refused_where_tokens_are_limited(
    http: httpx.Client, provider: Provider
) -> None:
    asked = len(provider.asked)
    answer = Caller(http).ask(CLAUDE, MESSAGES, context_management={"edits": [{"type": "compact_20260112"}]})
    assert answer.status_code == 400
    assert "context_management" in answer.text
    assert len(provider.asked) == asked
    cleared = Caller(http).ask(CLAUDE, MESSAGES, context_management={"edits": [{"type": "clear_tool_uses_20250919"}]})
    assert cleared.status_code == 200


HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
FUNCTION = {"name": "f", "description": "word " * 200, "parameters": {"type": "object"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = [
    {"role": "user", "content": "word " * 200},
    {"role": "assistant", "content": None, "tool_calls": [{**CALL, **HOUR}]},
    {"role": "tool", "tool_call_id": "c1", "content": "hello"},
]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": FUNCTION, **HOUR}]},
        {"tools": [{"type": "function", "function": {**FUNCTION, **HOUR}}]},
        {"messages": CALLED},
    ],
    ids=["a tool", "a function", "a call"],
)
def test_what_is_to_be_kept_for_an_hour_is_reserved_at_its_price(
    http: httpx.Client, provider: Provider, more: dict[str, Any]
) -> None:
    answer = Caller(http, "ten-cents").ask(CACHED, max_tokens=16, **more)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    asked = len(provider.asked)
    assert Caller(http, "roomy").ask(CACHED, max_tokens=16, **more).status_code == 200
    assert "1h" in str(provider.asked[asked][1])  # it is so that the provider would bill it
