"""What a provider's answer says of its usage, and what LiteLLM is given to read in its place."""

import json
from typing import Any

import httpx
import pytest

from scalix.domain.answers.event_kinds import data_of, is_substantial
from scalix.domain.answers.hidden_failures import failure_in_event, failure_status
from scalix.domain.answers.provider_answers import ProviderAnswer
from scalix.domain.answers.sound_usage import sound_usage
from scalix.domain.tokens.usage import Usage
from scalix.service.answers.provider_errors import provider_error
from scalix.service.answers.reading import CODEC

CHAT = {"object": "chat.completion", "choices": [{"message": {"content": "hi"}}]}
MESSAGE = {"type": "message", "content": [{"type": "text", "text": "hi"}]}
RESPONSE = {"object": "response", "status": "completed", "output": [{"type": "message"}]}
GEMINI: dict[str, Any] = {"candidates": [{"content": {}}]}


def _read(answer: dict[str, Any]) -> tuple[ProviderAnswer, dict[str, Any]]:
    provider = ProviderAnswer(CODEC)
    status, body = provider.whole(json.dumps(answer).encode())
    assert status == 200
    return provider, json.loads(body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({**CHAT, "usage": {"prompt_tokens": 5, "completion_tokens": 7}}, Usage(5, 7)),
        ({**CHAT, "usage": {"prompt_tokens": 5.0, "completion_tokens": 7}}, Usage(5, 7)),
        ({**RESPONSE, "usage": {"input_tokens": 5, "output_tokens": 7}}, Usage(5, 7)),
        ({**MESSAGE, "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3}}, Usage(8, 7, 3)),
        ({**GEMINI, "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}}, Usage(5, 7)),
        (
            {**GEMINI, "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 7}},
            Usage(5, 7, reasoning_tokens=7),
        ),
        ({"data": [{"embedding": []}], "usage": {"prompt_tokens": 5, "total_tokens": 5}}, Usage(5, 0)),
    ],
)
def test_a_sound_usage_is_read_in_every_format(answer: dict[str, Any], expected: Usage) -> None:
    provider, given = _read(answer)
    assert provider.usage == expected
    assert given == answer
    assert not provider.nonsense


@pytest.mark.parametrize("wrong", ["many", -3, 10**12, True, None, [], {}, 1.5, float("1e300")])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_nonsense_is_never_believed_and_never_reaches_litellm(name: str, wrong: Any) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, name: wrong}
    provider, given = _read({**CHAT, "usage": usage})
    if wrong is None:  # left out; then there is half a usage
        assert provider.usage == (Usage(5, 0) if name == "completion_tokens" else None)
        assert name not in given["usage"]
    else:
        assert provider.usage is None
        assert "usage" not in given


def test_anthropics_format_always_has_a_usage_for_litellm() -> None:
    for answer in (MESSAGE, {**MESSAGE, "usage": None}, {**MESSAGE, "usage": {"input_tokens": "x"}}):
        provider, given = _read(answer)
        assert provider.usage is None
        assert given["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_a_detail_that_cant_be_true_is_left_out_alone() -> None:
    details = {"cached_tokens": "x", "audio_tokens": 0}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": -1, "prompt_tokens_details": details}
    assert sound_usage(usage) == {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "prompt_tokens_details": {"audio_tokens": 0},
    }


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"error": {"message": "no", "code": 429}}, 429),
        ({"error": {"message": "no", "code": "rate_limited"}}, 502),
        ({"error": "no"}, 502),
        ({"type": "error", "error": {"type": "overloaded_error"}}, 502),
        ({**CHAT, "choices": []}, 502),
        ({"data": []}, 502),
        ({**MESSAGE, "content": [], "usage": {"input_tokens": 3, "output_tokens": 0}}, 502),
        # Claude may end its turn without a word, and thoughts may take all of an answer; both were work.
        ({**MESSAGE, "content": [], "usage": {"input_tokens": 3, "output_tokens": 2}}, None),
        ({**RESPONSE, "output": [], "status": "incomplete"}, None),
        ({**CHAT, "error": None}, None),
        (CHAT, None),
        ([], None),
    ],
)
def test_an_error_or_nothing_in_a_200_is_told_from_an_answer(answer: Any, status: int | None) -> None:
    assert failure_status(answer) == status


def test_usage_in_a_stream_is_read_where_it_comes_and_the_rest_passes_untouched() -> None:
    provider = ProviderAnswer(CODEC)
    delta = b'data: {"choices":[{"delta":{"content":"the \\"usage\\": 5"}}],"usage":null}\n\n'
    assert provider.event(delta) == delta
    assert provider.usage is None
    last = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n'
    assert provider.event(last) == last
    assert provider.usage == Usage(5, 7)


def test_a_message_streams_prompt_is_known_from_its_start_but_its_usage_from_its_end() -> None:
    provider = ProviderAnswer(CODEC)
    start = {"type": "message_start", "message": {"type": "message", "usage": {"input_tokens": 9, "output_tokens": 1}}}
    provider.event(b"event: message_start\ndata: " + json.dumps(start).encode() + b"\n\n")
    assert (provider.prompt_tokens, provider.usage) == (9, None)
    end = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 4}}
    provider.event(b"event: message_delta\ndata: " + json.dumps(end).encode() + b"\n\n")
    assert provider.usage == Usage(9, 4)


def test_what_a_message_stream_says_of_caches_at_its_start_is_remembered() -> None:
    provider = ProviderAnswer(CODEC)
    usage = {"input_tokens": 9, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 30, "output_tokens": 1}
    usage_of_an_hour = {**usage, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 30}}
    start = {"type": "message_start", "message": {"type": "message", "usage": usage_of_an_hour}}
    provider.event(b"data: " + json.dumps(start).encode() + b"\n\n")
    end = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 4}}
    provider.event(b"data: " + json.dumps(end).encode() + b"\n\n")
    assert provider.usage == Usage(59, 4, 20, 30, 30)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {
                **CHAT,
                "service_tier": "flex",
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 50,
                    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10, "cache_write_tokens": 5},
                    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
                },
            },
            Usage(
                100,
                50,
                cached_tokens=40,
                cache_write_tokens=5,
                audio_prompt_tokens=10,
                reasoning_tokens=20,
                audio_completion_tokens=5,
                service_tier="flex",
            ),
        ),
        (
            {
                **RESPONSE,
                "usage": {
                    "input_tokens": 100,
                    "input_tokens_details": {"cached_tokens": 64},
                    "output_tokens": 50,
                    "output_tokens_details": {"reasoning_tokens": 32},
                },
            },
            Usage(100, 50, cached_tokens=64, reasoning_tokens=32),
        ),
        (
            {
                **GEMINI,
                "usageMetadata": {
                    "promptTokenCount": 100,
                    "cachedContentTokenCount": 30,
                    "candidatesTokenCount": 20,
                    "thoughtsTokenCount": 10,
                    "promptTokensDetails": [
                        {"modality": "TEXT", "tokenCount": 60},
                        {"modality": "AUDIO", "tokenCount": 40},
                    ],
                    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
                    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 12}],
                    "trafficType": "ON_DEMAND_PRIORITY",
                },
            },
            Usage(
                100,
                30,
                cached_tokens=30,
                audio_prompt_tokens=40,
                cached_audio_tokens=30,
                reasoning_tokens=10,
                image_completion_tokens=12,
                service_tier="priority",
            ),
        ),
        (
            {**CHAT, "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}},
            Usage(9, 1, cached_tokens=8),
        ),
    ],
)
def test_the_parts_of_a_usage_are_read_in_every_format(answer: dict[str, Any], expected: Usage) -> None:
    assert _read(answer)[0].usage == expected


def test_a_stream_begins_with_what_it_says_not_with_its_opening() -> None:
    opening = [
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b'data: {"type":"message_start","message":{}}\n\n',
        b'data: {"type":"response.created","response":{"output":[]}}\n\n',
        b'data: {"type":"response.completed","response":{"output":[],"status":"completed"}}\n\n',
        b"data: [DONE]\n\n",
        b": keep-alive\n\n",
    ]
    saying = [
        b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[{}]}}]}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}\n\n',
        b'data: {"choices":[{"text":"x"}]}\n\n',
        b'data: {"type":"content_block_delta","delta":{"text":"x"}}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"x"}\n\n',
        b'data: {"candidates":[{}]}\n\n',
    ]
    assert not any(is_substantial(event, data_of(event, json.loads)) for event in opening)
    assert all(is_substantial(event, data_of(event, json.loads)) for event in saying)


def test_an_error_event_is_known_and_a_text_about_errors_is_none() -> None:
    def status(event: bytes) -> int | None:
        failure = failure_in_event(data_of(event, json.loads))
        return failure and failure[0]

    assert status(b'data: {"error":{"message":"no","code":503}}\n\n') == 503
    assert status(b'event: error\ndata: {"type":"error","error":{}}\n\n') == 502
    assert status(b'data: {"type":"response.failed","response":{}}\n\n') == 502
    assert status(b'data: {"choices":[{"delta":{"content":"error"}}]}\n\n') is None


@pytest.mark.parametrize(
    ("headers", "body", "message", "wait_s"),
    [
        ({"retry-after": "17"}, b'{"error":{"message":"slow down"}}', "slow down", 17),
        ({"retry-after": "0.4"}, b'{"message":"slow down"}', "slow down", 1),
        ({"retry-after": "-5"}, b'{"detail":"slow down"}', "slow down", None),
        ({"retry-after": "soon"}, b"<html>", "", None),
        ({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}, b'{"error":"no"}', "no", None),
        ({"retry-after": "inf"}, b"[1]", "", None),
    ],
)
def test_an_error_answer_is_read_for_its_message_and_its_wait(
    headers: dict[str, str], body: bytes, message: str, wait_s: int | None
) -> None:
    error = provider_error(429, httpx.Headers(headers), body)
    assert (error.message, error.retry_after_s) == (message, wait_s)
