"""Usage in every form that callers have it in."""

from types import SimpleNamespace
from typing import Any

import pytest

from scalix.api.usage_values import usage_of
from scalix.domain.tokens.usage import Usage


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(10, 5, cached_tokens=4, reasoning_tokens=3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 5)),
        ({"prompt_tokens": 7}, Usage(7, 0)),
        (
            {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
            Usage(10, 5, cached_tokens=4),
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7},
            Usage(117, 5, cached_tokens=100, cache_write_tokens=7),
        ),
        (SimpleNamespace(prompt_tokens=3, completion_tokens=4), Usage(3, 4)),
        (Usage(1, 2), Usage(1, 2)),
    ],
)
def test_a_usage_is_read(value: Any, expected: Usage) -> None:
    assert usage_of(value) == expected


def test_the_sdks_own_objects_are_read() -> None:
    from anthropic.types import Usage as AnthropicUsage
    from openai.types import CompletionUsage

    assert usage_of(CompletionUsage(prompt_tokens=3, completion_tokens=4, total_tokens=7)) == Usage(3, 4)
    assert usage_of(AnthropicUsage(input_tokens=3, output_tokens=4, cache_read_input_tokens=5)) == Usage(
        8, 4, cached_tokens=5
    )


@pytest.mark.parametrize(
    "value",
    [None, 5, "5", [], {}, {"total_tokens": 5}, {"prompt_tokens": 0}, {"prompt_tokens": True}, {"input_tokens": "5"}],
)
def test_what_states_no_tokens_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="usage"):
        usage_of(value)
