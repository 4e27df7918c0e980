"""A provider that acts as a model which works on a task: it calls a tool of the program's, reads the result, and ends.

It speaks the formats of chat completions, responses and messages, whole and streamed, and counts what it states.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.scripted_provider import Answer, whole

LAST_WORDS = "The file is written"
SIDE_WORDS = "A small task"  # for a question beside the task, such as for a title
_STREAM = (("content-type", "text/event-stream"),)


@dataclass(frozen=True)
class Turn:
    """One request as the model saw it: what it was told of tools' results, and what it stated as usage."""

    path: str
    body: dict[str, Any]
    results: tuple[str, ...]
    tokens: tuple[int, int]


@dataclass
class ActingModel:
    """`call` are name and arguments of the tool to be called, or the words that a program without tools acts on.
    `instead` may answer a turn of the task in the model's place: it is given the turn, and the answer that would be
    sent."""

    call: tuple[str, Mapping[str, Any]] | str
    instead: Callable[[Turn, Answer], Answer | None] = lambda turn, answer: None
    turns: list[Turn] = field(default_factory=list)  # those of the task
    answered: list[Turn] = field(default_factory=list)  # with the questions beside it; refused ones are none

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        kind = path.partition("?")[0].rpartition("/")[2]
        results = tuple(_results(kind, body))
        turn = Turn(path, body, results, (max(1, len(json.dumps(body)) // 5), 7))
        task = not self.tool or self.tool in tools_of(body)
        said = SIDE_WORDS if not task else LAST_WORDS if results else self.call
        events, answer = _FORMATS[kind](body.get("model"), said, turn.tokens)
        made = Answer(200, events, _STREAM) if body.get("stream") else whole(answer)
        if task:
            self.turns.append(turn)
            if (other := self.instead(turn, made)) is not None:
                made = other
        if made.status == 200:
            self.answered.append(turn)
        return made

    @property
    def tool(self) -> str:
        return "" if isinstance(self.call, str) else self.call[0]

    @property
    def tokens(self) -> int:
        return sum(sum(turn.tokens) for turn in self.answered)


def tools_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The functions that a request offers, by name, with what stands of them there."""
    offered = [tool.get("function", tool) for tool in body.get("tools") or ()]
    return {str(tool.get("name", tool.get("type"))): tool for tool in offered}


def _results(kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    items = body.get("input") if kind == "responses" else body.get("messages")
    for item in items if isinstance(items, list) else ():
        if kind == "messages" and isinstance(item["content"], list):
            yield from (json.dumps(part) for part in item["content"] if part["type"] == "tool_result")
        elif item.get("role") == "tool" or str(item.get("type")).endswith("_call_output"):
            yield json.dumps(item.get("content", item.get("output")))


def _event(value: Mapping[str, Any], *, named: bool = False) -> bytes:
    head = f"event: {value['type']}\n" if named else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _chat(model: Any, said: Any, tokens: tuple[int, int]) -> tuple[list[bytes], dict[str, Any]]:
    head = {"id": f"chatcmpl-{secrets.token_hex(6)}", "created": 1_790_000_000, "model": model}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    if isinstance(said, str):
        message: dict[str, Any] = {"role": "assistant", "content": said}
        deltas: list[dict[str, Any]] = [{"content": half} for half in _halves(said)]
        finish = "stop"
    else:
        first, second = _halves(json.dumps(said[1]))
        call = {"id": f"call_{secrets.token_hex(6)}", "type": "function"}
        entire = {**call, "function": {"name": said[0], "arguments": first + second}}
        message, finish = {"role": "assistant", "content": None, "tool_calls": [entire]}, "tool_calls"
        opened = {**call, "index": 0, "function": {"name": said[0], "arguments": first}}
        deltas = [{"tool_calls": [opened]}, {"tool_calls": [{"index": 0, "function": {"arguments": second}}]}]
    whole_answer = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": usage,
    }
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in ({"role": "assistant", "content": ""}, *deltas)
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({"choices": [], "usage": usage})
    events = [_event({**head, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    return [*events, b"data: [DONE]\n\n"], whole_answer


def _responses(model: Any, said: Any, tokens: tuple[int, int]) -> tuple[list[bytes], dict[str, Any]]:
    identity = secrets.token_hex(8)
    usage = {
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "total_tokens": sum(tokens),
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    base = {"id": f"resp_{identity}", "object": "response", "created_at": 1_790_000_000, "model": model}
    at = {"item_id": f"item_{identity}", "output_index": 0}
    if isinstance(said, str):
        part = {"type": "output_text", "text": said, "annotations": []}
        item: dict[str, Any] = {"type": "message", "id": at["item_id"], "role": "assistant", "content": [part]}
        opened = {**item, "content": [], "status": "in_progress"}
        inside = {**at, "content_index": 0}
        middle: list[dict[str, Any]] = [
            {"type": "response.content_part.added", **inside, "part": {**part, "text": ""}},
            *({"type": "response.output_text.delta", **inside, "delta": half} for half in _halves(said)),
            {"type": "response.output_text.done", **inside, "text": said},
            {"type": "response.content_part.done", **inside, "part": part},
        ]
    else:
        text = json.dumps(said[1])
        item = {"type": "function_call", "id": at["item_id"], "call_id": f"call_{identity}", "name": said[0]}
        item["arguments"] = text
        opened = {**item, "arguments": "", "status": "in_progress"}
        middle = [
            *({"type": "response.function_call_arguments.delta", **at, "delta": half} for half in _halves(text)),
            {"type": "response.function_call_arguments.done", **at, "name": said[0], "arguments": text},
        ]
    item["status"] = "completed"
    answer = {**base, "status": "completed", "output": [item], "usage": usage, "tools": [], "parallel_tool_calls": True}
    begun = {**base, "status": "in_progress", "output": [], "tools": [], "parallel_tool_calls": True}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        *middle,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": answer},
    ]
    return [_event({**event, "sequence_number": n}, named=True) for n, event in enumerate(events)], answer


def _messages(model: Any, said: Any, tokens: tuple[int, int]) -> tuple[list[bytes], dict[str, Any]]:
    if isinstance(said, str):
        block: dict[str, Any] = {"type": "text", "text": said}
        opened: dict[str, Any] = {"type": "text", "text": ""}
        reason = "end_turn"
        deltas = [{"type": "text_delta", "text": half} for half in _halves(said)]
    else:
        block = {"type": "tool_use", "id": f"toolu_{secrets.token_hex(6)}", "name": said[0], "input": dict(said[1])}
        opened, reason = {**block, "input": {}}, "tool_use"
        deltas = [{"type": "input_json_delta", "partial_json": half} for half in _halves(json.dumps(said[1]))]
    answer = {
        "id": f"msg_{secrets.token_hex(8)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }
    begun = {**answer, "content": [], "stop_reason": None, "usage": {"input_tokens": tokens[0], "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": opened},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": tokens[1]},
        },
        {"type": "message_stop"},
    ]
    return [_event(event, named=True) for event in events], answer


_FORMATS: dict[str, Callable[[Any, Any, tuple[int, int]], tuple[list[bytes], dict[str, Any]]]] = {
    "completions": _chat,
    "responses": _responses,
    "messages": _messages,
}
