"""What the edge makes of an engine's answers and events, without an engine."""

import json
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from scalix.domain.limits.quota import Receipt
from scalix.domain.requests.routes import Route
from scalix.edge import answer_repairs
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.service.exchange.attempts import Attempt
from tests.exchanges import made_exchange


def repairs(route: Route, *, choices: int = 1, with_usage: bool = False, **asked: Any) -> AnswerRepairs:
    receipt = Receipt("r", "user:u", 0, 9, 0, False)
    attempt = Attempt(finishes={0: "stop", 1: "length"})
    exchange = made_exchange(route=route, choices=choices, receipt=receipt, attempt=attempt)
    return AnswerRepairs(exchange, "public", asked, lambda: 1_700_000_000, with_usage=with_usage)


def sent(event: bytes) -> Any:
    return json.loads(event.partition(b"data: ")[2])


def event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta}
    return event(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    )


def test_the_operators_cost_is_taken_out_of_usage_and_of_nothing_else() -> None:
    usage = {"input_tokens": 1, "output_tokens": 3, "cost": 0.0006000000000000001}
    delta = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
    assert "cost" not in sent(repairs(Route.MESSAGES).event(delta))["usage"]
    last = chunk({}, usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.1})
    assert sent(repairs(Route.CHAT).event(last))["usage"].keys() == {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
    }
    body = b'{"id":"msg_1","content":[{"input":{"a":1,"cost":5}}],"usage":{"input_tokens":1,"cost":null}}'
    whole = json.loads(repairs(Route.MESSAGES).whole(body))
    assert (whole["content"], whole["usage"]) == ([{"input": {"a": 1, "cost": 5}}], {"input_tokens": 1})


@pytest.mark.parametrize(
    "body", [b'{"cost":', b'["cost": 1]', b'{"usage": {"cost":1}', b'[{"cost":1}]', b'"cost":\xff', b"null"]
)
@pytest.mark.parametrize("route", list(Route))
def test_a_body_that_is_no_answer_stays_as_it_is(route: Route, body: bytes) -> None:
    assert repairs(route).whole(body) == body
    assert repairs(route).event(b"data: " + body + b"\n\n") == b"data: " + body + b"\n\n"


def test_a_completions_chunk_has_its_usage_only_for_who_asked() -> None:
    zero, true = {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": 3, "completion_tokens": 2}
    text = event({"choices": [{"index": 0, "text": "a"}], "usage": zero})
    last = event({"choices": [{"index": 0, "text": ""}], "usage": true})
    plain, asked = repairs(Route.COMPLETIONS), repairs(Route.COMPLETIONS, with_usage=True)
    assert b"usage" not in plain.event(text)
    assert plain.event(last) == b""
    assert sent(asked.event(text))["usage"] is None
    assert (sent(asked.event(last))["choices"], sent(asked.event(last))["usage"]) == ([], true)
    assert plain.event(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"


def test_of_a_chat_stream_only_what_needs_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a stream of one choice, and a count of what is parsed
    parsed: list[Any] = []

    def loads(raw: bytes) -> Any:
        parsed.append(raw)
        return orjson.loads(raw)

    one = repairs(Route.CHAT, with_usage=True)
    monkeypatch.setattr(answer_repairs, "orjson", SimpleNamespace(loads=loads, dumps=orjson.dumps))
    tricky = 'it says "choices":[{"index":0}] and "finish_reason":"stop" and "usage":{'
    texts = [one.event(chunk({"content": text})) for text in ("hello", tricky, "\u00e9")]
    # Then a text is not parsed, has what it must have, and is what it was
    assert parsed == []
    for text, event_ in zip(("hello", tricky, "\u00e9"), texts, strict=True):
        made = sent(event_)
        assert (made["usage"], made["choices"][0]["finish_reason"]) == (None, None)
        assert made["choices"][0]["delta"] == {"content": text}
    # And the usage has no choice
    last = sent(one.event(chunk({}, usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})))
    assert (last["choices"], last["usage"]["total_tokens"], len(parsed)) == ([], 3, 1)


def test_each_of_several_choices_has_a_role_and_an_end() -> None:
    # Given an engine that announces the first choice only, and ends it only
    several = repairs(Route.CHAT, choices=2, with_usage=True)
    first = sent(several.event(chunk({"role": "assistant", "content": "a"})))
    other = json.loads(chunk({"content": "b"})[6:])
    other["choices"][0]["index"] = 1
    second = sent(several.event(event(other)))
    other["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    several.event(event(other))
    ends = several.event(b"data: [DONE]\n\n").split(b"\n\n")
    # Then the other one has both, once
    assert [one["choices"][0]["delta"]["role"] for one in (first, second)] == ["assistant", "assistant"]
    (choice,) = sent(ends[0])["choices"]
    assert (choice["index"], choice["finish_reason"], ends[1:]) == (1, "length", [b"data: [DONE]", b""])


def test_a_refusal_is_where_clients_look_for_it() -> None:
    message = {"role": "assistant", "content": None, "provider_specific_fields": {"refusal": "no"}}
    body = orjson.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]})
    made = json.loads(repairs(Route.CHAT).whole(body))["choices"][0]
    assert made["message"] == {"role": "assistant", "content": None, "refusal": "no"}
    assert made["logprobs"] is None
    delta = sent(repairs(Route.CHAT).event(chunk({"provider_specific_fields": {"refusal": "no"}})))
    assert delta["choices"][0]["delta"] == {"refusal": "no"}


def test_a_response_says_what_was_asked_where_its_provider_does_not() -> None:
    asked: dict[str, Any] = {
        "instructions": "be brief",
        "temperature": 0.5,
        "tools": [{"type": "function", "name": "f"}],
    }
    made = json.loads(
        repairs(Route.RESPONSES, **asked).whole(b'{"object":"response","status":"completed","output":[]}')
    )
    assert (made["model"], made["instructions"], made["temperature"]) == ("public", "be brief", 0.5)
    assert made["tools"] == [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}]
    assert (made["error"], made["previous_response_id"], made["completed_at"]) == (None, None, 1_700_000_000)


def test_events_of_a_response_are_numbered_and_named() -> None:
    shape = repairs(Route.RESPONSES)
    item = {"type": "function_call", "id": "fc_1", "name": "f", "caller": None, "namespace": None}
    first = shape.event(event({"type": "response.output_item.added", "item": item, "sequence_number": 4}))
    done = event({"type": "response.function_call_arguments.done", "item_id": "fc_1", "model": "m", "arguments": "{}"})
    second = shape.event(done)
    assert first.startswith(b"event: response.output_item.added\ndata: {")
    assert sent(first)["item"] == {"type": "function_call", "id": "fc_1", "name": "f"}
    assert (sent(first)["sequence_number"], sent(second)["sequence_number"], shape.next_number) == (4, 5, 6)
    assert "model" not in sent(second)
    assert sent(second)["name"] == "f"


def test_a_type_of_several_lines_makes_no_events_of_its_own() -> None:
    made = repairs(Route.RESPONSES).event(event({"type": "x\n\ndata: {}"}))
    assert made.count(b"\n\n") == 1
    assert made.startswith(b"data: ")


def test_a_message_that_has_just_begun_has_a_content_to_be_added_to() -> None:
    # https://github.com/maximhq/bifrost/issues/6455
    item = {"type": "message", "role": "assistant"}
    made = sent(repairs(Route.RESPONSES).event(event({"type": "response.output_item.added", "item": item})))
    assert made["item"]["content"] == []


def test_no_cost_of_vectors_is_shown_under_whichever_name() -> None:
    body = b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":7,"estimated_cost":0.1,"total_tokens":7}}'
    assert b"cost" not in repairs(Route.EMBEDDINGS).whole(body)


def test_vectors_are_not_parsed_and_their_usage_has_no_null() -> None:
    body = (
        b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":7,"completion_tokens_details":null,"total_tokens":7}}'
    )
    made = repairs(Route.EMBEDDINGS).whole(body)
    assert made == b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}'
