"""The short way to the SDK's objects gives what the SDK gives, for whatever a provider may send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.types.utils import StreamingChoices
from openai._base_client import AsyncAPIClient, BaseClient
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from scalix.litellm_adapter import sdk_models
from scalix.litellm_adapter.sdk_models import _EXTRAS as EXTRAS
from scalix.litellm_adapter.sdk_models import builder, remember_extras
from scalix.service.exchange.exchanges import CURRENT
from tests.adapter.test_trimmed_calls import exchange

odd = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=4)
anything = odd | st.lists(odd, max_size=2) | st.dictionaries(st.text(max_size=4), odd, max_size=2)


def objects(usual: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with any of the usual fields, mostly of their usual types, and some that nobody knows."""
    fields = {name: strategy | anything for name, strategy in usual.items()}
    known = st.fixed_dictionaries({}, optional=fields)
    return st.tuples(known, st.dictionaries(st.text("xyz", min_size=1, max_size=2), anything, max_size=2)).map(
        lambda both: {**both[1], **both[0]}
    )


call = objects(
    {
        "index": st.integers(0, 3),
        "id": st.text(max_size=4),
        "type": st.just("function"),
        "function": objects({"name": st.text(max_size=4), "arguments": st.text(max_size=4)}),
    }
)
message = objects(
    {
        "role": st.sampled_from(["assistant", "tool", "other"]),
        "content": st.text(max_size=8),
        "refusal": st.none(),
        "reasoning_content": st.text(max_size=4),
        "tool_calls": st.lists(call, max_size=2),
        "annotations": st.lists(anything, max_size=1),
    }
)
usage = objects(
    {
        "prompt_tokens": st.integers(0, 9),
        "completion_tokens": st.integers(0, 9),
        "total_tokens": st.integers(0, 18),
        "prompt_tokens_details": objects({"cached_tokens": st.integers(0, 9)}),
    }
)
choice = objects(
    {
        "index": st.integers(0, 3),
        "delta": message,
        "message": message,
        "finish_reason": st.sampled_from(["stop", "length", "tool_calls", "eos"]),
        "logprobs": st.none() | objects({"content": st.lists(anything, max_size=1)}),
    }
)
answers = objects(
    {
        "id": st.text(max_size=4),
        "object": st.sampled_from(["chat.completion", "chat.completion.chunk"]),
        "created": st.integers(0, 9),
        "model": st.text(max_size=4),
        "service_tier": st.sampled_from(["default", "other"]),
        "system_fingerprint": st.text(max_size=4),
        "choices": st.lists(choice, max_size=2),
        "usage": usage,
    }
)


def seen(value: Any) -> Any:
    """All that a reader of an object of the SDK's can see."""
    if isinstance(value, BaseModel):
        inner = {name: seen(field) for name, field in value.__dict__.items()}
        extra = {name: seen(field) for name, field in (value.__pydantic_extra__ or {}).items()}
        return type(value), inner, extra, value.model_fields_set, list(value.__dict__)
    if isinstance(value, list):
        return [seen(one) for one in value]
    if isinstance(value, dict):
        return {name: seen(field) for name, field in value.items()}
    return type(value), value


@pytest.mark.parametrize("model", [ChatCompletion, ChatCompletionChunk])
@given(answer=answers)
def test_it_builds_what_the_sdk_builds(model: Any, answer: dict[str, Any]) -> None:
    build = builder(model)
    assert build is not None
    assert seen(build(dict(answer))) == seen(model.construct(**answer))


def test_a_model_that_is_not_understood_is_left_to_the_sdk() -> None:
    class Shared(BaseModel):
        parts: list[str] = []

    assert builder(Shared) is None
    assert builder(int) is None


def test_only_what_the_edge_has_admitted_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def own(self: Any, **kwargs: Any) -> str:
        asked.append(kwargs["cast_to"])
        return "the SDK's own"

    monkeypatch.setattr(BaseClient, "_process_response_data", own)
    sdk_models.shorten()
    client: Any = object.__new__(AsyncAPIClient)
    client._strict_response_validation = False
    chunk = {"id": "c", "choices": []}
    assert client._process_response_data(data=chunk, cast_to=ChatCompletionChunk, response=None) == "the SDK's own"
    CURRENT.set(exchange())
    try:
        built = client._process_response_data(data=chunk, cast_to=ChatCompletionChunk, response=None)
        for data, cast_to in (("text", ChatCompletionChunk), (chunk, dict)):
            assert client._process_response_data(data=data, cast_to=cast_to, response=None) == "the SDK's own"
    finally:
        CURRENT.set(None)
    assert built.id == "c"
    assert asked == [ChatCompletionChunk, ChatCompletionChunk, dict]


@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            "finish_reason": st.sampled_from(["stop", "eos", None]),
            "index": st.integers(0, 3),
            "delta": st.just({"content": "x"}) | st.none(),
            "logprobs": st.just({"content": []}) | st.none(),
            "enhancements": st.just({"a": 1}),
            "unknown": st.just(1),
        },
    ),
    later=st.dictionaries(st.sampled_from(["finish_reason", "index", "delta", "new"]), st.integers(), max_size=2),
)
def test_a_choice_of_a_chunk_holds_what_pydantic_would_have_put_there(
    values: dict[str, Any], later: dict[str, Any]
) -> None:
    def made() -> Any:
        one: Any = StreamingChoices(**values)
        for name, value in later.items():
            setattr(one, name, value)
        return one

    handlers: dict[str, Any] = StreamingChoices.__pydantic_setattr_handlers__
    before = dict(handlers)
    for name in EXTRAS:
        handlers.pop(name, None)
    try:
        pydantics = made()
        remember_extras()
        assert handlers.keys() >= set(EXTRAS)
        mine = made()
    finally:
        handlers.clear()
        handlers.update(before)
    assert seen(mine) == seen(pydantics)
    assert mine.model_dump() == pydantics.model_dump()
