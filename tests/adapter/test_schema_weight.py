"""What is weighed of a request's schemas bounds what LiteLLM makes of them."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.prompt_templates.common_utils import unpack_defs

from scalix.domain.errors import BadRequest
from scalix.domain.requests import schema_weight
from scalix.domain.requests.schema_weight import check_schemas

NAMES = ["a", "b", "c", "d"]
references = st.sampled_from(NAMES).map(lambda name: {"$ref": f"#/$defs/{name}"})
schemas = st.recursive(
    references | st.just({"type": "string"}),
    lambda inner: (
        st.dictionaries(st.sampled_from(["x", "y", "items"]), inner, max_size=3).map(lambda held: {"properties": held})
        | st.lists(inner, max_size=3).map(lambda held: {"anyOf": held})
    ),
    max_leaves=5,
)


def tool(schema: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": schema}}


def chain(length: int, twice: bool = True) -> dict[str, Any]:
    """Definitions of which each refers to the next."""
    names = ("a", "b") if twice else ("a",)
    defs = {
        f"d{i}": {"type": "object", "properties": {name: {"$ref": f"#/$defs/d{i + 1}"} for name in names}}
        for i in range(length)
    }
    return {"type": "object", "$defs": defs, "properties": {"a": {"$ref": "#/$defs/d0"}}}


def bodies(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that carry a schema, on any route, by the path that is to be named."""
    return {
        "tools[0].function.parameters": {"tools": [tool(schema)]},
        "tools[1].parameters": {"tools": [{}, {"type": "function", "name": "f", "parameters": schema}]},
        "tools[0].input_schema": {"tools": [{"name": "f", "input_schema": schema}]},
        "tools[0].tools[0].parameters": {"tools": [{"type": "namespace", "tools": [{"parameters": schema}]}]},
        "functions[0].parameters": {"functions": [{"name": "f", "parameters": schema}]},
        "response_format.json_schema": {"response_format": {"json_schema": {"schema": schema}}},
        "response_format.response_schema": {"response_format": {"response_schema": schema}},
        "text.format.schema": {"text": {"format": {"type": "json_schema", "schema": schema}}},
        "output_format.schema": {"output_format": {"type": "json_schema", "schema": schema}},
        "output_config.format.schema": {"output_config": {"format": {"schema": schema}}},
    }


@pytest.mark.parametrize("path", bodies({}))
@pytest.mark.parametrize("under", ["$defs", "definitions"])
def test_references_that_double_at_each_step_are_refused_by_name_wherever_they_stand(path: str, under: str) -> None:
    schema = chain(30)
    schema[under] = schema.pop("$defs")
    with pytest.raises(BadRequest) as caught:
        check_schemas(bodies(schema)[path])
    assert caught.value.param == path
    check_schemas(bodies(chain(8))[path])


HOSTILE = {
    "every definition to every other": {
        "$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{j}"} for j in range(30)]} for i in range(30)},
        "$ref": "#/$defs/d0",
    },
    "a chain without an end": chain(500, twice=False),
    "one long text many times": {
        "$defs": {"a": {"description": "x" * 100_000}},
        "anyOf": [{"$ref": "#/$defs/a"} for _ in range(1_000)],
    },
    "a description for each branch": {"description": "x" * 100_000, "anyOf": [{} for _ in range(1_000)]},
    "definitions for each object": {
        "$defs": {f"d{i}": {} for i in range(4_000)},
        "properties": {f"p{i}": {} for i in range(4_000)},
    },
    "a long pattern": {"properties": {"a": {"type": "string", "pattern": "(a+)+" * 20_000}}},
    "many patterns": {"$defs": {f"d{i}": {"patternProperties": {"[a-z]" * 100 + str(i): {}}} for i in range(1_000)}},
    "definitions within definitions": {
        "$defs": {"a": {"$defs": {"a": {"enum": [0] * 60_000}}, "$ref": "a"}},
        "anyOf": [{"$ref": "a"}, {"$ref": "a"}],
    },
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_would_become_large_in_another_way_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest):
        check_schemas({"tools": [tool(HOSTILE[kind])]})


def test_what_people_send_is_let_in() -> None:
    node = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}
    kinds = ["Text", "Number", "List", "Map", "Node"]
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(30):
        deep = {"type": "object", "properties": {"a": deep}}
    check_schemas(
        {
            "tools": [
                *(tool({"properties": {f"p{j}": {"type": "string"} for j in range(7)}}) for _ in range(1_000)),
                tool({"$defs": {"Node": node}, "$ref": "#/$defs/Node"}),
                tool(
                    {"$defs": {kind: {"anyOf": [{"$ref": other} for other in kinds]} for kind in kinds}, "$ref": "Map"}
                ),
                tool(
                    {"$defs": {"a": {"type": "string"}}, "properties": {f"p{j}": {"$ref": "a"} for j in range(2_000)}}
                ),
                tool(deep),
            ],
            "messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"schema": chain(60)}}]}],
        }
    )


@given(defs=st.fixed_dictionaries(dict.fromkeys(NAMES, schemas)), root=schemas)
def test_litellm_makes_no_more_of_a_schema_than_it_weighs(defs: dict[str, Any], root: Any) -> None:
    schema = {"$defs": defs, "properties": {"root": root}}
    weight = schema_weight._Weight()
    assert weight.add(copy.deepcopy(schema))
    expanded = {"properties": {"root": copy.deepcopy(root)}}
    unpack_defs(expanded, copy.deepcopy(defs))
    given_values = schema_weight._part_of([{"properties": {"root": root}}]).values
    assert schema_weight._part_of([expanded]).values <= given_values + weight._values


def test_schemas_that_each_have_room_may_have_none_together() -> None:
    schema = chain(12)
    check_schemas({"tools": [tool(schema)]})
    with pytest.raises(BadRequest):
        check_schemas({"tools": [tool(schema)] * 10})
