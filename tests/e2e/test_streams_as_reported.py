"""Streams and answers of OpenAI's chat format and Gemini's that public reports describe, by every API."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.e2e.api_types import events_of
from tests.e2e.complete_provider import USAGE, chunk, delta, stream
from tests.e2e.described_rig import BY_CHAT, GEMINI, OPENAI, VLLM, http, provider, shaped
from tests.e2e.scripted_provider import Answer, Provider, whole
from tests.e2e.test_odd_streams import calls_of, chat, messages, responses, sends, text_of
from tests.e2e.test_who_is_to_blame import Caller

__all__ = ["http", "provider", "shaped"]

Events = list[dict[str, Any]]
Ask = Callable[..., httpx.Response]
ASKS = pytest.mark.parametrize("ask", [chat, responses, messages], ids=["chat", "responses", "messages"])
BEGIN, STOP, CALLED = delta({"role": "assistant", "content": ""}), delta({}, finish="stop"), "tool_calls"
ENDS = {"chat": CALLED, "responses": "completed", "messages": "tool_use"}


def call(name: str, arguments: Any, index: int = 0) -> dict[str, Any]:
    return {
        "index": index,
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def calls(*made: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return delta({"tool_calls": list(made), **more}, finish=finish)


def thoughts_of(got: httpx.Response) -> str:
    """The thoughts of a stream of any route."""
    found = []
    for _, one in events_of(got.text):
        held = one.get("delta")
        if one.get("type") == "response.reasoning_summary_text.delta":
            found.append(held)
        elif isinstance(held, dict):
            found.append(held.get("thinking", ""))
        found += [choice["delta"].get("reasoning_content") or "" for choice in one.get("choices") or ()]
    return "".join(filter(None, found))


def spoken_of(got: httpx.Response) -> str:
    """The text of a stream of any route, without its thoughts."""
    if "response.created" not in got.text:
        return text_of(got)
    return "".join(one["delta"] for _, one in events_of(got.text) if one["type"] == "response.output_text.delta")


def end_of(got: httpx.Response) -> str | None:
    """How a stream of any route says that it has ended."""
    end = None
    for _, one in events_of(got.text):
        for choice in one.get("choices") or ():
            end = choice["finish_reason"] or end
        held, response = one.get("delta"), one.get("response")
        if isinstance(held, dict) and one["type"] == "message_delta":
            end = held["stop_reason"]
        if isinstance(response, dict):
            end = response["status"]
    return end


# deltas, and the text, thought and calls in them
COMBINED: dict[str, tuple[Events, str, str, list[tuple[str, str]]]] = {
    # https://github.com/BerriAI/litellm/issues/36327
    "thought and text": (
        [BEGIN, delta({"reasoning_content": "so", "content": "Hel"}), delta({"content": "lo"}), STOP],
        "Hello",
        "so",
        [],
    ),
    "all in one chunk": ([delta({"reasoning_content": "so", "content": "Hello"}, finish="stop")], "Hello", "so", []),
    "text and call": ([BEGIN, calls(call("f", '{"a":1}'), content="Hello"), STOP], "Hello", "", [("f", '{"a":1}')]),
    "thought and call": (
        [BEGIN, calls(call("f", '{"a":1}'), reasoning_content="so", finish=CALLED)],
        "",
        "so",
        [("f", '{"a":1}')],
    ),
    # https://github.com/vllm-project/vllm/pull/42683
    "two calls": (
        [BEGIN, calls(call("f", '{"a":1}'), call("g", '{"b":2}', 1)), delta({}, finish=CALLED)],
        "",
        "",
        [("f", '{"a":1}'), ("g", '{"b":2}')],
    ),
    "two calls at the end": (
        [BEGIN, calls(call("f", '{"a":1}'), call("g", '{"b":2}', 1), content="Hello", finish=CALLED)],
        "Hello",
        "",
        [("f", '{"a":1}'), ("g", '{"b":2}')],
    ),
    "an id and a name in each delta": (
        [BEGIN, calls(call("f", '{"a"')), calls(call("f", ":1}")), delta({}, finish=CALLED)],
        "",
        "",
        [("f", '{"a":1}')],
    ),
    "a list of parts": (
        [
            BEGIN,
            delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}]}),
            delta({"content": [{"type": "text", "text": "Hello"}]}),
            STOP,
        ],
        "Hello",
        "so",
        [],
    ),
    "an answer that is not streamed": (
        [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "Hello",
        "",
        [],
    ),
    "no delta at the end": ([BEGIN, delta({"content": "Hello"}), {**STOP, "delta": None}], "Hello", "", []),
}


@ASKS
@pytest.mark.parametrize("kind", COMBINED)
@pytest.mark.parametrize("model", [OPENAI, VLLM])
def test_nothing_of_a_chunk_is_lost_or_added_to_something_else(
    http: httpx.Client, provider: Provider, model: str, kind: str, ask: Ask
) -> None:
    deltas, text, thought, called = COMBINED[kind]
    sends(provider, deltas)
    got = ask(http) if ask is responses else ask(http, model)
    assert (spoken_of(got), thoughts_of(got)) == (text, thought)
    assert sorted(calls_of(got).values()) == called
    assert end_of(got) in ("stop", "end_turn", *ENDS.values())


@ASKS
def test_an_answer_that_calls_tools_ends_so_whatever_the_provider_says(
    http: httpx.Client, provider: Provider, ask: Ask
) -> None:
    # https://github.com/BerriAI/litellm/issues/12481
    sends(provider, [BEGIN, calls(call("f", "{}")), STOP])
    assert end_of(ask(http)) == ENDS[ask.__name__]


@pytest.mark.parametrize("arguments", ["", None])
def test_a_call_without_arguments_has_an_empty_object(
    http: httpx.Client, provider: Provider, arguments: str | None
) -> None:
    sends(provider, [BEGIN, calls(call("f", arguments)), calls(call("g", '{"b":2}', 1)), STOP])
    assert sorted(calls_of(chat(http)).values()) == [("f", "{}"), ("g", '{"b":2}')]
    message = {"role": "assistant", "content": None, "tool_calls": [call("f", arguments)]}
    choice = {"index": 0, "message": message, "finish_reason": CALLED}
    provider.answer = lambda path, body: whole({**chunk([choice], body), "object": "chat.completion", "usage": USAGE})
    (made,) = chat(http, stream=False).json()["choices"][0]["message"]["tool_calls"]
    assert made["function"]["arguments"] == "{}"
    # But one that was cut is not made a whole one
    sends(provider, [BEGIN, calls(call("f", arguments)), delta({}, finish="length")])
    assert list(calls_of(chat(http)).values()) == [("f", "")]


@ASKS
@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource"])
def test_a_finish_that_is_a_failure_is_no_end(http: httpx.Client, provider: Provider, finish: str, ask: Ask) -> None:
    sends(provider, [BEGIN, delta({"content": "half"}), delta({}, finish=finish)])
    got = ask(http)
    assert spoken_of(got) == "half"
    last = events_of(got.text)[-1][1]
    assert "error" in last or last["type"] == "error"


@ASKS
def test_a_server_that_does_not_stream_is_streamed_from(http: httpx.Client, provider: Provider, ask: Ask) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    provider.answer = lambda path, body: whole({**chunk([choice], body), "object": "chat.completion", "usage": USAGE})
    assert spoken_of(ask(http)) == "Hello"
    caller = Caller(http)
    caller.ask(VLLM, stream=True)
    assert caller.used() == (1, 12)


def test_a_whole_answer_may_be_a_list_of_parts(http: httpx.Client, provider: Provider) -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}, {"type": "text", "text": "Hello"}]
    choice = {"index": 0, "message": {"role": "assistant", "content": parts}, "finish_reason": "stop"}
    provider.answer = lambda path, body: whole({**chunk([choice], body), "object": "chat.completion", "usage": USAGE})
    message = chat(http, stream=False).json()["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello", "so")


def gemini(*parts: dict[str, Any]) -> Callable[[str, dict[str, Any]], Answer]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, "finishReason": "STOP"}
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
    return lambda path, body: stream([{"candidates": [candidate], "usageMetadata": usage}], done=False)


@ASKS
def test_geminis_parallel_calls_are_calls_of_their_own(http: httpx.Client, provider: Provider, ask: Ask) -> None:
    made = [{"functionCall": {"name": name, "args": {name: 1}}} for name in ("f", "g")]
    provider.answer = gemini(*made)
    assert sorted(calls_of(ask(http, GEMINI)).values()) == [("f", '{"f": 1}'), ("g", '{"g": 1}')]


@ASKS
def test_geminis_thought_takes_no_text_away(http: httpx.Client, provider: Provider, ask: Ask) -> None:
    provider.answer = gemini({"text": "so", "thought": True}, {"text": "Hello"})
    got = ask(http, GEMINI)
    assert (spoken_of(got), thoughts_of(got)) == ("Hello", "so")


@pytest.mark.parametrize("model", [OPENAI, VLLM, BY_CHAT])
def test_completions_are_streamed_by_whichever_client_litellm_uses(http: httpx.Client, model: str) -> None:
    # https://github.com/BerriAI/litellm/issues/8349
    options = {"include_usage": True}
    got = http.post("/v1/completions", json={"model": model, "prompt": "hi", "stream": True, "stream_options": options})
    assert got.status_code == 200, got.text
    assert "".join(choice["text"] for _, one in events_of(got.text) for choice in one["choices"]) == "hello there"
    assert events_of(got.text)[-1][1]["usage"]["total_tokens"] == 12
