"""What programs offer by default beside their own tools is taken out of a body, and nothing else."""

from typing import Any

import pytest

from scalix.domain.requests.offered_tools import take_out_offered

OWN = {"type": "function", "name": "exec_command", "parameters": {"type": "object"}}
SEARCH = {"type": "web_search", "external_web_access": False}


@pytest.mark.parametrize("choice", [None, "auto", "required", {"type": "auto"}])
def test_an_offered_search_is_taken_out_and_told(choice: Any) -> None:
    body = {"tools": [OWN, SEARCH, {"type": "mcp", "server_url": "u"}], "tool_choice": choice}
    assert take_out_offered(body) == ["tools[1].web_search"]
    assert body["tools"] == [OWN, {"type": "mcp", "server_url": "u"}]


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [SEARCH]},
        {"tools": [OWN, SEARCH], "tool_choice": {"type": "web_search"}},
        {"tools": [OWN, SEARCH], "tool_choice": "none"},
        {"tools": [OWN, {"type": "function", "name": "web_search"}]},
        {"tools": [OWN, {"type": ["web_search"]}, None, 3]},
        {"tools": [OWN, SEARCH], "tool_choice": ["auto"]},
        {"tools": "web_search"},
        {},
    ],
    ids=str,
)
def test_what_is_asked_for_or_is_no_such_tool_stays(body: dict[str, Any]) -> None:
    before = dict(body)
    assert take_out_offered(body) == []
    assert body == before
