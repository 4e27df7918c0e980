"""The demo provider, asked over HTTP: by plain requests and by the SDKs of those whose APIs it has."""

import json
import re
import socket
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import psutil
import pytest
from openai.types.responses import ResponseCompletedEvent

from tests.demo_server import ROOT, DemoServer, demo_server
from tests.launch.running import all_gone, eventually

__all__ = ["demo_server"]

CLIENT = httpx.Client(timeout=30, trust_env=False)
SENTENCE = "This answer comes from the demo provider of the Scalix gateway, no model was asked."
SENTENCE_TOKENS = 15

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def mark() -> str:
    """A text that only this test's requests have."""
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def sdk(demo_server: DemoServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=demo_server.base_url, api_key="sk-any", max_retries=0)


@pytest.fixture(scope="module")
def claude(demo_server: DemoServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=demo_server.url, api_key="sk-any", max_retries=0)


def ask(server: DemoServer, text: str, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
    """One request whose prompt is `text`, in the shape of the route at `path`."""
    body: dict[str, Any] = {"model": "demo-chat", **fields}
    route = path.rsplit("/", 1)[-1]
    if path.endswith("chat/completions") or route == "messages":
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["prompt" if route == "completions" else "input"] = text
    if route == "messages":
        body.setdefault("max_tokens", 1000)
    return CLIENT.post(server.url + path, json=body)


def events(answer: httpx.Response) -> list[Any]:
    """What stands after each `data:`, parsed; `[DONE]` as it is."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def texts(chunks: list[Any]) -> list[str]:
    """The text deltas of a chat stream."""
    choices = [choice for chunk in chunks if isinstance(chunk, dict) for choice in chunk.get("choices", ())]
    return [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]


# The routes, through the SDKs


def test_a_chat_answer_says_where_it_comes_from_and_has_exact_usage(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="demo-chat", messages=[{"role": "user", "content": "12345"}])
    assert answer.choices[0].message.content == SENTENCE
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3 + 4 + 2, SENTENCE_TOKENS)


def test_a_chat_stream_has_one_delta_for_each_output_token(sdk: openai.OpenAI) -> None:
    chunks = list(
        sdk.chat.completions.create(
            model="demo-chat",
            messages=[{"role": "user", "content": "[[demo words=40]]"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(deltas) == 40
    assert not chunks[-1].choices
    assert "".join(deltas).startswith(SENTENCE)


def test_usage_is_streamed_only_when_asked_for(demo_server: DemoServer) -> None:
    chunks = events(ask(demo_server, "hello", stream=True))
    assert chunks[-1] == "[DONE]"
    assert not any("usage" in chunk for chunk in chunks[:-1])


@pytest.mark.parametrize("stream", [False, True])
def test_each_of_n_choices_is_counted(demo_server: DemoServer, mark: str, stream: bool) -> None:
    ask(demo_server, f"{mark} [[demo words=7]]", n=3, stream=stream)
    (logged,) = demo_server.requests(contains=mark)
    assert (logged["deltas"], logged["completion_tokens"]) == (21, 21)


def test_completions_answer_streamed_and_not(sdk: openai.OpenAI) -> None:
    whole = sdk.completions.create(model="demo-chat", prompt=["[[demo words=3]]", "two"])
    assert [choice.text for choice in whole.choices] == ["This answer comes"] * 2
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (4 + 1, 6)
    chunks = sdk.completions.create(model="demo-chat", prompt="[[demo words=3]]", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "This answer comes"


@pytest.mark.parametrize(("given", "tokens"), [("four", 1), (["four", "fives"], 3), ([1, 2, 3], 3), ([[1, 2], [3]], 3)])
def test_embeddings_take_texts_and_token_arrays(demo_server: DemoServer, given: Any, tokens: int) -> None:
    body = {"model": "demo-embedding", "input": given, "dimensions": 16}
    answer = CLIENT.post(demo_server.base_url + "/embeddings", json=body).json()
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    count = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
    assert [len(item["embedding"]) for item in answer["data"]] == [16] * count


def test_the_openai_sdk_reads_embeddings(sdk: openai.OpenAI) -> None:
    vector = sdk.embeddings.create(model="demo-embedding", input="hello").data[0].embedding
    assert len(vector) == 64
    assert sum(part * part for part in vector) == pytest.approx(1.0, abs=1e-5)


def test_responses_answer_streamed_and_not(sdk: openai.OpenAI) -> None:
    whole = sdk.responses.create(model="demo-chat", input="12345", instructions="1234")
    assert whole.output_text == SENTENCE
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (3 + 4 + 2 + 4 + 1, SENTENCE_TOKENS)

    streamed = list(sdk.responses.create(model="demo-chat", input="[[demo words=5]]", stream=True))
    kinds = [event.type for event in streamed]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[4:9] == ["response.output_text.delta"] * 5
    assert [event.sequence_number for event in streamed] == list(range(len(streamed)))
    last = streamed[-1]
    assert isinstance(last, ResponseCompletedEvent)
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 5
    assert last.response.output_text == "This answer comes from the"


def test_the_responses_stream_helper_of_the_sdk_follows(sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(model="demo-chat", input="[[demo words=4]]") as stream:
        stream.until_done()
        assert stream.get_final_response().output_text == "This answer comes from"


def test_messages_answer_streamed_and_not(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(
        model="demo-chat", max_tokens=100, system="1234", messages=[{"role": "user", "content": "12345"}]
    )
    assert isinstance(whole.content[0], anthropic.types.TextBlock)
    assert whole.content[0].text == SENTENCE
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (3 + 4 + 1 + 4 + 2, SENTENCE_TOKENS)
    assert whole.stop_reason == "end_turn"

    with claude.messages.stream(
        model="demo-chat", max_tokens=4, messages=[{"role": "user", "content": "[[demo words=9 cached=5]]"}]
    ) as stream:
        assert "".join(stream.text_stream) == "This answer comes from"
        final = stream.get_final_message()
    assert final.stop_reason == "max_tokens"
    assert final.usage.output_tokens == 4
    assert final.usage.cache_read_input_tokens == 5
    assert final.usage.input_tokens == 3 + 4 + 7 - 5


@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1"])
def test_each_route_is_there_with_and_without_v1(demo_server: DemoServer, prefix: str) -> None:
    for route in ("/chat/completions", "/completions", "/embeddings", "/responses", "/messages"):
        assert ask(demo_server, "hello", prefix + route).status_code == 200
    listed = CLIENT.get(demo_server.url + prefix + "/models").json()
    assert listed["data"][0]["object"] == "model"


def test_other_paths_and_methods_are_refused_in_openais_shape(demo_server: DemoServer) -> None:
    missing = CLIENT.get(demo_server.url + "/v1/files")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_url")
    assert CLIENT.get(demo_server.url + "/v1/chat/completions").status_code == 405


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_has_its_arguments_in_counted_fragments(demo_server: DemoServer, mark: str, stream: bool) -> None:
    text = f"{mark} [[demo tool=1 words=6]]"
    answer = ask(demo_server, text, tools=[TOOL], stream=stream, stream_options={"include_usage": True})
    if stream:
        deltas = [chunk["choices"][0]["delta"] for chunk in events(answer)[:-1] if chunk["choices"]]
        calls = [delta["tool_calls"][0]["function"] for delta in deltas if "tool_calls" in delta]
        name, arguments, fragments = calls[0]["name"], "".join(call["arguments"] for call in calls), len(calls) - 1
        finish = events(answer)[-3]["choices"][0]["finish_reason"]
    else:
        choice = answer.json()["choices"][0]
        call = choice["message"]["tool_calls"][0]["function"]
        name, arguments, fragments, finish = call["name"], call["arguments"], 6, choice["finish_reason"]
    assert (name, finish) == ("look_up", "tool_calls")
    assert json.loads(arguments) == {"text": "This answer comes from the demo"}
    (logged,) = demo_server.requests(contains=mark)
    assert logged["usage"]["completion_tokens"] == fragments == 6


def test_tool_calls_reach_the_sdks_of_the_other_apis(sdk: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    text = "[[demo tool=1 words=2]]"
    with claude.messages.stream(
        model="demo-chat",
        max_tokens=50,
        tools=[{"name": "look_up", "input_schema": {"type": "object"}}],
        messages=[{"role": "user", "content": text}],
    ) as stream:
        block = stream.get_final_message().content[0]
    assert isinstance(block, anthropic.types.ToolUseBlock)
    assert (block.name, block.input) == ("look_up", {"text": "This answer"})
    with sdk.responses.stream(model="demo-chat", input=text) as answer:
        item = answer.until_done().get_final_response().output[0]
    assert item.type == "function_call"
    assert item.arguments == '{"text":"This answer"}'


# Limits of the output and usage


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "max_tokens"),
        ("/v1/chat/completions", "max_completion_tokens"),
        ("/v1/completions", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
        ("/v1/messages", "max_tokens"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_output_cap_of_each_route_holds(
    demo_server: DemoServer, mark: str, path: str, name: str, stream: bool
) -> None:
    capped: dict[str, Any] = {name: 3, "stream": stream}
    answer = ask(demo_server, f"{mark} [[demo words=50]]", path, **capped)
    assert re.search(r'"(length|max_tokens|max_output_tokens)"', answer.text)
    (logged,) = demo_server.requests(contains=mark)
    assert (logged["deltas"], logged["completion_tokens"]) == (3, 3)


@pytest.mark.parametrize("value", [0, -1, True, "many", 1.5, 10**12])
def test_an_output_cap_that_is_nonsense_is_refused(demo_server: DemoServer, value: Any) -> None:
    answer = ask(demo_server, "hello", max_tokens=value)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_tokens")


def test_cached_and_reasoning_tokens_are_part_of_prompt_and_output(demo_server: DemoServer) -> None:
    usage = ask(demo_server, "[[demo words=5 cached=2 reasoning=30]]").json()["usage"]
    assert usage["completion_tokens"] == 35
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 30
    assert usage["prompt_tokens_details"]["cached_tokens"] == 2
    capped = ask(demo_server, "[[demo words=5 reasoning=30]]", max_completion_tokens=32).json()
    assert capped["usage"]["completion_tokens"] == 32
    assert capped["choices"][0]["message"]["content"] == "This answer"


def test_figures_of_usage_can_be_set(demo_server: DemoServer) -> None:
    usage = ask(demo_server, "[[demo prompt_tokens=9000 completion_tokens=70]]").json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (9000, 70, 9070)


@pytest.mark.parametrize(
    ("mode", "prompt_tokens"), [("negative", -11), ("huge", 10**12), ("string", "many"), ("zero", 0)]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_absurd_usage_is_sent_while_the_log_keeps_the_truth(
    demo_server: DemoServer, mark: str, mode: str, prompt_tokens: Any, path: str, stream: bool
) -> None:
    options = {"stream_options": {"include_usage": True}} if "chat" in path else {}
    ask(demo_server, f"{mark} [[demo usage={mode} words=4 prompt_tokens=11]]", path, stream=stream, **options)
    (logged,) = demo_server.requests(contains=mark)
    reported = logged["usage"]
    assert reported.get("prompt_tokens", reported.get("input_tokens")) == prompt_tokens
    assert (logged["prompt_tokens"], logged["completion_tokens"]) == (11, 4)


@pytest.mark.parametrize("stream", [False, True])
def test_usage_can_be_absent(demo_server: DemoServer, stream: bool) -> None:
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages"):
        answer = ask(demo_server, "[[demo usage=none]]", path, stream=stream)
        assert all("usage" not in event for event in events(answer) if event != "[DONE]")
        if not stream:
            assert "usage" not in answer.json()


def test_usage_can_come_late_or_with_the_finish_reason_unasked(demo_server: DemoServer) -> None:
    late = events(ask(demo_server, "[[demo usage=late]]", stream=True))
    assert late[-3]["choices"][0]["finish_reason"] == "stop"
    assert (late[-2]["choices"], late[-2]["usage"]["completion_tokens"]) == ([], SENTENCE_TOKENS)
    with_finish = events(ask(demo_server, "[[demo usage=in_finish]]", stream=True))
    assert with_finish[-2]["choices"][0]["finish_reason"] == "stop"
    assert with_finish[-2]["usage"]["completion_tokens"] == SENTENCE_TOKENS


# Directives


@pytest.mark.parametrize("status", [400, 401, 404, 408, 413, 422, 429, 500, 502, 503, 529])
def test_any_error_can_be_asked_for(demo_server: DemoServer, mark: str, status: int) -> None:
    answer = ask(demo_server, f"{mark} [[demo status={status}]]", stream=True)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    (logged,) = demo_server.requests(contains=mark)
    assert (logged["outcome"], logged["completion_tokens"]) == (f"error_{status}", 0)


def test_an_error_is_as_the_directive_says(sdk: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    text = "[[demo status=429 retry_after=7 error_type=tokens error_code=quota error_message=All_used_up]]"
    with pytest.raises(openai.RateLimitError) as refused:
        sdk.chat.completions.create(model="demo-chat", messages=[{"role": "user", "content": text}])
    assert refused.value.response.headers["retry-after"] == "7"
    assert refused.value.response.json()["error"] == {
        "message": "All used up",
        "type": "tokens",
        "param": None,
        "code": "quota",
    }
    with pytest.raises(anthropic.InternalServerError) as failed:
        claude.messages.create(
            model="demo-chat", max_tokens=9, messages=[{"role": "user", "content": "[[demo status=529]]"}]
        )
    assert failed.value.response.json()["error"]["type"] == "overloaded_error"


def test_attempts_with_one_key_get_one_status_after_another(demo_server: DemoServer, mark: str) -> None:
    text = f"[[demo key={mark} statuses=500,502,200]]"
    assert [ask(demo_server, text).status_code for _ in range(4)] == [500, 502, 200, 200]
    assert ask(demo_server, f"[[demo key=other-{mark} statuses=500,200]]").status_code == 500


def test_a_directive_can_be_for_some_models_only(demo_server: DemoServer) -> None:
    text = "[[demo words=2]] [[demo models=first,third status=500]]"
    assert ask(demo_server, text, model="first").status_code == 500
    second = ask(demo_server, text, model="second")
    assert second.json()["choices"][0]["message"]["content"] == "This answer"


@pytest.mark.parametrize("text", ["[[demo wrods=5]]", "[[demo words=five]]", "[[demo words]]", "[[demo usage=odd]]"])
def test_a_directive_that_is_not_understood_is_refused(demo_server: DemoServer, text: str) -> None:
    answer = ask(demo_server, text)
    assert answer.status_code == 400
    assert "demo directive" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("directive", "outcome"), [("cut_after", "cut"), ("reset_after", "reset")])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_stream_can_break_off(demo_server: DemoServer, mark: str, directive: str, outcome: str, path: str) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        ask(demo_server, f"{mark} [[demo words=30 {directive}=20]]", path, stream=True)
    (logged,) = demo_server.requests(contains=mark)
    assert (logged["outcome"], logged["deltas"], logged["completion_tokens"]) == (outcome, 20, 20)


def test_all_deltas_before_a_cut_are_delivered(demo_server: DemoServer) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "[[demo words=50 cut_after=40]]"}]}
    received = b""
    url = demo_server.base_url + "/chat/completions"
    with CLIENT.stream("POST", url, json=body) as answer, suppress(httpx.RemoteProtocolError):
        for part in answer.iter_raw():
            received += part
    chunks = [json.loads(line[6:]) for line in received.decode().splitlines() if line.startswith("data: ")]
    assert len(texts(chunks)) == 40


def test_the_connection_can_be_dropped_or_half_an_answer_sent(demo_server: DemoServer, mark: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        ask(demo_server, f"{mark} [[demo drop=1]]")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        ask(demo_server, f"{mark} [[demo cut_after=0]]")
    assert [entry["outcome"] for entry in demo_server.requests(contains=mark)] == ["dropped", "cut"]


def test_a_stream_can_end_in_an_error_event(demo_server: DemoServer, mark: str) -> None:
    directive = f"{mark} [[demo words=9 error_after=3 error_message=It_broke]]"
    chat = events(ask(demo_server, directive, stream=True))
    assert len(texts(chat)) == 3
    assert chat[-1]["error"]["message"] == "It broke"
    message = ask(demo_server, directive, "/v1/messages", stream=True)
    assert "event: error\n" in message.text
    assert events(message)[-1]["error"] == {"type": "api_error", "message": "It broke"}
    response = events(ask(demo_server, directive, "/v1/responses", stream=True))[-1]
    assert (response["type"], response["message"]) == ("error", "It broke")
    assert ask(demo_server, directive).json()["error"]["message"] == "It broke"
    assert {entry["outcome"] for entry in demo_server.requests(contains=mark)} == {"error_event"}


def test_the_sdk_raises_an_error_event(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "[[demo error_after=2]]"}], stream=True
    )
    with pytest.raises(openai.APIError):
        list(stream)


def test_answers_can_be_empty(demo_server: DemoServer) -> None:
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"):
        assert ask(demo_server, "[[demo empty=1]]", path).content == b""
        if "embeddings" not in path:
            assert ask(demo_server, "[[demo empty=1]]", path, stream=True).content == b""
    assert ask(demo_server, "[[demo empty=choices]]").json()["choices"] == []
    assert events(ask(demo_server, "[[demo empty=choices]]", stream=True)) == ["[DONE]"]


@pytest.mark.parametrize(
    ("finish", "path", "word"),
    [
        ("content_filter", "/v1/chat/completions", "content_filter"),
        ("length", "/v1/messages", "max_tokens"),
        ("content_filter", "/v1/messages", "refusal"),
        ("content_filter", "/v1/responses", "incomplete"),
    ],
)
def test_the_finish_reason_can_be_set(demo_server: DemoServer, finish: str, path: str, word: str) -> None:
    answer = ask(demo_server, f"[[demo finish={finish}]]", path).json()
    assert word in (
        answer.get("status"),
        answer.get("stop_reason"),
        answer.get("choices", [{}])[0].get("finish_reason"),
    )


def test_a_stream_with_crlf_comments_and_keep_alives_reads_the_same(
    sdk: openai.OpenAI, demo_server: DemoServer
) -> None:
    text = "[[demo words=20 crlf=1]]"
    raw = ask(demo_server, text, stream=True).text
    assert "\n" not in raw.replace("\r\n", "")
    assert raw.count(": keep-alive\r\n\r\n") == 4
    stream = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], stream=True)
    assert sum(bool(chunk.choices[0].delta.content) for chunk in stream) == 20


def test_a_stream_may_lack_its_end_mark_or_come_in_one_write(demo_server: DemoServer) -> None:
    assert events(ask(demo_server, "[[demo no_done=1]]", stream=True))[-1] != "[DONE]"
    assert len(texts(events(ask(demo_server, "[[demo burst=1 words=200]]", stream=True)))) == 200


def test_deltas_can_be_cut_by_characters(demo_server: DemoServer, mark: str) -> None:
    chunks = events(ask(demo_server, f"{mark} [[demo words=4 chunk_chars=5]]", stream=True))
    assert texts(chunks) == ["This ", "answe", "r com", "es fr", "om"]
    assert demo_server.requests(contains=mark)[0]["completion_tokens"] == 5


def test_delay_and_gap_are_kept(demo_server: DemoServer, mark: str) -> None:
    ask(demo_server, f"{mark} [[demo delay_ms=60 gap_ms=20 words=4]]", stream=True)
    (logged,) = demo_server.requests(contains=mark)
    assert logged["finished"] - logged["time"] >= 0.06 + 3 * 0.02 - 0.005


# The log


def test_the_log_has_what_was_received_with_secrets_as_fingerprints(demo_server: DemoServer, mark: str) -> None:
    body = {"model": "demo-chat", "user": "someone", "messages": [{"role": "user", "content": mark + ' "quoted" é'}]}
    secrets = {"authorization": f"Bearer {mark}", "x-api-key": mark, "x-note": "kept"}
    CLIENT.post(demo_server.base_url + "/chat/completions", json=body, headers=secrets)
    (logged,) = demo_server.requests(contains=mark + ' "quoted" é')
    assert logged["body"] == body
    assert (logged["method"], logged["path"], logged["model"]) == ("POST", "/v1/chat/completions", "demo-chat")
    assert (logged["outcome"], logged["status"], logged["stream"]) == ("complete", 200, False)
    assert logged["headers"]["x-note"] == "kept"
    assert re.fullmatch(r"sha256:[0-9a-f]{16}", logged["headers"]["authorization"])
    assert logged["headers"]["authorization"] != logged["headers"]["x-api-key"]
    assert mark not in json.dumps(logged["headers"])


def test_the_log_can_be_read_from_a_point_on_and_without_bodies(demo_server: DemoServer, mark: str) -> None:
    ask(demo_server, f"{mark} one")
    since = demo_server.requests(contains=mark)[-1]["seq"]
    assert demo_server.last_seq() >= since
    ask(demo_server, f"{mark} two")
    (later,) = demo_server.requests(contains=mark, since=since, bodies=False)
    assert later["seq"] > since
    assert "body" not in later


def test_a_client_that_leaves_a_stream_is_logged_with_what_it_got(demo_server: DemoServer, mark: str) -> None:
    body = {
        "model": "m",
        "stream": True,
        "messages": [{"role": "user", "content": f"{mark} [[demo gap_ms=10 words=2000]]"}],
    }
    url = demo_server.base_url + "/chat/completions"
    with CLIENT.stream("POST", url, json=body) as answer:
        received = 0
        for line in answer.iter_lines():
            received += '"content":" ' in line
            if received == 5:
                break
    (logged,) = demo_server.requests(contains=mark, settled=1)
    assert logged["outcome"] == "client_left"
    assert 5 <= logged["deltas"] < 1000
    assert logged["completion_tokens"] == logged["deltas"]


@pytest.mark.parametrize("directive", ["hang=1", "delay_ms=60000", "hang_after=3"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_gives_up_waiting_is_noticed(
    demo_server: DemoServer, mark: str, directive: str, stream: bool
) -> None:
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": f"{mark} [[demo {directive}]]"}]}
    with pytest.raises(httpx.ReadTimeout):
        CLIENT.post(demo_server.base_url + "/chat/completions", json=body, timeout=0.2)
    (logged,) = demo_server.requests(contains=mark, settled=1)
    assert logged["outcome"] == "client_left"
    assert logged["deltas"] == (3 if stream and directive == "hang_after=3" else 0)


def test_answers_carry_the_headers_of_a_real_provider(demo_server: DemoServer) -> None:
    headers = ask(demo_server, "hello").headers
    assert headers["openai-organization"] == "demo-org"
    assert headers["set-cookie"].startswith("demo=1")
    assert {"x-request-id", "x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens"} <= set(headers)
    assert ask(demo_server, "hello", "/v1/messages").headers["anthropic-organization-id"] == "demo-org"


@pytest.mark.parametrize(
    ("path", "content", "param"),
    [
        ("/v1/chat/completions", b"{", None),
        ("/v1/chat/completions", b"[]", None),
        ("/v1/chat/completions", b'{"model": "m"}', "messages"),
        ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "x"}]}', "model"),
        ("/v1/embeddings", b'{"model": "m", "input": [1, "x"]}', "input"),
        ("/v1/responses", b'{"model": "m"}', "input"),
    ],
)
def test_a_request_that_is_wrong_is_refused(
    demo_server: DemoServer, path: str, content: bytes, param: str | None
) -> None:
    answer = CLIENT.post(demo_server.url + path, content=content)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


# The process


def test_it_ends_at_once_and_in_order_with_answers_in_progress(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    server = DemoServer("--log", str(log), "--words", "1000", "--gap-ms", "50")
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with CLIENT.stream("POST", server.base_url + "/chat/completions", json=body) as answer:
        parts = answer.iter_raw()
        next(parts)
        assert server.stop() == 0
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["outcome"] == "shutdown"
    assert log.stat().st_mode & 0o777 == 0o600


def test_it_listens_on_a_unix_socket_too(tmp_path: Path) -> None:
    path = tmp_path / "demo.sock"
    with DemoServer("--uds", str(path)) as server:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://demo") as client:
            assert client.get("/v1/models").status_code == 200
        assert CLIENT.get(server.base_url + "/models").status_code == 200
    assert not path.exists()


def test_the_log_is_bounded() -> None:
    with DemoServer("--log-entries", "3") as server:
        for number in range(5):
            ask(server, f"number {number}")
        assert [entry["seq"] for entry in server.requests()] == [3, 4, 5]


def test_it_prints_its_port_where_no_descriptor_is_given() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "scalix_demo", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert re.fullmatch(r"ready \d+\n", process.stdout.readline())
        finally:
            process.terminate()


def test_it_dies_with_its_parent() -> None:
    parent = (
        "import sys, time; sys.path.insert(0, '.')\n"
        "from tests.demo_server import DemoServer\n"
        "print(DemoServer().pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait(10)
    with suppress(psutil.NoSuchProcess):
        orphan = psutil.Process(child)
        eventually(lambda: all_gone([orphan]), "the process has ended with its parent")


@pytest.mark.parametrize("options", [["--words", "many"], ["--uds", "/nowhere/demo.sock"], ["--log", "/nowhere/log"]])
def test_wrong_options_are_one_line_and_exit_code_2(options: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "scalix_demo", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1


def test_a_taken_port_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "scalix_demo", "--port", port]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"port {port}" in run.stderr
    assert len(run.stderr.splitlines()) == 1
