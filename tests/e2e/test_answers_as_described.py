"""Every answer and event of ours is as OpenAI's description has it, and as both SDKs' strict types have it, whatever
format its provider speaks: through a running gateway."""

import json
from typing import Any

import httpx
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.e2e.api_types import events_of, faults_of_answer
from tests.e2e.complete_provider import ARGUMENTS, PROVIDER_MODEL, TEXT
from tests.e2e.described_rig import (
    BY_CHAT,
    CLAUDE,
    DEEPSEEK,
    GEMINI,
    OPENAI,
    REASONING,
    VLLM,
    http,
    provider,
)
from tests.e2e.gateways import Gateway

__all__ = ["http", "provider"]

PATHS = {"chat": "chat/completions", "completions": "completions", "embeddings": "embeddings", "responses": "responses"}
PROMPTS: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "completions": {"prompt": "hi"},
    "embeddings": {"input": "hi"},
    "responses": {"input": "hi"},
}
_FUNCTION = {"name": "get_weather", "parameters": {"type": "object", "properties": {"location": {"type": "string"}}}}
TOOL = {"chat": {"type": "function", "function": _FUNCTION}, "responses": {"type": "function", **_FUNCTION}}
STREAM, USAGE = {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}
EVERYWHERE = [OPENAI, REASONING, BY_CHAT, VLLM, DEEPSEEK, CLAUDE, GEMINI]


def calls() -> list[tuple[str, str, dict[str, Any]]]:
    """Which model is asked on which route, with what."""
    made: list[tuple[str, str, dict[str, Any]]] = []
    for model in EVERYWHERE:
        for route in ("chat", "responses"):
            tools = {"tools": [TOOL[route]]}
            made += [(model, route, more) for more in ({}, tools, STREAM, {**STREAM, **tools})]
        made.append((model, "chat", USAGE))
    for model in (OPENAI, BY_CHAT):
        made += [(model, "completions", more) for more in ({}, STREAM, USAGE)]
        made += [(model, "embeddings", {}), (model, "chat", {"n": 2}), (model, "chat", {**USAGE, "n": 2})]
        made += [(model, "chat", {**more, "logprobs": True}) for more in ({}, STREAM)]
    for model in (REASONING, CLAUDE):
        made += [(model, "responses", {**more, "reasoning": {"effort": "low"}}) for more in ({}, STREAM)]
    return made


@pytest.mark.parametrize(
    ("model", "route", "more"), calls(), ids=[f"{m}-{r}-{'-'.join(more) or 'plain'}" for m, r, more in calls()]
)
def test_an_answer_is_as_openai_describes_it(http: httpx.Client, model: str, route: str, more: dict[str, Any]) -> None:
    got = http.post(f"/v1/{PATHS[route]}", json={"model": model, **PROMPTS[route], **more})
    assert got.status_code == 200, got.text
    assert faults_of_answer(route, got.text, streamed=bool(more.get("stream"))) == []
    # And it is this model's, with all that was said
    assert f'"model":"{model}"' in got.text
    assert PROVIDER_MODEL not in got.text
    if route != "embeddings":
        assert (ARGUMENTS if "tools" in more else TEXT) in said(route, got.text, streamed="stream" in more)


def said(route: str, text: str, *, streamed: bool) -> str:
    """The text or the arguments of an answer, put together."""
    if not streamed:
        answer = json.loads(text)
        if route == "responses":
            return "".join(
                item.get("arguments", "") + "".join(part["text"] for part in item.get("content", ()))
                for item in answer["output"]
            ).replace('": "', '":"')
        choice = answer["choices"][0]
        message = choice.get("message", {})
        arguments = "".join(call["function"]["arguments"] for call in message.get("tool_calls") or ())
        return ((message.get("content") or choice.get("text") or "") + arguments).replace('": "', '":"')
    parts: list[str] = []
    for _, event in events_of(text):
        if route == "responses":
            parts.append(event.get("delta", ""))
            continue
        for choice in event["choices"][:1]:
            delta = choice.get("delta", {})
            parts.append(delta.get("content") or choice.get("text") or "")
            parts += [call["function"].get("arguments") or "" for call in delta.get("tool_calls") or ()]
    whole = "".join(parts).replace('": "', '":"')
    return whole if route != "chat" else whole.replace("hellohello there there", TEXT)


@pytest.mark.parametrize("model", [OPENAI, CLAUDE, GEMINI, VLLM])
@pytest.mark.parametrize("more", [{}, {"tools": [{"name": "get_weather", "input_schema": _FUNCTION["parameters"]}]}])
def test_a_message_is_as_anthropics_strict_types_have_it(
    shaped: Gateway, http: httpx.Client, model: str, more: dict[str, Any]
) -> None:
    # Given Anthropic's SDK, told to refuse what is not of its types
    client = Anthropic(base_url=shaped.url, api_key=shaped.master_key, _strict_response_validation=True, max_retries=0)
    asked: dict[str, Any] = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **more}
    message = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        events = list(stream)
        streamed = stream.get_final_message()
    # Then an answer has what it must have, whole and streamed
    for one in (message, streamed):
        assert one.id.startswith("msg_")
        assert one.model == model
        assert one.usage.input_tokens + (one.usage.cache_read_input_tokens or 0) == 7
        block: Any = one.content[0]
        assert (block.input == {"location": "Paris"}) if block.type == "tool_use" else (block.text == TEXT)
    first = events[0]
    assert first.type == "message_start"
    assert first.message.usage.input_tokens > 0
    body = http.post("/v1/messages", json={**asked, "stream": True}).text
    assert all(name == event["type"] for name, event in events_of(body))
    assert '"stop_sequence":null' in body


@pytest.mark.parametrize("model", EVERYWHERE)
def test_openais_sdk_with_strict_types_takes_every_answer(shaped: Gateway, http: httpx.Client, model: str) -> None:
    client = OpenAI(
        base_url=f"{shaped.url}/v1", api_key=shaped.master_key, _strict_response_validation=True, max_retries=0
    )
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    assert client.chat.completions.create(**asked).choices[0].message.content == TEXT
    chunks: list[Any] = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 12)
    answer = client.responses.create(model=model, input="hi")
    assert (answer.output_text, answer.model) == (TEXT, model)
    with client.responses.stream(model=model, input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert (final.output_text, final.model) == (TEXT, model)
