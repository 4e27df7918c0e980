"""Fields of a type that no provider takes are a 400 that names them."""

from typing import Any

import pytest

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route
from scalix.edge.body_shapes import check_shapes

USER = {"role": "user", "content": "hi"}
RIGHT: dict[Route, list[dict[str, Any]]] = {
    Route.CHAT: [
        {"messages": [USER]},
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}], "tools": [{}]},
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}], "stop": ["a"], "temperature": 1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "stop": None, "tools": None},
    ],
    Route.COMPLETIONS: [{"prompt": "x"}, {"prompt": ["x", "y"]}, {"prompt": [1, 2]}, {"prompt": [[1], [2]]}],
    Route.EMBEDDINGS: [{"input": "x"}, {"input": ["x"]}, {"input": [1, 2]}],
    Route.RESPONSES: [{"input": "x"}, {"input": [USER], "text": {}}, {"prompt": {"id": "p"}}],
    Route.MESSAGES: [{"messages": [USER], "system": [{"type": "text", "text": "x"}], "thinking": {}}],
}
WRONG: list[tuple[Route, dict[str, Any], str]] = [
    (Route.CHAT, {}, "messages"),
    (Route.CHAT, {"messages": []}, "messages"),
    (Route.CHAT, {"messages": ["x"]}, "messages[0]"),
    (Route.CHAT, {"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    (Route.CHAT, {"messages": [USER, {"role": "user", "content": 5}]}, "messages[1].content"),
    (Route.CHAT, {"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id"),
    (Route.CHAT, {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
    (Route.CHAT, {"messages": [USER], "temperature": "hot"}, "temperature"),
    (Route.CHAT, {"messages": [USER], "temperature": True}, "temperature"),
    (Route.CHAT, {"messages": [USER], "tools": 1.3}, "tools"),
    (Route.CHAT, {"messages": [USER], "stop": {}}, "stop"),
    (Route.COMPLETIONS, {"prompt": None}, "prompt"),
    (Route.COMPLETIONS, {"prompt": {}}, "prompt"),
    (Route.EMBEDDINGS, {"input": []}, "input"),
    (Route.RESPONSES, {"input": 0.0}, "input"),
    (Route.RESPONSES, {"input": "x", "reasoning": "much"}, "reasoning"),
    (Route.RESPONSES, {"input": "x", "instructions": [1]}, "instructions"),
    (Route.MESSAGES, {"messages": [USER], "top_p": {}}, "top_p"),
    (Route.MESSAGES, {"messages": [USER], "stop_sequences": "x"}, "stop_sequences"),
]


@pytest.mark.parametrize("route", Route)
def test_what_the_sdks_send_passes(route: Route) -> None:
    for body in RIGHT[route]:
        check_shapes(route, body)


@pytest.mark.parametrize(("route", "body", "named"), WRONG)
def test_a_field_of_a_wrong_type_is_named(route: Route, body: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_shapes(route, body)
    assert caught.value.param == named
