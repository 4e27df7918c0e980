"""Streams of OpenAI's format as providers are known to send them, and as clients of every route should get them."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from anthropic import Anthropic

from tests.e2e.api_types import events_of, faults_of_answer
from tests.e2e.complete_provider import EVENT_STREAM, USAGE, chunk, complete, delta, event, stream
from tests.e2e.described_rig import BY_CHAT, CLAUDE, GEMINI, OPENAI, VLLM, http, provider
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, whole
from tests.e2e.test_who_is_to_blame import Caller

__all__ = ["http", "provider"]

Events = list[dict[str, Any]]
END = [delta({}, finish="stop")]
CHATTING = [OPENAI, VLLM]


def sends(provider: Provider, deltas: Events, *, done: bool = True) -> None:
    """The provider streams these choices, one a chunk, and its usage where it is wanted."""

    def answer(path: str, body: dict[str, Any]) -> Answer:
        chunks = [chunk([one], body) for one in deltas]
        if "usage" in chunks[0]:
            chunks.append(chunk([], body, usage=USAGE))
        return stream(chunks, done=done)

    provider.answer = answer


def sends_raw(provider: Provider, *pieces: bytes, kind: str = "text/event-stream") -> None:
    provider.answer = lambda path, body: Answer(200, pieces, (("content-type", kind),))


def chat(http: httpx.Client, model: str = OPENAI, **more: Any) -> httpx.Response:
    return http.post(
        "/v1/chat/completions",
        json={"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True, **more},
    )


def responses(http: httpx.Client, model: str = BY_CHAT) -> httpx.Response:
    return http.post("/v1/responses", json={"model": model, "input": "hi", "stream": True})


def messages(http: httpx.Client, model: str = OPENAI) -> httpx.Response:
    said = [{"role": "user", "content": "hi"}]
    return http.post("/v1/messages", json={"model": model, "messages": said, "max_tokens": 99, "stream": True})


def text_of(got: httpx.Response) -> str:
    """The text of a stream of any route."""
    parts = []
    for _, one in events_of(got.text):
        held = one.get("delta")
        parts.append(held if isinstance(held, str) else (held or {}).get("text", ""))
        parts += [(choice["delta"].get("content") or "") for choice in one.get("choices") or ()]
    return "".join(parts)


def calls_of(got: httpx.Response) -> dict[Any, tuple[str, str]]:
    """The tool calls of a stream of any route: by number, name and arguments."""
    calls: dict[Any, list[str]] = {}
    for _, one in events_of(got.text):
        kind = one.get("type", "")
        for choice in one.get("choices") or ():
            for call in choice["delta"].get("tool_calls") or ():
                held = calls.setdefault(call["index"], ["", ""])
                held[0] += call["function"].get("name") or ""
                held[1] += call["function"].get("arguments") or ""
        if kind == "response.output_item.done" and one["item"]["type"] == "function_call":
            calls[one["output_index"]] = [one["item"]["name"], one["item"]["arguments"]]
        if kind == "content_block_start" and one["content_block"]["type"] == "tool_use":
            calls[one["index"]] = [one["content_block"]["name"], ""]
        if kind == "content_block_delta" and one["delta"]["type"] == "input_json_delta":
            calls[one["index"]][1] += one["delta"]["partial_json"]
    return {number: (name, arguments) for number, (name, arguments) in calls.items()}


def call(name: str | None, index: int | None, arguments: str, *, of: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"function": {"arguments": arguments}}
    if name is not None:
        made = {"id": of, "type": "function", "function": {"name": name, "arguments": arguments}}
    return delta({"tool_calls": [made if index is None else {"index": index, **made}]})


BEGIN = delta({"role": "assistant", "content": None})
TWO_CALLS = {
    "no numbers": [call("one", None, "", of="a"), call(None, None, '{"x":1}'), call("two", None, '{"y":2}', of="b")],
    "all are 0": [
        call("one", 0, "", of="a"),
        call(None, 0, '{"x":1}'),
        call("two", 0, "", of="b"),
        call(None, 0, '{"y":2}'),
    ],
    "each whole, all are 0": [call("one", 0, '{"x":1}', of="a"), call("two", 0, '{"y":2}', of="b")],
    "numbered": [call("one", 0, '{"x":1}', of="a"), call("two", 1, '{"y":2}', of="b")],
    "mixed": [
        call("one", 0, '{"x"', of="a"),
        call("two", 1, '{"y"', of="b"),
        call(None, 0, ":1}"),
        call(None, 1, ":2}"),
    ],
}


@pytest.mark.parametrize("ask", [chat, responses, messages], ids=["chat", "responses", "messages"])
@pytest.mark.parametrize("kind", TWO_CALLS)
def test_two_tool_calls_are_two_whatever_their_numbers(
    http: httpx.Client, provider: Provider, kind: str, ask: Callable[[httpx.Client], httpx.Response]
) -> None:
    if kind == "mixed" and ask is messages:
        pytest.skip("blocks of Anthropic's streams come one after the other")
    sends(provider, [BEGIN, *TWO_CALLS[kind], delta({}, finish="tool_calls")])
    calls = calls_of(ask(http))
    assert sorted(calls.values()) == [("one", '{"x":1}'), ("two", '{"y":2}')]


@pytest.mark.parametrize("model", CHATTING)
def test_a_refusal_comes_through(http: httpx.Client, provider: Provider, model: str) -> None:
    refusal = [delta({"role": "assistant", "content": None, "refusal": ""})]
    sends(provider, [*refusal, delta({"refusal": "I can"}), delta({"refusal": "not"}), *END])
    got = chat(http, model)
    said = [choice["delta"].get("refusal") for _, one in events_of(got.text) for choice in one["choices"]]
    assert "".join(filter(None, said)) == "I cannot"
    assert faults_of_answer("chat", got.text, streamed=True) == []
    # And where the API has no such field, it is a text and the reason to stop
    message = messages(http, model)
    assert text_of(message) == "I cannot"
    assert '"stop_reason":"refusal"' in message.text
    # And where it is a part of an item, it is that
    got = responses(http)
    assert text_of(got) == "I cannot"
    assert faults_of_answer("responses", got.text, streamed=True) == []
    kinds = [one["type"] for _, one in events_of(got.text)]
    assert "response.output_text.delta" not in kinds
    assert "response.refusal.done" in kinds
    assert events_of(got.text)[-1][1]["response"]["output"][0]["content"] == [
        {"type": "refusal", "refusal": "I cannot"}
    ]


def test_a_whole_refusal_comes_through(http: httpx.Client, provider: Provider) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot"}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    provider.answer = lambda path, body: whole({**chunk([choice], body), "object": "chat.completion", "usage": USAGE})
    answer = chat(http, stream=False).json()["choices"][0]["message"]
    assert (answer["refusal"], answer["content"]) == ("I cannot", None)
    body = {"model": OPENAI, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}
    message = http.post("/v1/messages", json=body).json()
    assert (message["content"][0]["text"], message["stop_reason"]) == ("I cannot", "refusal")
    items = http.post("/v1/responses", json={"model": BY_CHAT, "input": "hi"}).json()["output"]
    assert items[0]["content"] == [{"type": "refusal", "refusal": "I cannot"}]


@pytest.mark.parametrize("model", CHATTING)
def test_streamed_completions_are_the_providers_with_each_choice_and_its_logprobs(
    http: httpx.Client, provider: Provider, model: str
) -> None:
    # Given two choices, one after the other and mixed, of which each has its own end
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": None, "text_offset": [0]}
    said: list[tuple[int, str, str | None]] = [(0, "one", None), (1, "two", None), (1, "", "length"), (0, "!", "stop")]
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    chunks: Events = [
        {**head, "choices": [{"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}]}
        for index, text, finish in said
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    provider.answer = lambda path, body: stream([*chunks, {**head, "choices": [], "usage": usage}])
    asked = {"model": model, "prompt": "hi", "n": 2, "stream": True, "logprobs": 1}
    got = http.post("/v1/completions", json=asked)
    events = [event for _, event in events_of(got.text)]
    choices = [choice for event in events for choice in event["choices"]]
    assert [(choice["index"], choice["text"], choice["finish_reason"]) for choice in choices] == said
    assert all(choice["logprobs"] == logprobs for choice in choices)
    assert {event["model"] for event in events} == {model}
    assert "data: [DONE]" in got.text
    # And the usage comes to who has asked for it, once
    asked["stream_options"] = {"include_usage": True}
    events = [event for _, event in events_of(http.post("/v1/completions", json=asked).text)]
    assert [event["usage"] and event["usage"]["total_tokens"] for event in events] == [*[None] * 4, 12]


def test_a_streams_summary_of_thoughts_begins_before_its_text(http: httpx.Client, provider: Provider) -> None:
    thought = [delta({"role": "assistant", "content": ""}), delta({"reasoning_content": "Hm"})]
    sends(provider, [*thought, delta({"content": "hello"}), *END])
    got = responses(http)
    assert faults_of_answer("responses", got.text, streamed=True) == []
    events = [event for _, event in events_of(got.text)]
    summary = [event for event in events if "reasoning_summary" in event["type"]]
    assert [event["type"].removeprefix("response.reasoning_summary_") for event in summary] == [
        *("part.added", "text.delta", "text.done", "part.done"),
    ]
    assert len({(event["item_id"], event["output_index"], event["summary_index"]) for event in summary}) == 1
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_citations_of_a_stream_are_whole_in_the_part_that_is_done(http: httpx.Client, provider: Provider) -> None:
    citation = {"url": "http://a.test", "title": "A", "start_index": 0, "end_index": 3}
    annotations = [{"type": "url_citation", "url_citation": citation}]
    sends(provider, [delta({"role": "assistant", "content": "hello", "annotations": annotations}), *END])
    got = responses(http)
    assert faults_of_answer("responses", got.text, streamed=True) == []
    parts = [event["part"] for _, event in events_of(got.text) if event["type"] == "response.content_part.done"]
    assert parts[0]["annotations"] == [{"type": "url_citation", **citation}]


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_fills_the_context_window_is_cut_and_not_complete(
    http: httpx.Client, provider: Provider, streamed: bool
) -> None:
    def answer(path: str, body: dict[str, Any]) -> Answer:
        made = complete(path, body)
        pieces = [piece.replace(b'"end_turn"', b'"model_context_window_exceeded"') for piece in made.pieces]
        return Answer(200, pieces, made.headers)

    provider.answer = answer
    assert '"finish_reason":"length"' in chat(http, CLAUDE, stream=streamed).text
    got = http.post("/v1/responses", json={"model": CLAUDE, "input": "hi", "stream": streamed}).text
    assert '"incomplete_details":{"reason":"max_output_tokens"}' in got
    body = {"model": CLAUDE, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99, "stream": streamed}
    assert "model_context_window_exceeded" in http.post("/v1/messages", json=body).text


def test_a_thought_that_nobody_has_signed_is_of_anthropics_types(shaped: Gateway, provider: Provider) -> None:
    message = {"role": "assistant", "content": "hello", "reasoning_content": "Hm"}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    provider.answer = lambda path, body: whole({**chunk([choice], body), "object": "chat.completion", "usage": USAGE})
    client = Anthropic(base_url=shaped.url, api_key=shaped.master_key, _strict_response_validation=True, max_retries=0)
    said: Any = [{"role": "user", "content": "hi"}]
    block = client.messages.create(model=OPENAI, messages=said, max_tokens=99).content[0]
    assert block.type == "thinking"
    assert (block.thinking, block.signature) == ("Hm", "")


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("ask", [chat, responses, messages], ids=["chat", "responses", "messages"])
def test_a_stream_without_an_end_is_an_error_and_no_end(
    http: httpx.Client, provider: Provider, done: bool, ask: Callable[[httpx.Client], httpx.Response]
) -> None:
    sends(provider, [delta({"role": "assistant", "content": "hello"}), delta({"content": " there"})], done=done)
    got = ask(http)
    last = events_of(got.text)[-1][1]
    assert "error" in last or last["type"] == "error"
    assert not any(sign in got.text for sign in ('"finish_reason":"', "response.completed", "message_stop", "[DONE]"))
    assert text_of(got) == "hello there"


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
def test_so_is_one_of_another_format(http: httpx.Client, provider: Provider, model: str) -> None:
    start: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}
    usage = {"input_tokens": 1, "output_tokens": 1}
    claude: Events = [{"type": "message_start", "message": {**start, "usage": usage}}, block, text]
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": "hello"}]}, "index": 0}
    gemini: Events = [{"candidates": [candidate]}]
    pieces = claude if model == CLAUDE else gemini
    sends_raw(provider, *map(event, pieces))
    got = chat(http, model)
    assert "error" in events_of(got.text)[-1][1]
    assert '"finish_reason":"' not in got.text


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "application/json"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", [OPENAI, VLLM, CLAUDE])
def test_a_page_is_a_failure_of_the_provider_and_free(
    http: httpx.Client, provider: Provider, kind: str, streamed: bool, model: str
) -> None:
    sends_raw(provider, PAGE, kind=kind)
    caller = Caller(http)
    got = caller.ask(model, stream=streamed)
    assert (got.status_code, got.json()["error"]["code"]) == (503, "provider_unavailable")
    assert caller.used() == (0, 0)


@pytest.mark.parametrize("model", CHATTING)
def test_each_of_several_choices_has_its_role_text_and_end(http: httpx.Client, provider: Provider, model: str) -> None:
    each = [delta({"role": "assistant", "content": ""}, index) for index in range(3)]
    each += [delta({"content": f"text {index}"}, index) for index in range(3)]
    each += [delta({}, index, finish) for index, finish in enumerate(("stop", "length", "stop"))]
    sends(provider, each)
    got = chat(http, model, n=3, stream_options={"include_usage": True})
    seen: dict[int, dict[str, str]] = {}
    for _, one in events_of(got.text):
        for choice in one["choices"]:
            held = seen.setdefault(choice["index"], {"role": "", "content": "", "finish": ""})
            held["role"] += choice["delta"].get("role") or ""
            held["content"] += choice["delta"].get("content") or ""
            held["finish"] += choice["finish_reason"] or ""
    assert seen == {
        index: {"role": "assistant", "content": f"text {index}", "finish": finish}
        for index, finish in enumerate(("stop", "length", "stop"))
    }
    assert events_of(got.text)[-1][1]["usage"]["total_tokens"] == 12
    assert faults_of_answer("chat", got.text, streamed=True) == []


HALVES = {
    "bytes": "é – 😀".encode(),
    "pairs": json.dumps("é – 😀")[1:-1].encode(),
}


@pytest.mark.parametrize("ask", [chat, responses, messages], ids=["chat", "responses", "messages"])
@pytest.mark.parametrize("kind", HALVES)
def test_a_character_over_two_events_is_whole(
    http: httpx.Client, provider: Provider, kind: str, ask: Callable[[httpx.Client], httpx.Response]
) -> None:
    # Given a text that is cut at every byte, or at every escape
    text = HALVES[kind]
    size = 1 if kind == "bytes" else 6
    pieces = [text[at : at + 1] for at in range(len(text))]
    if kind == "pairs":
        pieces = []
        at = 0
        while at < len(text):
            length = size if text[at : at + 2] == b"\\u" else 1
            pieces.append(text[at : at + length])
            at += length
    marked = event(chunk([delta({"content": "MARK"})], {}))
    sends_raw(
        provider,
        event(chunk([delta({"role": "assistant", "content": ""})], {})),
        *(marked.replace(b"MARK", piece) for piece in pieces),
        event(chunk(END, {})),
        event(chunk([], {}, usage=USAGE)),
        b"data: [DONE]\n\n",
    )
    assert text_of(ask(http)) == "é – 😀"


def test_what_stands_in_a_chunk_with_its_end_is_kept(http: httpx.Client, provider: Provider) -> None:
    # Given a provider that says all in one chunk, and its usage in it
    one = chunk([delta({"role": "assistant", "content": "hello"}, finish="length")], {}, usage=USAGE)
    provider.answer = lambda path, body: Answer(200, (event(one), b"data: [DONE]\n\n"), EVENT_STREAM)
    got = chat(http, stream_options={"include_usage": True})
    assert text_of(got) == "hello"
    assert '"finish_reason":"length"' in got.text
    last = events_of(got.text)[-1][1]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 12)
