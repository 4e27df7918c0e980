"""Streams for property tests: events of every kind that providers send, and a reader that says what they mean."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}


@dataclass(frozen=True)
class Event:
    """One event as bytes. `channel` is the text that it goes on with, if it does nothing else; `text` the piece."""

    raw: bytes
    channel: tuple[Any, ...] | None = None
    text: str = ""


def chunk(choice: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [choice], **more}


def data(value: Any, end: str = "\n\n", *, ascii_only: bool = False) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode() + end.encode()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
INDEXES = st.integers(0, 2)
ENDS = st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"])


@st.composite
def joinable(draw: st.DrawFn) -> Event:
    index, text, end = draw(INDEXES), draw(TEXTS), draw(ENDS)
    kind = draw(st.sampled_from(["content", "content", "reasoning_content", "reasoning", "arguments", "text"]))
    nulls = draw(st.sampled_from([{}, {"logprobs": None, "finish_reason": None}]))
    more: dict[str, Any] = draw(st.sampled_from([{}, {}, {"usage": None}, {"system_fingerprint": "fp"}]))
    padding: dict[str, Any] = draw(st.sampled_from([{}, {"obfuscation": "x" * len(text)}]))
    call = draw(INDEXES)
    choice: dict[str, Any]
    if kind == "text":
        choice = {"index": index, "text": text, **nulls}
    elif kind == "arguments":
        function: dict[str, Any] = {"arguments": text}
        calls: dict[str, Any] = {"index": call, "function": function}
        calls.update(draw(st.sampled_from([{}, {"id": None, "type": None}])))
        choice = {"index": index, "delta": {"tool_calls": [calls]}, **nulls}
    else:
        choice = {"index": index, "delta": {kind: text}, **nulls}
    raw = data(chunk(choice, **more, **padding), end, ascii_only=draw(st.booleans()))
    return Event(raw, (index, kind, call if kind == "arguments" else 0), text)


def _others() -> st.SearchStrategy[bytes]:
    def one(choice: dict[str, Any], **more: Any) -> bytes:
        return data(chunk({"index": 0, **choice}, **more))

    content = {"delta": {"content": "a"}}
    name = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return st.sampled_from(
        [
            one({"delta": {"role": "assistant", "content": ""}}),
            one({"delta": {}, "finish_reason": "stop"}),
            one({**content, "finish_reason": "length"}),
            one({**content, "logprobs": {"content": []}}),
            one({"delta": {"content": "a", "vendor": 1}}),
            one({"delta": {"content": "a", "vendor": None}}),
            one({**content, "vendor": 1}),
            one(content, vendor=1),
            one(content, usage=usage),
            one(content, error={"message": "a"}),
            one({"delta": {"refusal": "a"}}),
            one({"delta": {"content": "a", "reasoning_content": "b"}}),
            one({"delta": {"tool_calls": [name]}}),
            one({"delta": {"tool_calls": [{"index": 0, "id": "call_2", "function": {"arguments": "{"}}]}}),
            one({"delta": {"tool_calls": [{"index": 0, "function": {"name": "g", "arguments": ""}}]}}),
            one({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "1"}}] * 2}}),
            one({"delta": {"content": "a", "tool_calls": [{"index": 0, "function": {"arguments": "1"}}]}}),
            one({"delta": {"content": ["a"]}}),
            data({**HEAD, "choices": []}),
            data({**HEAD, "choices": [], "usage": usage}),
            data({**HEAD, "choices": [{"index": i, **content} for i in (0, 1)]}),
            data({**HEAD, "created": 10**30, "choices": [{"index": 0, **content}]}),
            data(chunk({"index": True, **content})),
            data({"error": {"message": "a", "code": 500}}),
            data([1, 2]),
            b"data: [DONE]\n\n",
            b"data:\n\n",
            b"data: {not json\n\n",
            b": keep-alive\n\n",
            b": OPENROUTER PROCESSING\r\n\r\n",
            b"\n\n",
            b"event: ping\ndata: {}\n\n",
            b"id: 7\n" + one(content),
            b": comment\n" + one(content),
            b'data: {"choices":\ndata: []}\n\n',
            b"retry: 5\r\n\r\n",
            b'data: {"id":"\\ud83d","choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        ]
    )


def other() -> st.SearchStrategy[Event]:
    return _others().map(Event)


def streams() -> st.SearchStrategy[list[Event]]:
    """Streams in which runs of one channel are usual."""
    return st.lists(st.one_of(joinable(), joinable(), joinable(), other()), max_size=30)


@st.composite
def in_pieces(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """`whole`, cut at arbitrary places."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def meaning(events: list[Event]) -> list[tuple[Any, str]]:
    """What a reader gets: texts put together as long as nothing else comes between, all else byte for byte."""
    read: list[tuple[Any, str]] = []
    for event in events:
        if event.channel is not None and read and read[-1][0] == event.channel:
            read[-1] = (event.channel, read[-1][1] + event.text)
        else:
            read.append((event.channel if event.channel is not None else event.raw, event.text))
    return read


def read_back(raw: bytes, known: dict[bytes, Event]) -> Event:
    """An event of a joined stream. One that is not among the `known` must be nothing but a longer delta."""
    if raw in known:
        return known[raw]
    assert raw.startswith(b"data: {")
    assert raw.endswith(b"\n\n")
    event = json.loads(raw[6:])
    assert event.keys() <= {*HEAD, "choices", "usage", "system_fingerprint"}
    assert {name: event[name] for name in HEAD} == HEAD
    assert event.get("usage") is None
    (choice,) = event["choices"]
    assert choice.keys() <= {"index", "delta", "text", "finish_reason", "logprobs"}
    assert choice.get("finish_reason") is None
    assert choice.get("logprobs") is None
    if "text" in choice:
        return Event(raw, (choice["index"], "text", 0), choice["text"])
    ((kind, value),) = choice["delta"].items()
    if kind != "tool_calls":
        return Event(raw, (choice["index"], kind, 0), value)
    (call,) = value
    assert call.keys() <= {"index", "function", "id", "type"}
    assert call["function"].keys() == {"arguments"}
    assert call.get("id") is None
    assert call.get("type") is None
    return Event(raw, (choice["index"], "arguments", call["index"]), call["function"]["arguments"])
