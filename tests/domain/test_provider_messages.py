"""Messages of a provider as engines read them."""

import json
from typing import Any

import pytest

from scalix.domain.answers.provider_messages import (
    complete_arguments,
    flatten_content,
    mend_messages,
    with_arguments,
)
from scalix.domain.answers.refusals import Refusals
from scalix.domain.requests.routes import Route


def text(value: Any) -> dict[str, Any]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("content", "made", "thought"),
    [
        ([text("a"), text("b")], "ab", None),
        ([{"type": "thinking", "thinking": [text("so"), text(" on")]}, text("a")], "a", "so on"),
        ([{"type": "thinking", "thinking": "so"}], None, "so"),
        ([], None, None),
        ([text(None), {"type": "text"}], None, None),
    ],
)
def test_a_list_of_texts_and_thoughts_is_a_text(content: list[Any], made: str | None, thought: str | None) -> None:
    message: dict[str, Any] = {"content": content}
    assert flatten_content(message)
    assert (message["content"], message.get("reasoning_content")) == (made, thought)


@pytest.mark.parametrize(
    "content", ["a", None, [{"type": "image_url"}], ["a"], [{**text("a"), "citations": []}], [{"type": "reasoning"}]]
)
def test_what_an_engine_may_know_better_is_left_as_it_is(content: Any) -> None:
    message = {"content": content}
    assert not flatten_content(message)
    assert message == {"content": content}


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    functions: list[Any] = [{"arguments": ""}, {"arguments": None}, {}, {"arguments": '{"a":1}'}, None, "x"]
    message = {"tool_calls": [{"function": function} for function in functions]}
    assert complete_arguments(message)
    assert [call["function"] for call in message["tool_calls"]] == [
        *[{"arguments": "{}"}] * 3,
        {"arguments": '{"a":1}'},
        None,
        "x",
    ]


def test_one_that_was_cut_stays_cut() -> None:
    message = {"tool_calls": [{"function": {"arguments": ""}}]}
    assert not mend_messages({"choices": [{"message": message, "finish_reason": "length"}]}, Refusals(Route.CHAT))
    assert mend_messages({"choices": [{"message": message, "finish_reason": "stop"}]}, Refusals(Route.CHAT))


@pytest.mark.parametrize("answer", [{}, {"choices": None}, {"choices": [None, {"message": "x"}, {"message": {}}]}])
def test_what_has_no_messages_stays_as_it_is(answer: dict[str, Any]) -> None:
    assert not mend_messages(answer, Refusals(Route.RESPONSES))


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "args": {}}}),
        ({"functionCall": {"name": "f", "args": None, "id": "1"}}, None),
        ({"functionCall": {"name": "f", "args": {"a": {}}}}, None),
        ({"functionCall": {"args": {}, "name": "f"}}, None),
        ({"functionCall": {}}, None),
        ({"text": 'so "functionCall": {"name": "f"} it is'}, None),
    ],
)
def test_a_call_of_geminis_has_arguments(given: dict[str, Any], made: dict[str, Any] | None) -> None:
    for separators in ((",", ":"), (", ", " : ")):
        text = json.dumps([given, given], separators=separators).encode()
        assert json.loads(with_arguments(text)) == [made or given] * 2
