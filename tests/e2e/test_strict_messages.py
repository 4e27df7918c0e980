"""Answers and events of `/v1/messages` are of Anthropic's types and have nothing beside them, whatever the model says
and whichever format its provider speaks: Anthropic's SDK told to be strict, and no field that it does not know."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anthropic import Anthropic
from anthropic.types import ContentBlock
from pydantic import BaseModel

from tests.e2e.complete_provider import ARGUMENTS, MESSAGE_USAGE, PROVIDER_MODEL, USAGE, chunk, complete, delta, stream
from tests.e2e.described_rig import BY_CHAT, CLAUDE, DEEPSEEK, GEMINI, OPENAI, REASONING, VLLM, http, provider
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, whole
from tests.e2e.sdk_samples import members, objects

__all__ = ["http", "provider"]

Body = dict[str, Any]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}
_PLACE = {"url": "http://a.test", "title": "A", "start_index": 0, "end_index": 5}
_CITED = {"type": "url_citation", "url_citation": _PLACE}
# What a model of OpenAI's format says, and how it ends.
SAID: dict[str, tuple[Body, str]] = {
    "text": ({"content": "hello"}, "stop"),
    "cut": ({"content": "hello"}, "length"),
    "filtered": ({"content": "hello"}, "content_filter"),
    "refusal": ({"content": None, "refusal": "I cannot"}, "stop"),
    "thought": ({"content": "hello", "reasoning_content": "Hm"}, "stop"),
    "thought of OpenRouter": ({"content": "hello", "reasoning": "Hm"}, "stop"),
    "only a thought": ({"content": None, "reasoning_content": "Hm"}, "length"),
    "call": ({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "text and calls": ({"content": "hello", "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, "tool_calls"),
    "thought and call": ({"content": None, "reasoning_content": "Hm", "tool_calls": [CALL]}, "tool_calls"),
    "call that ends as a text": ({"content": None, "tool_calls": [CALL]}, "stop"),
    "call without arguments": (
        {"content": None, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": ""}}]},
        "tool_calls",
    ),
    "citation": ({"content": "hello", "annotations": [_CITED]}, "stop"),
    "empty text": ({"content": ""}, "stop"),
}
STOPS = (
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
)


def of_chat(message: Body, finish: str, *, streamed: bool) -> Answer:
    """An answer in OpenAI's format."""
    said = {"role": "assistant", **message}
    asked: Body = {"stream_options": {"include_usage": True}}
    if not streamed:
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish}
        return whole({**chunk([choice], {}), "object": "chat.completion", "usage": USAGE})
    calls = [{"index": index, **call} for index, call in enumerate(said.get("tool_calls") or ())]
    texts = {name: value for name, value in said.items() if name != "tool_calls"}
    deltas = [delta(texts), *(delta({"tool_calls": [call]}) for call in calls), delta({}, finish=finish)]
    return stream([*(chunk([one], asked) for one in deltas), chunk([], asked, usage=USAGE)])


def of_claude(blocks: list[Body], stop: str, *, streamed: bool) -> Answer:
    """An answer in Anthropic's format."""
    head: Body = {"id": "msg_1", "type": "message", "role": "assistant", "model": PROVIDER_MODEL}
    ended = {"stop_reason": stop, "stop_sequence": "END" if stop == "stop_sequence" else None}
    if not streamed:
        return whole({**head, "content": blocks, **ended, "usage": MESSAGE_USAGE})
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": MESSAGE_USAGE}
    events: list[Body] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(blocks):
        empty, deltas = in_deltas(block)
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": one} for one in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}})
    return stream([*events, {"type": "message_stop"}], done=False)


def in_deltas(block: Body) -> tuple[Body, list[Body]]:
    """A block as it begins, and what is added to it."""
    if block["type"] == "text":
        cited = [{"type": "citations_delta", "citation": one} for one in block["citations"] or ()]
        empty: Body = {"text": "", "citations": [] if cited else None}
        return {**block, **empty}, [{"type": "text_delta", "text": block["text"]}, *cited]
    if block["type"] == "thinking":
        deltas = [{"type": f"{name}_delta", name: block[name]} for name in ("thinking", "signature")]
        return {**block, "thinking": "", "signature": ""}, deltas
    if isinstance(block.get("input"), dict):
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    return block, []


def cases() -> Iterator[tuple[str, str, Answer | None, bool]]:
    """Which model is asked, what its answer is about, the answer (`None`: a complete one), and whether it streams."""
    text = {"type": "text", "text": "hello", "citations": None}
    for streamed in (False, True):
        for model in (OPENAI, VLLM, BY_CHAT):
            for name, (message, finish) in SAID.items():
                yield model, name, of_chat(message, finish, streamed=streamed), streamed
        for stop in STOPS:
            yield CLAUDE, stop, of_claude([text], stop, streamed=streamed), streamed
        for kind in members(ContentBlock):
            for turn, block in enumerate(objects(kind, "content")[:2]):
                yield (
                    CLAUDE,
                    f"{kind.__name__}-{turn}",
                    of_claude([block, text], "end_turn", streamed=streamed),
                    streamed,
                )
        for model in (GEMINI, REASONING, DEEPSEEK, CLAUDE):
            yield model, "complete", None, streamed
            yield model, "complete with tools", None, streamed


ALL = list(cases())


@pytest.mark.parametrize(
    ("model", "name", "answer", "streamed"),
    ALL,
    ids=[f"{model}-{name}-{'stream' if streamed else 'whole'}" for model, name, _, streamed in ALL],
)
def test_a_message_has_what_anthropics_types_have_and_nothing_else(
    shaped: Gateway,
    http: httpx.Client,
    provider: Provider,
    model: str,
    name: str,
    answer: Answer | None,
    streamed: bool,
) -> None:
    provider.answer = complete if answer is None else lambda path, body: answer
    client = Anthropic(base_url=shaped.url, api_key=shaped.master_key, _strict_response_validation=True, max_retries=0)
    asked: Any = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    if name.endswith("tools"):
        asked["tools"] = [{"name": "get_weather", "input_schema": {"type": "object"}}]
    got = list(client.messages.create(**asked, stream=True)) if streamed else [client.messages.create(**asked)]
    assert [fault for one in got for fault in beside(one)] == []
    kinds = [one.type for one in got]
    assert (kinds[0], kinds[-1]) == (("message_start", "message_stop") if streamed else ("message", "message"))


def beside(value: Any, at: str = "") -> Iterator[str]:
    """Each field of a value that its type does not have."""
    if isinstance(value, BaseModel):
        yield from (f"{at}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from beside(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from beside(one, f"{at}[{index}]")


def test_at_least_140_answers_are_looked_at() -> None:
    assert len(ALL) >= 140
