"""LiteLLM's chunks with one thing in each, for its translations to other APIs.

They read one thing of a chunk: of several tool calls the first one's block gets the arguments of all, and beside a
thought a text is lost. Gemini sends parallel calls in one chunk, and many servers a thought's end with the text's.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from scalix.litellm_adapter.seam_checks import replace

_THOUGHTS = ("reasoning_content", "thinking_blocks")


def install_single_deltas() -> None:
    """Under both of LiteLLM's translations of chat streams. That to Anthropic's format keeps thoughts and texts apart
    by itself, and knows which thoughts are signed."""
    replace(
        "litellm.responses.litellm_completion_transformation.handler:LiteLLMCompletionStreamingIterator",
        lambda own: _with_single_deltas(own, "litellm_custom_stream_wrapper", kinds=True),
    )
    replace(
        "litellm.llms.anthropic.pass_through.adapters.transformation:AnthropicStreamWrapper",
        lambda own: _with_single_deltas(own, "completion_stream", kinds=False),
    )


def _with_single_deltas(own: Callable[..., Any], name: str, *, kinds: bool) -> Callable[..., Any]:
    def made(*args: Any, **options: Any) -> Any:
        return own(*args, **{**options, name: SingleDeltas(options[name], kinds=kinds)})

    return made


class SingleDeltas:
    """A stream of LiteLLM's whose chunks have one tool call each, and with `kinds` one of thought, text and call."""

    def __init__(self, stream: Any, *, kinds: bool) -> None:
        self._stream = stream
        self._kinds = kinds
        self._waiting: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> "SingleDeltas":
        return self

    async def __anext__(self) -> Any:
        if not self._waiting:
            self._waiting.extend(single(await anext(self._stream), kinds=self._kinds))
        return self._waiting.popleft()


def single(chunk: Any, *, kinds: bool) -> list[Any]:
    """The chunks that `chunk` is made into; the last is itself, with what stands beside its deltas."""
    choices = getattr(chunk, "choices", None)
    delta: Any = choices[0].delta if choices and len(choices) == 1 else None
    calls = getattr(delta, "tool_calls", None) or ()
    text = getattr(delta, "content", None)
    thoughts = {name: value for name in _THOUGHTS if (value := getattr(delta, name, None))}
    parts: list[dict[str, Any]] = [{"tool_calls": [call]} for call in calls]
    if kinds:
        parts[:0] = [part for part in (thoughts, {"content": text} if text else {}) if part]
    elif parts:
        parts[0] |= {**thoughts, "content": text}
    if len(parts) < 2:
        return [chunk]
    made = [_chunk_of(chunk, delta.role if position == 0 else None, part) for position, part in enumerate(parts[:-1])]
    last = parts[-1]
    for name in _THOUGHTS:
        if name in thoughts and name not in last:
            setattr(delta, name, None)
    delta.content, delta.tool_calls = last.get("content"), last.get("tool_calls")
    return [*made, chunk]


def _chunk_of(chunk: Any, role: str | None, part: dict[str, Any]) -> ModelResponseStream:
    choice = StreamingChoices(index=chunk.choices[0].index, delta=Delta(role=role, **part), finish_reason=None)
    return ModelResponseStream(id=chunk.id, created=chunk.created, model=chunk.model, choices=[choice])
