"""The demo provider does what a modern model does: calls tools, keeps to schemas, thinks."""

import asyncio
from typing import Any

import httpx
import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_demo.app import DemoApp
from scalix_demo.sample import sample

CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "country": {"type": "string", "minLength": 8}},
    "required": ["name", "country"],
    "additionalProperties": False,
}
SCHEMAS: tuple[dict[str, Any], ...] = (
    CITY,
    {"type": "array", "items": CITY, "minItems": 3},
    {"enum": ["red", "green"]},
    {"const": 5},
    {"type": ["null", "integer"], "minimum": 7, "multipleOf": 5},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "number", "maximum": -2.5},
    {"type": "number", "minimum": 0.1, "maximum": 0.2},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"oneOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": {"type": "boolean"}}},
    {
        "allOf": [
            {"properties": {"name": {"type": "string"}}},
            {"properties": {"size": {"type": "integer"}}, "required": ["size"]},
        ],
        "type": "object",
    },
    {"type": "object", "required": ["unnamed"]},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
            }
        },
    },
    {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                "required": ["children"],
            }
        },
    },
)
FUNCTION = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
CHAT_TOOLS = [{"type": "function", "function": {"name": "search_files"}}, {"type": "function", "function": FUNCTION}]


def asked(path: str, **body: Any) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(DemoApp()), base_url="http://demo") as client:
            answer = await client.post(path, json={"model": "gpt-5", **body})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

    return asyncio.run(ask())


def chat(text: str = "Hello", **body: Any) -> dict[str, Any]:
    return asked("/v1/chat/completions", messages=[{"role": "user", "content": text}], **body)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: orjson.dumps(schema).decode()[:50])
def test_a_sample_keeps_to_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(sample(schema), schema)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "$ref", "anyOf", "allOf", "enum", "required", "minimum", "multipleOf"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_schema_however_wrong_stops_the_demo(schema: Any) -> None:
    orjson.dumps(sample(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**12},
        {"type": "array", "minItems": 10**12, "items": {"type": "string", "minLength": 10**12}},
        {"type": "number", "minimum": 1e300, "multipleOf": 1e-300},
        {"type": "integer", "minimum": 1e308},
    ],
    ids=str,
)
def test_what_a_schema_wants_is_given_within_bounds(schema: dict[str, Any]) -> None:
    assert len(orjson.dumps(sample(schema))) < 200_000


def test_definitions_that_double_each_other_come_to_an_end() -> None:
    definitions: dict[str, Any] = {
        f"d{number}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{number + 1}"} for name in "ab"},
            "required": ["a", "b"],
        }
        for number in range(40)
    }
    assert len(orjson.dumps(sample({"$ref": "#/$defs/d0", "$defs": definitions}))) < 100_000


def test_structured_output_is_json_of_the_schema_on_every_route() -> None:
    format_ = {"type": "json_schema", "name": "city", "schema": CITY}
    inner = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
    of_chat = chat(response_format=inner)["choices"][0]["message"]["content"]
    of_responses = asked("/v1/responses", input="Hello", text={"format": format_})["output"][0]["content"][0]["text"]
    question = [{"role": "user", "content": "Hello"}]
    of_messages = asked("/v1/messages", messages=question, max_tokens=100, output_config={"format": format_})
    for text in (of_chat, of_responses, of_messages["content"][0]["text"]):
        jsonschema.validate(orjson.loads(text), CITY)
    assert isinstance(
        orjson.loads(chat(response_format={"type": "json_object"})["choices"][0]["message"]["content"]), dict
    )


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("Hello", None, None),
        ("How is the weather?", None, "get_weather"),
        ("How is the weather?", "none", None),
        ("Hello", "required", "search_files"),
        ("How is the weather?", "required", "get_weather"),
        ("Hello", {"type": "function", "function": {"name": "get_weather"}}, "get_weather"),
    ],
)
def test_a_tool_is_called_where_it_is_asked_for(text: str, choice: Any, called: str | None) -> None:
    answer = chat(text, tools=CHAT_TOOLS, **({} if choice is None else {"tool_choice": choice}))["choices"][0]
    calls = answer["message"].get("tool_calls") or []
    assert [call["function"]["name"] for call in calls] == ([called] if called else [])
    assert answer["finish_reason"] == ("tool_calls" if called else "stop")
    if called == "get_weather":
        assert orjson.loads(calls[0]["function"]["arguments"]) == {"city": "demo"}


def test_other_routes_call_tools_in_their_own_shape() -> None:
    tools = [{"type": "function", **FUNCTION}]
    call = asked("/v1/responses", input="How is the weather?", tools=tools)["output"][0]
    assert (call["type"], call["name"], orjson.loads(call["arguments"])) == (
        "function_call",
        "get_weather",
        {"city": "demo"},
    )
    question = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    own = [{"name": "get_weather", "input_schema": FUNCTION["parameters"]}]
    answer = asked("/v1/messages", messages=question, max_tokens=100, tools=own, tool_choice={"type": "any"})
    assert (answer["stop_reason"], answer["content"][0]["input"]) == ("tool_use", {"city": "demo"})


def test_no_tool_is_called_after_its_result() -> None:
    asked_before = {"role": "user", "content": "How is the weather?"}
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "c", "content": "The weather is fine"}
    messages = [asked_before, {"role": "assistant", "tool_calls": [call]}, result]
    assert asked("/v1/chat/completions", messages=messages, tools=CHAT_TOOLS)["choices"][0]["finish_reason"] == "stop"
    results = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "weather"}]}]
    own = [{"name": "get_weather", "input_schema": {}}]
    assert asked("/v1/messages", messages=results, max_tokens=100, tools=own)["stop_reason"] == "end_turn"


def test_what_is_thought_is_shown_and_counted() -> None:
    of_chat = chat(reasoning_effort="high")
    assert of_chat["choices"][0]["message"]["reasoning_content"]
    thought = of_chat["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < thought < of_chat["usage"]["completion_tokens"]
    items = asked("/v1/responses", input="Hello", reasoning={"effort": "low"})["output"]
    assert [item["type"] for item in items] == ["reasoning", "message"]
    question = [{"role": "user", "content": "Hello"}]
    blocks = asked(
        "/v1/messages", messages=question, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert [block["type"] for block in blocks["content"]] == ["thinking", "text"]
    for calm in (chat(), chat(reasoning_effort="none")):
        assert calm["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
