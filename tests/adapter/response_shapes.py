"""Requests of the Responses API of every kind that clients send, for comparing what two ways of asking make of them."""

import base64
from collections.abc import Iterator
from typing import Any

from openai.types.responses import ResponseInputItem, Tool

from tests.adapter.request_shapes import PIXEL, SCHEMA
from tests.e2e.api_types import TYPES
from tests.e2e.sdk_samples import samples

Body = dict[str, Any]
FUNCTION: Body = {"type": "function", "name": "look", "description": "Looks", "parameters": SCHEMA, "strict": True}
_KEPT = base64.b64encode(b"litellm:custom_llm_provider:openai;model_id:abc;response_id:resp_1").decode()
_REASONING: Body = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "status": None}
_DEEPEST = 4

PARAMS: tuple[Body, ...] = (
    {},
    {"instructions": "Be brief"},
    {"max_output_tokens": 64},
    {"max_output_tokens": 3},
    *({"temperature": value} for value in (0, 0.7, 1)),
    {"top_p": 0.5},
    {"top_logprobs": 3, "include": ["message.output_text.logprobs"]},
    *({"store": value} for value in (True, False)),
    {"store": False, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"}},
    *({"reasoning": {"effort": effort}} for effort in ("none", "minimal", "medium", "high", "xhigh")),
    {"reasoning": {"summary": "detailed"}},
    {"reasoning_effort": "high"},
    {"text": {"format": {"type": "text"}}},
    {"text": {"format": {"type": "json_object"}}},
    {"text": {"format": {"type": "json_schema", "name": "a", "strict": True, "schema": SCHEMA}, "verbosity": "low"}},
    {"previous_response_id": "resp_1"},
    {"previous_response_id": f"resp_{_KEPT}"},
    {"conversation": "conv_1"},
    {"conversation": {"id": "conv_1"}},
    {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Paris"}}},
    {"metadata": {"a": "b"}},
    {"metadata": {}},
    {"user": "end-user-1"},
    {"safety_identifier": "s"},
    {"prompt_cache_key": "k", "prompt_cache_retention": "24h"},
    *({"service_tier": value} for value in ("auto", "flex", "priority")),
    *({"truncation": value} for value in ("auto", "disabled")),
    {"background": False},
    {"max_tool_calls": 2, "parallel_tool_calls": False, "tools": [FUNCTION]},
    *({"tools": [FUNCTION], "tool_choice": value} for value in ("auto", "required", "none")),
    {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "look"}},
    {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}},
    {"tools": []},
    {"tools": [{"type": "function", "name": "bare"}]},
    {"tools": [{**FUNCTION, "parameters": {"anyOf": [SCHEMA, {"type": "object"}]}}]},
    {"tools": [{**FUNCTION, "parameters": {**SCHEMA, "properties": {"x": {"type": "string", "pattern": "\\p{L}+"}}}}]},
    {"tools": [{**FUNCTION, "cache_control": {"type": "ephemeral"}}]},
    {"tools": [{"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["a.org"]}}]},
    {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 3}]},
    {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    {"tools": [{"type": "mcp", "server_label": "d", "server_url": "https://mcp.test", "require_approval": "never"}]},
    {"tools": [{"type": "namespace", "name": "n", "description": "d", "tools": [FUNCTION]}]},
    {"tools": [{"type": "local_shell"}, {"type": "custom", "name": "p", "format": {"type": "text"}}]},
    {"stream": True, "tools": [FUNCTION], "stream_options": {"include_obfuscation": False}},
    {"extra_body": {"top_k": 3}},
    {"extra_headers": {"x-a": "b"}},
    # what servers of the same format have beside OpenAI's fields, and clients of their own
    {"top_k": 40, "min_p": 0.1},
    {"client_metadata": {"x": "y"}},
    {"context_management": [{"type": "compaction", "compact_threshold": 9000}]},
    {"moderation": {"model": "omni-moderation-latest"}},
)
INPUTS: tuple[Any, ...] = (
    "Hello",
    "",
    [],
    [{"role": "user", "content": "Hello"}],
    [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief"}]}],
    [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello"}],
    [{"role": "user", "content": [{"type": "input_image", "image_url": PIXEL, "detail": "low"}]}],
    [
        {
            "role": "user",
            "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JQ=="}],
        }
    ],
    [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}],
    [{"role": "user", "content": [{"type": "input_text", "text": "a", "cache_control": {"type": "ephemeral"}}]}],
    [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}],
    [_REASONING, {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"}],
    [{"type": "function_call", "id": "other_1", "call_id": "c", "name": "look", "arguments": "{}"}],
    [{"type": "function_call_output", "call_id": "c", "output": "found"}],
    [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": PIXEL}]}],
    [{"type": "item_reference", "id": "msg_1"}],
    [{**_REASONING, "id": "rs_litellm_1"}],
    [{"type": "compaction", "encrypted_content": "gAAA"}],
)


def shapes() -> Iterator[Body]:
    """Each setting and each input alone, streamed in turn; each item and tool of the SDK's, and each type of OpenAI's
    description that has a `type`, with all of its fields."""
    items = [*samples(ResponseInputItem, "input"), *(_sample(name) for name in TYPES if "type" in TYPES[name])]
    made: list[Body] = [{"input": "Hello", **params} for params in PARAMS]
    made += [{"input": given} for given in INPUTS]
    made += [{"input": [item]} for item in items]
    made += [{"input": "Hello", "tools": [tool]} for tool in samples(Tool, "tools")]
    for turn, body in enumerate(made):
        yield {**body, "stream": True} if turn % 2 else body


def _sample(kind: str, depth: int = 0) -> Any:
    """A value of a type of the table, with every field."""
    first = next(
        (one for one in kind.removesuffix("?").split("|") if one in TYPES), kind.removesuffix("?").split("|")[0]
    )
    if first.startswith("'"):
        return first.strip("'")
    if first.startswith("["):
        return [_sample(kind.removesuffix("?")[1:].partition("]")[0], depth + 1)] if depth < _DEEPEST else []
    if first in TYPES:
        return {name: _sample(of, depth + 1) for name, of in TYPES[first].items()} if depth < _DEEPEST else {}
    return {"integer": 3, "number": 0.5, "boolean": True, "object": {}, "null": None}.get(first, "any")
