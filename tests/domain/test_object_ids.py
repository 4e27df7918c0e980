"""Where ids of kept things stand in a body, and the tag that binds one to its user."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.requests.object_ids import bound, places, unbound

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
TEXTS = st.text(min_size=1, max_size=80)


@given(TEXTS, TEXTS)
def test_an_id_is_its_users_and_comes_back_as_it_was(subject: str, ident: str) -> None:
    given_id = bound(KEY, subject, ident)
    assert given_id.startswith(ident)
    assert unbound(KEY, subject, given_id) == (ident, True)
    assert unbound(OTHER_KEY, subject, given_id) == (ident, False)
    assert unbound(KEY, subject + "x", given_id) == (ident, False)
    assert unbound(KEY, subject, ident)[1] is False


@given(TEXTS, TEXTS, st.integers(min_value=1))
def test_any_other_character_or_length_is_no_tag(subject: str, ident: str, number: int) -> None:
    given_id = bound(KEY, subject, ident)
    position = 1 + number % (len(given_id) - 1)
    other = "B" if given_id[position] == "A" else "A"
    assert unbound(KEY, subject, given_id[:position] + other + given_id[position + 1 :])[1] is False
    assert unbound(KEY, subject, given_id[:position])[1] is False
    assert unbound(KEY, subject, given_id[position:])[1] is False


def test_what_belongs_to_the_name_is_not_taken_for_the_id() -> None:
    """Both are of the client's choosing where a token names its user."""
    assert bound(KEY, "user:a", "bc")[2:] != bound(KEY, "user:ab", "c")[1:]


def found(body: Any, holder: str = "") -> dict[str, str]:
    return {place.path: place.text for place in places(body, holder)}


def test_the_place_is_told_as_a_path() -> None:
    body = {
        "conversation": {"id": "conv_1"},
        "input": [{"role": "user", "content": [{"type": "input_text"}, {"type": "input_file", "file_id": "file-1"}]}],
        "tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}],
    }
    assert found(body) == {
        "conversation.id": "conv_1",
        "input[0].content[1].file_id": "file-1",
        "tools[0].vector_store_ids[0]": "vs_1",
        "tools[0].vector_store_ids[1]": "vs_2",
    }


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ({"type": "redacted_thinking", "data": "Eo1"}, "data"),
        ({"type": "thinking", "thinking": "x", "signature": "litellm_encrypted_reasoning:e30"}, "signature"),
        ({"type": "file", "file_uri": "HTTPS://GenerativeLanguage.GoogleAPIs.com/v1beta/files/a"}, "file_uri"),
        ({"type": "input_file", "file_url": "http://generativelanguage.googleapis.com/v1beta/files/a"}, "file_url"),
    ],
)
def test_what_a_provider_reads_back_or_keeps_is_one_wherever_it_stands(block: dict[str, Any], name: str) -> None:
    assert found({"messages": [{"role": "assistant", "content": [block]}]}) == {
        f"messages[0].content[0].{name}": block[name]
    }


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "tool", "tool_call_id": "c", "content": "file_id"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "call_1"}]}]},
        {"messages": [{"content": [{"type": "tool_use", "id": "t", "input": {"file_id": "f"}}]}]},
        {"messages": [{"content": [{"type": "thinking", "thinking": "x", "signature": "E1"}]}]},
        {"messages": [{"content": [{"type": "file", "file": {"file_id": "https://example.com/a.pdf"}}]}]},
        {"messages": [{"content": [{"type": "file", "file": {"file_id": "data:application/pdf;base64,AA=="}}]}]},
        {"tools": [{"parameters": {"properties": {"file_id": {"default": "f"}}, "file_id": "f"}}]},
        {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}},
        {"metadata": {"file_id": "f"}},
        {"conversation": None, "previous_response_id": "", "container": {"type": "auto"}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_what_is_no_id_is_left_alone(body: dict[str, Any]) -> None:
    assert found(body) == {}


@pytest.mark.parametrize(
    ("item", "is_optional"),
    [
        ({"role": "user", "content": "hi"}, True),
        ({"type": "message", "role": "assistant", "content": []}, True),
        ({"type": "function_call", "call_id": "c"}, True),
        ({"type": "reasoning", "summary": [], "encrypted_content": "gA"}, True),
        ({"type": "reasoning", "summary": []}, False),
        ({"type": "image_generation_call"}, False),
        ({"type": "item_reference"}, False),
        ({}, False),
    ],
)
def test_an_items_id_can_be_done_without_where_the_item_says_all_itself(item: Any, is_optional: bool) -> None:
    (place,) = [place for place in places({"input": [{"id": "x_1", **item}]}) if place.name == "id"]
    assert place.is_optional is is_optional
