"""Chat requests of every kind that clients send, for comparing what two ways of asking make of them."""

import random
from collections.abc import Iterator
from typing import Any

SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks", "parameters": SCHEMA}}
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PLAIN = [{"role": "user", "content": "Hello"}]

PARAMS: tuple[dict[str, Any], ...] = (
    {},
    {"max_tokens": 64},
    {"max_completion_tokens": 64},
    {"max_tokens": 64, "max_completion_tokens": 32},
    *({"temperature": value} for value in (0, 0.7, 1, 2)),
    {"top_p": 0.5},
    {"n": 2},
    {"stop": "x"},
    {"stop": ["x", "y"]},
    {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    {"logit_bias": {"50256": -100}},
    {"seed": 7},
    {"user": "end-user-1"},
    {"logprobs": True, "top_logprobs": 3},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}},
    {"tools": [TOOL]},
    {"tools": [TOOL], "tool_choice": "auto"},
    {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL], "tool_choice": "none"},
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
    {"tools": [TOOL], "parallel_tool_calls": False},
    {"tools": [{"type": "function", "function": {"name": "bare"}}]},
    {"functions": [TOOL["function"]], "function_call": "auto"},
    {"reasoning_effort": "low"},
    {"reasoning_effort": "high", "max_completion_tokens": 4096},
    {"verbosity": "low"},
    {"service_tier": "flex"},
    {"store": False},
    {"metadata": {"a": "b"}},
    {"prompt_cache_key": "k"},
    {"safety_identifier": "s"},
    {"prediction": {"type": "content", "content": "x"}},
    {"modalities": ["text"]},
    {"stream": True},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"stream": True, "tools": [TOOL], "max_tokens": 9},
    {"stream": True, "response_format": {"type": "json_object"}, "temperature": 0.1},
    # what servers of the same format have beside OpenAI's fields
    {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1},
    {"guided_json": SCHEMA},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"provider": {"order": ["a"]}, "transforms": []},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    {"safe_prompt": True},
)
MESSAGES: tuple[list[dict[str, Any]], ...] = (
    PLAIN,
    [{"role": "system", "content": "Be brief"}, *PLAIN],
    [{"role": "developer", "content": "Be brief"}, *PLAIN],
    [*PLAIN, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Again"}],
    [*PLAIN, {"role": "assistant", "content": "Prefix"}],
    [*PLAIN, *PLAIN],
    [{"role": "system", "content": "One"}, {"role": "system", "content": "Two"}, *PLAIN],
    [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    [{"role": "system", "content": [{"type": "text", "text": "Be brief"}]}, *PLAIN],
    [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}],
    [{"role": "user", "name": "anna", "content": "Hello"}],
    [{"role": "user", "content": ""}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}, {"type": "text", "text": "?"}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": PIXEL}]}],
    [
        *PLAIN,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x":"1"}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ],
    [
        *PLAIN,
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "I think",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "found"}]},
    ],
    [*PLAIN, {"role": "assistant", "content": None, "refusal": "No"}, *PLAIN],
    [*PLAIN, {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}, *PLAIN],
    [{"role": "user", "content": "Grüße, 你好, \U0001f600 \u2028"}],
)


def shapes(random_ones: int = 140) -> Iterator[dict[str, Any]]:
    """Bodies without a model: every set of parameters, every list of messages, and `random_ones` of both."""
    for params in PARAMS:
        yield {"messages": PLAIN, **params}
    for messages in MESSAGES[1:]:
        yield {"messages": messages}
    chosen = random.Random(14)
    for _ in range(random_ones):
        first, second = chosen.sample(PARAMS, 2)
        yield {"messages": chosen.choice(MESSAGES), **first, **second}
