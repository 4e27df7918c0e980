"""One thing in each of LiteLLM's chunks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices, Usage

from scalix.litellm_adapter.single_deltas import SingleDeltas, install_single_deltas, single

CALLS = [{"index": n, "id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in (0, 1)]


def chunk(finish: str | None = None, **delta: Any) -> ModelResponseStream:
    choice = StreamingChoices(index=0, delta=Delta(role="assistant", **delta), finish_reason=finish)
    return ModelResponseStream(id="chatcmpl-1", created=1, model="m", choices=[choice])


def shown(chunks: list[Any]) -> list[tuple[Any, Any, list[Any], Any]]:
    """Thought, text, calls and finish of each."""
    found = []
    for one in chunks:
        choice = one.choices[0]
        calls = [call.id for call in choice.delta.tool_calls or ()]
        thought = getattr(choice.delta, "reasoning_content", None)
        found.append((thought, choice.delta.content, calls, choice.finish_reason))
    return found


def test_thought_text_and_calls_come_one_after_the_other() -> None:
    given = chunk("tool_calls", content="text", reasoning_content="so", tool_calls=CALLS)
    given.usage = Usage(prompt_tokens=7, completion_tokens=5, total_tokens=12)
    made = single(given, kinds=True)
    assert shown(made) == [
        ("so", None, [], None),
        (None, "text", [], None),
        (None, None, ["c0"], None),
        (None, None, ["c1"], "tool_calls"),
    ]
    assert [getattr(one, "usage", None) is not None for one in made] == [False, False, False, True]
    assert {one.id for one in made} == {"chatcmpl-1"}


def test_where_kinds_are_kept_apart_already_only_calls_are() -> None:
    made = single(chunk(content="text", reasoning_content="so", tool_calls=CALLS), kinds=False)
    assert shown(made) == [("so", "text", ["c0"], None), (None, None, ["c1"], None)]


@pytest.mark.parametrize(
    "given", [chunk(content="text"), chunk("stop"), chunk(reasoning_content="so"), chunk(tool_calls=CALLS[:1])]
)
def test_what_has_one_thing_is_passed_on_as_it_is(given: ModelResponseStream) -> None:
    assert single(given, kinds=True) == [given]
    assert single(given, kinds=True)[0] is given


def test_chunks_of_several_choices_and_of_none_are_left_alone() -> None:
    several = ModelResponseStream(choices=chunk(content="a").choices * 2)
    none = ModelResponseStream(choices=[])
    assert single(several, kinds=True) == [several]
    assert single(none, kinds=True) == [none]


def test_a_stream_keeps_what_else_it_has() -> None:
    class Stream:
        logging_obj = "its own"

        def __init__(self) -> None:
            self._chunks = iter([chunk(content="text", reasoning_content="so"), chunk("stop")])

        def __aiter__(self) -> AsyncIterator[Any]:
            return self

        async def __anext__(self) -> Any:
            one = next(self._chunks, None)
            if one is None:
                raise StopAsyncIteration
            return one

    stream = SingleDeltas(Stream(), kinds=True)

    async def read() -> list[Any]:
        return [one async for one in stream]

    assert len(asyncio.run(read())) == 3
    assert stream.logging_obj == "its own"


async def test_litellms_translation_to_messages_makes_a_block_of_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from litellm.llms.anthropic.pass_through.adapters import transformation
    from litellm.responses.litellm_completion_transformation import handler

    for module, name in ((transformation, "AnthropicStreamWrapper"), (handler, "LiteLLMCompletionStreamingIterator")):
        monkeypatch.setattr(module, name, getattr(module, name))  # as it is now, when the test is over
    install_single_deltas()

    async def chunks() -> AsyncIterator[Any]:
        yield chunk(tool_calls=CALLS)
        yield chunk("tool_calls")

    adapter = transformation.AnthropicAdapter()
    events = adapter.translate_completion_output_params_streaming(chunks(), model="m")
    text = b"".join([event async for event in events]).decode()
    assert text.count('"type": "tool_use"') == 2
    assert text.count('"partial_json": "{}"') == 2
