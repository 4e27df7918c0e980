"""Which requests hide a part of their prompt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.requests.routes import Route
from scalix.domain.tokens.unknown_size import unknown_size_field

PART = "messages[1].content[0]"
INPUT_PART = "input[1].content[0]"
NESTED = {"type": "image", "source": {"type": "file", "file_id": "f"}}
LINK = "https://e.example/"
MADE = {"role": "assistant", "images": [{"image_url": {"url": LINK}}]}
SCREEN = {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": LINK + "a.png"}}

FUNCTION = {"type": "function", "name": "f"}
CODEX_TOOLS = [
    *(
        {"type": "local_shell"},
        {"type": "tool_search", "execution": "client"},
        {"type": "custom", "name": "apply_patch"},
    ),
    {"type": "namespace", "name": "n", "tools": [FUNCTION, {"type": "custom", "name": "c"}]},
]


def parts(*content: dict[str, Any], name: str = "messages") -> dict[str, Any]:
    return {name: [{"role": "user", "content": "first"}, {"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        (Route.RESPONSES, {"previous_response_id": "resp_1"}, "previous_response_id"),
        (Route.RESPONSES, {"conversation": {"id": "conv_1"}}, "conversation"),
        (Route.RESPONSES, {"background": True}, "background"),
        (Route.RESPONSES, {"prompt": {"id": "pmpt_1"}}, "prompt.id"),
        (Route.RESPONSES, {"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}, "tools[1]"),
        (Route.RESPONSES, {"tools": [{"type": "mcp", "server_url": "https://m.example"}]}, "tools[0]"),
        (Route.RESPONSES, {"tools": [{"type": "computer_use_preview"}]}, "tools[0]"),
        (Route.RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        (Route.RESPONSES, parts({"type": "input_file", "file_id": "file-1"}, name="input"), INPUT_PART + ".file_id"),
        (Route.RESPONSES, parts({"type": "input_file", "file_url": LINK}, name="input"), INPUT_PART + ".file_url"),
        (Route.CHAT, {"tools": [{"googleSearch": {}}]}, "tools[0]"),
        (Route.CHAT, {"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        (Route.CHAT, {"web_search_options": {}}, "web_search_options"),
        (Route.CHAT, parts({"type": "file", "file": {"file_id": "file-1"}}), PART + ".file.file_id"),
        (Route.CHAT, parts({"type": "video_url", "video_url": {"url": "x"}}), PART + ".type"),
        (Route.CHAT, parts({"type": "image_url", "image_url": {"url": LINK + "a.MP4?x=1"}}), PART + ".image_url.url"),
        (Route.CHAT, parts({"type": "image_url", "image_url": "gs://bucket/a"}), PART + ".image_url"),
        (Route.CHAT, parts({"type": "image_url", "image_url": {"url": LINK + "a?b=c.pdf"}}), PART + ".image_url.url"),
        (Route.CHAT, parts({"type": "input_audio", "input_audio": {"data": LINK}}), PART + ".input_audio.data"),
        (Route.CHAT, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages[0].audio.id"),
        (Route.CHAT, {"messages": [MADE]}, "messages[0].images[0].image_url.url"),
        (Route.CHAT, parts({"type": "text", "text": "x", "video_url": LINK}), PART + ".video_url"),
        (Route.MESSAGES, {"container": "container_1"}, "container"),
        (Route.MESSAGES, {"mcp_servers": [{"url": "https://m.example"}]}, "mcp_servers"),
        (Route.MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        (Route.MESSAGES, parts({"type": "document", "source": {"file_id": "f"}}), PART + ".source.file_id"),
        (Route.MESSAGES, parts({"type": "document", "source": {"url": LINK + "a.pdf"}}), PART + ".source.url"),
        (Route.MESSAGES, parts({"type": "image", "source": {"url": LINK + "a.png"}}), PART + ".source.url"),
        (Route.RESPONSES, {"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]}, "tools[0]"),
        (Route.RESPONSES, {"tools": [{"type": "namespace", "name": "n"}]}, "tools[0]"),
        (Route.RESPONSES, {"input": [SCREEN]}, "input[0].output.image_url"),
        (Route.MESSAGES, parts({"type": "tool_result", "content": [NESTED]}), PART + ".content[0].source.file_id"),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_a_field_that_hides_a_part_of_the_prompt_is_named(route: Route, body: dict[str, Any], field: str) -> None:
    assert unknown_size_field(route, body) == field


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (Route.CHAT, {"messages": [{"role": "user", "content": "file_id"}], "previous_response_id": None}),
        (Route.CHAT, {"tools": [{"type": "function", "function": {"name": "web_search"}}]}),
        (Route.CHAT, parts({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        (Route.CHAT, parts({"type": "file", "file": {"file_data": "data:application/pdf;base64,A"}})),
        (Route.COMPLETIONS, {"prompt": {"id": "x"}}),
        (Route.RESPONSES, {"background": False, "input": "a", "tools": [{"type": "custom", "name": "f"}]}),
        (Route.RESPONSES, {"tools": CODEX_TOOLS}),
        (Route.MESSAGES, {"tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}),
        (Route.MESSAGES, parts({"type": "tool_use", "name": "f", "input": {"file_id": "x", "type": "file"}})),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_a_prompt_that_is_all_there_is_not_refused(route: Route, body: dict[str, Any]) -> None:
    assert unknown_size_field(route, body) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "content", "source", "file", "file_id", "url", "image_url", "audio", "id", "format"]
            ),
            inner | st.sampled_from(["file", "image_url", "input_file", "item_reference", "document"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)
KEYS = ["messages", "input", "prompt", "system", "tools", "functions", "conversation", "background"]


@given(route=st.sampled_from(Route), body=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_json_is_searched_and_never_raises(route: Route, body: dict[str, Any]) -> None:
    field = unknown_size_field(route, body)
    assert field is None or field
