"""What the edge reads of events and answers, and what it takes out of them."""

import json
from typing import Any

import orjson
import pytest

from scalix.domain.redaction.foreign_texts import without_secrets
from scalix.edge.delivered import Delivered, text_of_answer, text_of_events
from scalix.edge.stream_marks import is_error, is_last

LAST = [
    b"data: [DONE]\n\n",
    b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
    b'data: {"type":"response.completed","response":{}}\n\n',
    b'event: response.incomplete\ndata: {"type":"response.incomplete"}\n\n',
]
ERRORS = [
    b'data: {"error": {"message": "x"}}\n\n',
    b'event: error\ndata: {"type":"error"}\n\n',
    b'data: {"type":"response.failed","response":{}}\n\n',
]


def test_the_end_of_a_stream_is_known_by_its_type_not_by_its_words() -> None:
    assert all(map(is_last, LAST))
    assert all(map(is_error, ERRORS))
    for words in ("data: [DONE]", "message_stop", '{"error": 1}', "event: error", "response.completed"):
        event = b"data: " + json.dumps({"choices": [{"delta": {"content": words}}]}).encode() + b"\n\n"
        assert not is_last(event)
        assert not is_error(event)


def test_all_that_a_model_has_made_is_counted() -> None:
    call = {"function": {"name": "f", "arguments": "{1}"}}
    assert text_of_events(b'data: {"choices":[{"delta":{"content":"a","reasoning_content":"b"}}]}\n\n') == ["a", "b"]
    assert text_of_events(b'data: {"type":"content_block_delta","delta":{"partial_json":"{"}}\n\n') == ["{"]
    assert text_of_answer(json.dumps({"choices": [{"message": {"content": "a", "tool_calls": [call]}}]}).encode()) == [
        "a",
        "f",
        "{1}",
    ]
    assert text_of_answer(b'{"content":[{"type":"text","text":"a"},{"name":"f","input":{"x":1}}]}') == [
        "a",
        "f",
        '{"x":1}',
    ]
    assert text_of_answer(b'{"output":[{"content":[{"text":"a"}]},{"arguments":"b"}]}') == ["a", "b"]
    assert text_of_answer(b"not json") == text_of_answer(b"[]") == []


async def test_a_long_stream_is_counted_as_it_goes() -> None:
    async def characters(model: str, text: str) -> int:
        return len(text)

    delivered = Delivered("m", characters)
    event = b'data: {"choices":[{"text":"abcde"}]}\n\n'
    for _ in range(5000):
        await delivered.add(event)
    assert await delivered.tokens() == 25_000


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("temperature must be below 2", "temperature must be below 2"),
        ("this organization has no keyboard", "this organization has no keyboard"),
        ("Incorrect API key provided: sk-****1234.", "Incorrect API key provided: [removed]"),
        ("see https://internal.example/v1?key=x or ask bob@internal.example", "see [removed] or ask [removed]"),
        ("in organization org-A1b2C3d4 on tokens", "in organization [removed] on tokens"),
        ("Bearer abcdefghij", "Bearer [removed]"),
        ("AIzaSyA1234567890", "[removed]"),
    ],
)
def test_secrets_go_and_the_reason_stays(text: str, kept: str) -> None:
    assert without_secrets(text) == kept


@pytest.mark.parametrize(
    ("delta", "least_tokens"),
    [
        ({"function_call": {"name": "f", "arguments": "a b c d e f g h"}}, 8),
        ({"audio": {"transcript": "a b c", "data": "A" * 64_000}}, 64),
        ({"images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}]}, 1_290),
        ({"reasoning": "a b c d"}, 4),
        ({"reasoning_content": "a b c d", "reasoning": "a b c d"}, 4),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "a b c d"}]}, 4),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "a b c d", "signature": "x y z"}]}, 4),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a b c d"}]}]}, 4),
        ({"content": [{"type": "text", "text": "a b c d"}]}, 4),
        ({"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": " b c d"}}]}, 4),
        ({"refusal": "a b c d"}, 4),
    ],
)
async def test_every_kind_of_delta_is_counted(delta: dict[str, Any], least_tokens: int) -> None:
    assert least_tokens <= await _counted({"choices": [{"index": 0, "delta": delta}]}) <= least_tokens + 4


@pytest.mark.parametrize(
    ("event", "least_tokens"),
    [
        ({"type": "response.audio.delta", "delta": "A" * 64_000}, 64),
        ({"type": "response.audio.transcript.delta", "delta": "a b c d"}, 4),
        ({"type": "response.custom_tool_call_input.delta", "delta": "a b c d"}, 4),
        ({"type": "response.code_interpreter_call_code.delta", "delta": "a b c d"}, 4),
        ({"type": "response.reasoning_summary_text.delta", "delta": "a b c d"}, 4),
        ({"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"}, 1_290),
        ({"type": "response.output_item.done", "item": {"type": "image_generation_call", "result": "AAAA"}}, 1_290),
        ({"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f g h i"}}, 4),
        ({"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": "A" * 400}}, 100),
        ({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "a b c d"}}, 4),
        ({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "a b c d"}}, 4),
    ],
)
async def test_every_kind_of_event_is_counted(event: dict[str, Any], least_tokens: int) -> None:
    assert least_tokens <= await _counted(event) <= least_tokens + 4


async def _counted(event: dict[str, Any]) -> int:
    async def count(model: str, text: str) -> int:
        return len(text.split())

    delivered = Delivered("m", count)
    await delivered.add(b"data: " + orjson.dumps(event) + b"\n\n")
    return await delivered.tokens()
