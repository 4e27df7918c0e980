"""Answers and streams with one part of an SDK's types each, filled in whole: for the tests that nothing is lost."""

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from anthropic.types import ContentBlock, Message, MessageDeltaUsage, RawContentBlockDelta, RawMessageDeltaEvent, Usage
from openai.types import Completion, CompletionChoice, CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat import chat_completion as whole_chat
from openai.types.chat import chat_completion_chunk as chat_chunk
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent

from tests.e2e import complete_provider as provider
from tests.e2e.sdk_samples import fields, members, objects, samples

Body = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is sent, whole or as the events of a stream. `name` says which part it is about."""

    name: str
    sent: Any

    @property
    def is_streamed(self) -> bool:
        return isinstance(self.sent, list)


def _variants(found: dict[str, list[Any]]) -> Iterator[tuple[str, Body]]:
    """Each field alone, once for each of its samples."""
    for name, values in found.items():
        for turn, value in enumerate(values):
            label = value if isinstance(value, str) and len(values) > 1 else turn if turn else ""
            yield f"{name}={label}" if label != "" else name, {name: value}


def _base(path: str, body: Body, kind: str) -> Any:
    """A complete answer, or the events of one, to put a part into."""
    answer = provider.complete(path, {**body, **({"stream": True} if kind == "stream" else {})})
    parts = [piece.partition(b"data: ")[2] for piece in answer.pieces] if kind == "stream" else list(answer.pieces)
    found = [orjson.loads(part) for part in parts if b"[DONE]" not in part]
    return found if kind == "stream" else found[0]


_HEAD = {"id", "choices", "created", "model", "object"}


def chat_cases() -> Iterator[Case]:
    base = _base("/chat/completions", {}, "whole")
    for name, more in _variants(fields(ChatCompletion, but=_HEAD)):
        yield Case(name, {**base, **more})
    choice = base["choices"][0]
    for name, more in _variants(fields(whole_chat.Choice, but={"index", "message"})):
        yield Case(name, {**base, "choices": [{**choice, **more}]})
    for name, more in _variants(fields(ChatCompletionMessage, but={"role"})):
        yield Case(f"message.{name}", {**base, "choices": [{**choice, "message": {**choice["message"], **more}}]})


def chunk_cases() -> Iterator[Case]:
    base = _base("/chat/completions", {"stream_options": {"include_usage": True}}, "stream")
    for name, more in _variants(fields(ChatCompletionChunk, but={*_HEAD, "usage"})):
        yield Case(name, [{**chunk, **more} for chunk in base])
    for name, more in _variants(fields(CompletionUsage)):
        yield Case(f"usage.{name}", [*base[:-1], {**base[-1], "usage": {**base[-1]["usage"], **more}}])
    for name, more in _variants(fields(chat_chunk.Choice, but={"index", "delta"})):
        at = -2 if name.startswith("finish_reason") else 1
        events = copy.deepcopy(base)
        events[at]["choices"][0] |= more
        yield Case(name, events)
    for name, more in _variants(fields(chat_chunk.ChoiceDelta, but={"role"})):
        events = copy.deepcopy(base)
        events[1]["choices"][0]["delta"] = more
        yield Case(f"delta.{name}", events)


def text_cases(kind: str) -> Iterator[Case]:
    """Completions that are no chat."""
    asked: Body = {"stream_options": {"include_usage": True}}
    base = _base("/completions", asked, kind)
    first = base[0] if kind == "stream" else base
    for name, more in _variants(fields(Completion, but={*_HEAD, "usage"})):
        yield Case(name, [{**one, **more} for one in base] if kind == "stream" else {**base, **more})
    for name, more in _variants(fields(CompletionUsage)):
        if kind == "stream":
            yield Case(f"usage.{name}", [*base[:-1], {**base[-1], "usage": {**base[-1]["usage"], **more}}])
        else:
            yield Case(f"usage.{name}", {**base, "usage": {**base["usage"], **more}})
    for name, more in _variants(fields(CompletionChoice, but={"index", "text"})):
        at = -2 if name.startswith("finish_reason") else 0
        if kind == "stream":
            events = copy.deepcopy(base)
            events[at]["choices"][0] |= more
            yield Case(name, events)
        else:
            yield Case(name, {**base, "choices": [{**first["choices"][0], **more}]})
    several = [{**first["choices"][0], "index": index, "text": f"text {index}"} for index in (0, 1)]
    if kind == "stream":
        yield Case("several", [*({**first, "choices": [one]} for one in several), *base[-2:]])
    else:
        yield Case("several", {**base, "choices": several})


def _merged(kind: Any, but: Collection[str]) -> Iterator[tuple[str, Body]]:
    """All fields of a type together, as often as one has samples."""
    given: dict[str, Any] = dict.fromkeys(but)
    made = objects(kind, **given)
    for turn, value in enumerate(made):
        yield f"{kind.__name__}-{turn}", {name: held for name, held in value.items() if name not in but}


# What a request asks for, or its like: the answer has it back.
_OWN_RESPONSE = {"id", "created_at", "model", "object", "output", "instructions", "tools", "tool_choice", "status"}
_LAST_EVENTS = {"response.completed", "response.failed", "error", "response.incomplete"}


def response_cases() -> Iterator[Case]:
    base = _base("/responses", {}, "whole")
    for name, more in _merged(Response, _OWN_RESPONSE):
        yield Case(name, {**base, **more})
    yield Case("tools", {**base, "tools": samples(Response.model_fields["tools"].annotation, "tools")[0]})
    yield Case("items", {**base, "output": [*base["output"], *samples(ResponseOutputItem, "output")]})


def response_event_cases() -> Iterator[Case]:
    base = _base("/responses", {}, "stream")
    given = {"response": base[0]["response"], "item": base[-2]["item"]}
    events = [made for kind in members(ResponseStreamEvent) for made in objects(kind, kind.__name__, **given)]
    yield Case("events", _numbered([*base[:2], *(e for e in events if e["type"] not in _LAST_EVENTS), *base[2:]]))
    ends = [
        {"type": f"response.output_item.{end}", "output_index": index, "item": item}
        for index, item in enumerate(samples(ResponseOutputItem, "item"), 2)
        for end in ("added", "done")
    ]
    yield Case("items", _numbered([*base[:-1], *ends, base[-1]]))


def _numbered(events: list[Body]) -> list[Body]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


_OWN_MESSAGE = {"id", "content", "model", "role", "type", "usage"}


def message_cases() -> Iterator[Case]:
    base = _base("/messages", {}, "whole")
    for name, more in _merged(Message, _OWN_MESSAGE):
        yield Case(name, {**base, **more})
    for name, more in _merged(Usage, ()):
        yield Case(name, {**base, "usage": {**base["usage"], **more}})
    yield Case("blocks", {**base, "content": [*samples(ContentBlock, "content"), *base["content"]]})


def message_event_cases() -> Iterator[Case]:
    base = _base("/messages", {}, "stream")
    start, last = base[0]["message"], base[-2]

    def begun(message: Body) -> list[Body]:
        return [{**base[0], "message": message}, *base[1:]]

    def ended(**more: Body) -> list[Body]:
        return [*base[:-2], {**last, **more}, base[-1]]

    for name, more in _merged(Message, {*_OWN_MESSAGE, "stop_reason", "stop_details"}):
        yield Case(f"start-{name}", begun({**start, **more}))
    for name, more in _merged(Usage, ()):
        yield Case(f"start-{name}", begun({**start, "usage": {**start["usage"], **more}}))
    for name, more in _merged(MessageDeltaUsage, ()):
        yield Case(name, ended(usage={**last["usage"], **more}))
    for name, more in _merged(RawMessageDeltaEvent.model_fields["delta"].annotation, ()):
        yield Case(name, ended(delta={**last["delta"], **more}))
    blocks: list[Body] = []
    for index, block in enumerate(samples(ContentBlock, "content_block"), 1):
        blocks.append({"type": "content_block_start", "index": index, "content_block": block})
        blocks.append({"type": "content_block_stop", "index": index})
    yield Case("blocks", [*base[:-2], *blocks, *base[-2:]])
    deltas = [{"type": "content_block_delta", "index": 0, "delta": made} for made in samples(RawContentBlockDelta, "d")]
    yield Case("deltas", [*base[:2], *deltas, *base[2:]])
