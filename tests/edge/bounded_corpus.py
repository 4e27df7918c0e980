"""Hostile requests and answers, each of any size: `CORPUS`. A new one is one line of it."""

# ruff: noqa: E501  (one line each)

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.edge.bounded_rig import Told

MODELS = {
    "o": "openai/x",
    "g": "gemini/gemini-2.5-flash",
    "g1": "gemini/gemini-1.5-pro",
    "a": "anthropic/claude-sonnet-4-5",
}
MOST_VALUES = 90_000  # more than these are refused unread
MOST_READ = 19_900  # of a provider's answer; more are its failure
CHAT, TEXT, EMBED, RESP, MESS = (
    *("/v1/chat/completions", "/v1/completions", "/v1/embeddings"),
    *("/v1/responses", "/v1/messages"),
)
Make = Callable[[int], Any]


@dataclass(frozen=True)
class Entry:
    """One kind of request: `fields` or `told` (the provider's answer) grow with the size that they are given."""

    group: str
    name: str
    path: str
    model: str
    fields: Callable[[int], dict[str, Any]]
    told: Callable[[int], Told] = field(default=lambda size: Told())
    headers: Callable[[int], dict[str, str]] = field(default=lambda size: {})

    def body(self, size: int) -> bytes:
        return json.dumps({"model": self.model, **self.fields(size)}, ensure_ascii=False).encode("utf-8", "replace")


def many(size: int, item: Any, weight: int = 0) -> list[Any]:
    """As many of `item` as there is room for."""
    text = json.dumps(item)
    values = weight or 1 + text.count(",") + text.count(":") + 10 * text.count("{")
    return [item] * max(1, min(size // (len(text) + 2), MOST_VALUES // values))


def named(size: int, item: Any) -> dict[str, Any]:
    """An object of as many members as there is room for."""
    return {f"k{number}": item for number in range(len(many(size, item)))}


def plenty(size: int, item: Any) -> list[Any]:
    """As many of `item` as there is room for in a provider's answer, which nobody refuses unread."""
    return [item] * max(1, size // (len(json.dumps(item)) + 2))


def unknown(count: int) -> dict[str, Any]:
    return {f"k{number}": 1 for number in range(count)}


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 20}


def asks(content: Any, **more: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 20,
        **({"tools": content} if content else {}),
        **more,
    }


def tool(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, **more}}


def deep(levels: int, inner: Any = None) -> Any:
    for _ in range(levels):
        inner = {"type": "object", "properties": {"a": inner or {"type": "string"}}}
    return inner


def doubling(levels: int) -> dict[str, Any]:
    step = {
        f"d{i}": {"type": "object", "properties": {n: {"$ref": f"#/$defs/d{i + 1}"} for n in "ab"}}
        for i in range(levels)
    }
    return {"type": "object", "$defs": step, "properties": {"a": {"$ref": "#/$defs/d0"}}}


def wide(size: int) -> dict[str, Any]:
    return {"type": "object", "properties": named(size, {"type": "string", "description": "d"})}


def mesh(size: int) -> dict[str, Any]:
    count = min(60, int(size**0.5))
    return {
        "$defs": {f"d{i}": {"anyOf": [{"$ref": f"d{j}"} for j in range(count)]} for i in range(count)},
        "$ref": "d0",
    }


def defined(size: int) -> dict[str, Any]:
    half = named(size // 2, {"type": "string"})
    few = dict(list(half.items())[: len(half) // 2])
    return {"type": "object", "$defs": few, "properties": few}


def url(text: str) -> list[Any]:
    return [{"type": "image_url", "image_url": {"url": text}}]


def events(*parts: Any, done: bool = True) -> bytes:
    return b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts) + (
        b"data: [DONE]\n\n" if done else b""
    )


def delta(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": fields, "finish_reason": None}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def stream(make: Callable[[int], bytes], **more: Any) -> Callable[[int], Told]:
    return lambda size: Told(body=make(size), content_type="text/event-stream", **more)


def refused(make: Callable[[int], str], status: int = 400) -> Callable[[int], Told]:
    return lambda size: Told(
        status, json.dumps({"error": {"message": make(size), "type": "invalid_request_error"}}).encode()
    )


def whole(**message: Any) -> dict[str, Any]:
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
    }  # fmt: skip


ITEM = {
    "type": "message", "id": "m", "role": "assistant", "status": "completed",
    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
}  # fmt: skip


def probable(tokens: list[Any]) -> dict[str, Any]:
    answer = whole(content="x")
    answer["choices"][0]["logprobs"] = {"content": tokens}
    return answer


def embedded(texts: int, figures: int) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": [0.1234567] * figures} for index in range(texts)]
    return {"object": "list", "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}, "data": data}


def anthropic(content: list[Any]) -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    shape = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    return {**shape, "usage": usage, "content": content}


def anthropic_events(count: int) -> bytes:
    start = {"type": "message_start", "message": {**anthropic([]), "stop_reason": None}}
    begin = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": count}}
    all_of_them = [start, begin, *[text] * count, {"type": "content_block_stop", "index": 0}, end]
    return events(*all_of_them, {"type": "message_stop"}, done=False)


def gemini(parts: list[Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def responses(output: list[Any]) -> dict[str, Any]:
    usage = {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}
    return {**_RESPONSE, "output": output, "usage": usage}


_RESPONSE = {"id": "resp_x", "object": "response", "created_at": 1, "model": "m", "status": "completed"}


def answers(make: Callable[[int], Any]) -> Callable[[int], Told]:
    return lambda size: Told(body=json.dumps(make(size)).encode())


def calm(**more: Any) -> Callable[[int], dict[str, Any]]:
    return lambda size: asks(None, **more)


ENGLISH = "The quick brown fox jumps over the lazy dog. "
TEXTS: dict[str, Callable[[int], str]] = {
    "english": lambda size: ENGLISH * (size // len(ENGLISH)),
    "one letter": lambda size: "a" * size,
    "blanks": lambda size: " " * size,
    "dots and at signs": lambda size: "a.@" * (size // 3),
    "quotes": lambda size: '"\\' * (size // 4),
    "different ideographs": lambda size: "".join(chr(0x4E00 + i * 7 % 20_000) for i in range(size // 3)),
    "combining marks": lambda size: "a" + "\u0301\u0327" * (size // 4),
    "ligatures that grow": lambda size: "\ufdfa" * (size // 3),
    "emoji": lambda size: "\U0001f468\u200d\U0001f469" * (size // 11),
    "controls": lambda size: "\u0001\u200b\u202e" * (size // 12),
    "digits": lambda size: "1234567890" * (size // 10),
    "a URL": lambda size: "http://a.b/?" * (size // 12),
    "brackets": lambda size: "[{(<" * (size // 4),
}


def _texts() -> Iterator[Entry]:
    for name, make in TEXTS.items():
        yield Entry("texts", name, CHAT, "o", lambda size, make=make: user(make(size)))  # type: ignore[misc]
    yield Entry("texts", "ideographs to Gemini", CHAT, "g", lambda size: user(TEXTS["different ideographs"](size)))
    yield Entry("texts", "english to Anthropic", MESS, "a", lambda size: user(TEXTS["english"](size)))
    yield Entry("texts", "blanks to Anthropic", CHAT, "a", lambda size: user(TEXTS["blanks"](size)))
    yield Entry(
        "texts", "instructions", RESP, "o", lambda size: {"input": "x", "instructions": TEXTS["one letter"](size)}
    )
    yield Entry("texts", "prompt", TEXT, "o", lambda size: {"prompt": TEXTS["english"](size)})


# fmt: off
CORPUS: list[Entry] = [
    *_texts(),
    Entry("URLs", "ideographs in the host", CHAT, "o", lambda n: user(url("https://" + TEXTS["different ideographs"](n) + ".com/"))),
    Entry("URLs", "ideographs, 8,000", CHAT, "g", lambda n: user(url("https://" + TEXTS["different ideographs"](min(n, 24_000)) + ".com/"))),
    Entry("URLs", "marks in the host", CHAT, "o", lambda n: user(url("https://" + TEXTS["combining marks"](min(n, 16_000)) + ".com/"))),
    Entry("URLs", "ligatures in the host", MESS, "a", lambda n: user([{"type": "image", "source": {"type": "url", "url": "https://" + TEXTS["ligatures that grow"](min(n, 24_000)) + ".de"}}])),
    Entry("URLs", "blanks before it", CHAT, "o", lambda n: user(url(" " * n + "http://169.254.169.254/"))),
    Entry("URLs", "labels", RESP, "o", lambda n: {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://" + "a." * (min(n, 8_000) // 2) + "com"}]}]}),
    Entry("URLs", "many hosts", CHAT, "o", lambda n: user([part for _ in range(min(3_000, n // 300)) for part in url("https://" + "\u4e00" * 60 + ".com/x.png")])),
    Entry("URLs", "data", CHAT, "g", lambda n: user(url("data:image/png;base64," + "A" * (n // 4 * 4)))),
    Entry("URLs", "data to Anthropic", CHAT, "a", lambda n: user(url("data:image/png;base64," + "A" * (n // 4 * 4)))),
    Entry("URLs", "under a long name", CHAT, "o", lambda n: asks(None, prediction={"k" * (n // 2): many(n // 2, {"url": "file-x"})})),
    Entry("schemas", "doubling, Gemini", CHAT, "g", lambda n: asks([tool(doubling(min(400, n // 100)))])),
    Entry("schemas", "doubling, Gemini 1.5", CHAT, "g1", lambda n: asks(None, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": doubling(30)}})),
    Entry("schemas", "doubling up to the bound", CHAT, "g", lambda n: asks([tool(doubling(12))])),
    Entry("schemas", "doubling, Anthropic", MESS, "a", lambda n: asks([{"name": "f", "input_schema": doubling(min(400, n // 100))}])),
    Entry("schemas", "doubling, messages to Gemini", MESS, "g", lambda n: asks([{"name": "f", "input_schema": doubling(30)}])),
    Entry("schemas", "doubling, responses to Gemini", RESP, "g", lambda n: {"input": "x", "tools": [{"type": "function", "name": "f", "parameters": doubling(30)}]}),
    Entry("schemas", "every one to every other", CHAT, "g", lambda n: asks([tool(mesh(n))])),
    Entry("schemas", "wide, Gemini", CHAT, "g", lambda n: asks([tool(wide(n))])),
    Entry("schemas", "wide, Anthropic", CHAT, "a", lambda n: asks([tool(wide(n))])),
    Entry("schemas", "wide, OpenAI", CHAT, "o", lambda n: asks([tool(wide(n))])),
    Entry("schemas", "wide, responses", RESP, "o", lambda n: {"input": "x", "text": {"format": {"type": "json_schema", "name": "x", "schema": wide(n)}}}),
    Entry("schemas", "many definitions and objects", CHAT, "g", lambda n: asks([tool(defined(n))])),
    Entry("schemas", "deep", CHAT, "g", lambda n: asks([tool(deep(28)) for _ in range(min(120, n // 1_000))])),
    Entry("schemas", "a description for each branch", CHAT, "g", lambda n: asks([tool({"description": "x" * (n // 2), "anyOf": many(n // 2, {})})])),
    Entry("schemas", "enum", CHAT, "g", lambda n: asks([tool({"type": "object", "properties": {"a": {"type": "string", "enum": many(n, "aaaaaaaa")}}})])),
    Entry("schemas", "pattern", CHAT, "o", lambda n: asks([tool({"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+" * (n // 5)}}})])),
    Entry("schemas", "required", CHAT, "g", lambda n: asks([tool({**wide(n // 2), "required": list(wide(n // 2)["properties"])})])),
    Entry("schemas", "output of Anthropic", CHAT, "a", lambda n: asks(None, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": wide(n)}})),
    Entry("tools", "1,000", CHAT, "g", lambda n: asks([tool(deep(2), description="d" * (n // 1_100)) for _ in range(1_000)])),
    Entry("tools", "1,000, Anthropic", CHAT, "a", lambda n: asks([tool(deep(2), description="d" * (n // 1_100)) for _ in range(1_000)])),
    Entry("tools", "1,000, messages", MESS, "o", lambda n: asks([{"name": f"f{i}", "description": "d" * (n // 1_100), "input_schema": deep(2)} for i in range(1_000)])),
    Entry("tools", "a long name", CHAT, "g", lambda n: asks([{"type": "function", "function": {"name": "f" * n, "parameters": {}}}])),
    Entry("tools", "functions", CHAT, "o", lambda n: asks(None, functions=many(n, {"name": "f", "parameters": {"type": "object"}}))),
    Entry("tools", "choice", CHAT, "a", lambda n: asks([tool({})], tool_choice={"type": "function", "function": {"name": "f" * n}})),
    Entry("messages", "5,000", CHAT, "o", lambda n: {"messages": [{"role": "user", "content": "x" * (n // 5_100)}] * 5_000}),
    Entry("messages", "5,000, Gemini", CHAT, "g", lambda n: {"messages": [{"role": "user", "content": "x" * (n // 5_100)}] * 5_000}),
    Entry("messages", "5,000, Anthropic", CHAT, "a", lambda n: {"messages": [{"role": "user", "content": "x" * (n // 5_100)}] * 5_000}),
    Entry("messages", "5,000 on messages", MESS, "a", lambda n: {"messages": [{"role": ("user", "assistant")[i % 2], "content": "x" * (n // 5_100)} for i in range(5_000)], "max_tokens": 20}),
    Entry("messages", "6,500 on messages, OpenAI", MESS, "o", lambda n: {"messages": [{"role": ("user", "assistant")[i % 2], "content": "x" * (n // 6_600)} for i in range(6_500)], "max_tokens": 20}),
    Entry("messages", "5,000 items", RESP, "o", lambda n: {"input": [{"role": "user", "content": "x" * (n // 5_100)}] * 5_000}),
    Entry("messages", "5,000 items, Gemini", RESP, "g", lambda n: {"input": [{"role": "user", "content": "x" * (n // 5_100)}] * 5_000}),
    Entry("messages", "parts", CHAT, "o", lambda n: user(many(n, {"type": "text", "text": "x"}))),
    Entry("messages", "parts, Gemini", CHAT, "g", lambda n: user(many(n, {"type": "text", "text": "x"}))),
    Entry("messages", "parts, Anthropic", MESS, "a", lambda n: user(many(n, {"type": "text", "text": "x"}))),
    Entry("messages", "system after system", CHAT, "a", lambda n: {"messages": [*many(n, {"role": "system", "content": "x"}), {"role": "user", "content": "x"}]}),
    Entry("messages", "tool calls and results", CHAT, "g", lambda n: {"messages": [m for i in range(min(1_500, n // 200)) for m in ({"role": "assistant", "content": None, "tool_calls": [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": f"c{i}", "content": "x"})]}),
    Entry("messages", "tool calls and results, Anthropic", CHAT, "a", lambda n: {"messages": [m for i in range(min(1_500, n // 200)) for m in ({"role": "assistant", "content": None, "tool_calls": [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": f"c{i}", "content": "x"})]}),
    Entry("messages", "tool calls in one", CHAT, "a", lambda n: {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": many(n, {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}})}]}),
    Entry("messages", "arguments", CHAT, "g", lambda n: {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps(named(n // 2, 1))}}]}]}),
    Entry("messages", "results on messages", MESS, "o", lambda n: {"messages": [{"role": "user", "content": many(n, {"type": "tool_result", "tool_use_id": "c", "content": "x"})}], "max_tokens": 20}),
    Entry("messages", "a long role", CHAT, "o", lambda n: {"messages": [{"role": "u" * n, "content": "x"}]}),
    Entry("embeddings", "tokens", EMBED, "o", lambda n: {"input": [1] * min(250_000, n // 3)}),
    Entry("embeddings", "1.5 million tokens", EMBED, "o", lambda n: {"input": [[1] * 800] * (min(n, 4_500_000) // 2_400)}),
    Entry("embeddings", "texts", EMBED, "o", lambda n: {"input": many(n, "x")}),
    Entry("embeddings", "texts, Gemini", EMBED, "g", lambda n: {"input": many(n, "x")}),
    Entry("embeddings", "lists of few", TEXT, "o", lambda n: {"prompt": many(n, [1, 2, 3, 4])}),
    Entry("fields", "a long model", CHAT, "m" * 100_000, lambda n: user("x")),
    Entry("fields", "effort", CHAT, "a", lambda n: asks(None, reasoning_effort="a." * (n // 2))),
    Entry("fields", "effort, blanks", CHAT, "a", lambda n: asks(None, reasoning_effort=" " * n)),
    Entry("fields", "effort, Gemini", CHAT, "g", lambda n: asks(None, reasoning_effort="a@" * (n // 2))),
    Entry("fields", "an unknown name", CHAT, "o", lambda n: asks(None, **{"x." * (n // 2): 1})),
    Entry("fields", "unknown names", CHAT, "o", lambda n: asks(None, **named(n, 1))),
    Entry("fields", "logit_bias", CHAT, "o", lambda n: asks(None, logit_bias={str(i): 1 for i in range(min(MOST_VALUES, n // 12))})),
    Entry("fields", "stop", CHAT, "g", lambda n: asks(None, stop=many(n, "x"))),
    Entry("fields", "user", CHAT, "o", lambda n: asks(None, user="u" * n)),
    Entry("fields", "metadata", CHAT, "o", lambda n: asks(None, metadata=named(n, "x"))),
    Entry("fields", "extra names in a part", CHAT, "o", lambda n: user([{"type": "text", "text": "x", **named(n, "x")}])),
    Entry("fields", "nested lists", CHAT, "o", lambda n: asks(None, prediction={"content": json.loads("[" * 55 + "]" * 55), "type": "content"})),
    Entry("fields", "an earlier response", RESP, "o", lambda n: {"input": "x", "previous_response_id": "resp_" + "A" * n}),
    Entry("headers", "a long version", MESS, "a", calm(), headers=lambda n: {"anthropic-version": "a" * min(n, 8_000)}),
    Entry("headers", "many", CHAT, "o", calm(), headers=lambda n: {f"x-{i}": "a" for i in range(min(80, n))}),
    Entry("answers", "a long text", CHAT, "o", calm(), told=answers(lambda n: whole(content=TEXTS["english"](n)))),
    Entry("answers", "a long text, Anthropic", MESS, "a", calm(), told=answers(lambda n: {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}, "content": [{"type": "text", "text": "x" * n}]})),
    Entry("answers", "many calls", CHAT, "o", calm(), told=answers(lambda n: whole(content=None, tool_calls=plenty(2 * n, {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}})))),
    Entry("answers", "many parts, Gemini", CHAT, "g", calm(), told=answers(lambda n: {"candidates": [{"content": {"role": "model", "parts": plenty(2 * n, {"text": "x"})}, "finishReason": "STOP"}]})),
    Entry("answers", "no JSON", CHAT, "o", calm(), told=lambda n: Told(body=b"<html>" * (n // 6), content_type="text/html")),
    Entry("answers", "unknown names", CHAT, "o", calm(), told=answers(lambda n: {**whole(content="x"), **unknown(2 * n // 12)})),
    Entry("answers", "as many unknown names as are read", CHAT, "o", calm(), told=answers(lambda n: {**whole(content="x"), **unknown(MOST_READ)})),
    Entry("answers", "as many unknown names as are read, in a message", CHAT, "o", calm(), told=answers(lambda n: whole(content="x", **unknown(MOST_READ)))),
    Entry("answers", "as many unknown names as are read, Anthropic", MESS, "a", calm(), told=answers(lambda n: {**anthropic([{"type": "text", "text": "x", **unknown(MOST_READ)}])})),
    Entry("answers", "as many unknown names as are read, Gemini", CHAT, "g", calm(), told=answers(lambda n: gemini([{"text": "x", **unknown(MOST_READ)}]))),
    Entry("answers", "as many items as are read", RESP, "o", lambda n: {"input": "x"}, told=answers(lambda n: responses([ITEM] * (MOST_READ // 13)))),
    Entry("answers", "items", RESP, "o", lambda n: {"input": "x"}, told=answers(lambda n: responses(plenty(2 * n, ITEM)))),
    Entry("answers", "blocks", MESS, "a", calm(), told=answers(lambda n: anthropic(plenty(2 * n, {"type": "text", "text": "x"})))),
    Entry("answers", "log probabilities", CHAT, "o", calm(), told=answers(lambda n: probable(plenty(2 * n, {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.1, "bytes": [97]}] * 20})))),
    Entry("answers", "vectors of 2,048 texts", EMBED, "o", lambda n: {"input": ["x"] * 2_048}, told=answers(lambda n: embedded(2_048, min(1_536, n // 20_000)))),
    Entry("answers", "one vector", EMBED, "o", lambda n: {"input": "x"}, told=answers(lambda n: embedded(1, 2 * n // 10))),
    Entry("answers", "vectors, unknown names", EMBED, "o", lambda n: {"input": "x"}, told=answers(lambda n: {**embedded(1, 9), **unknown(2 * n // 12)})),
    Entry("errors", "at signs", CHAT, "o", calm(), told=refused(TEXTS["dots and at signs"])),
    Entry("errors", "blanks", CHAT, "a", calm(), told=refused(TEXTS["blanks"])),
    Entry("errors", "URLs, Gemini", CHAT, "g", calm(), told=refused(TEXTS["a URL"])),
    Entry("errors", "quotes", MESS, "a", calm(), told=refused(TEXTS["quotes"])),
    Entry("errors", "digits, 429", CHAT, "o", calm(), told=refused(TEXTS["digits"], 429)),
    Entry("errors", "no JSON, 500", CHAT, "o", calm(), told=lambda n: Told(500, b"x " * (n // 2), "text/html")),
    Entry("errors", "ideographs", RESP, "o", lambda n: {"input": "x"}, told=refused(TEXTS["different ideographs"])),
    Entry("streams", "one long event", CHAT, "o", calm(stream=True), told=stream(lambda n: events(delta(content="x" * n), delta(content="y")))),
    Entry("streams", "one event of unknown names", CHAT, "o", calm(stream=True), told=stream(lambda n: events({**delta(content="x"), **unknown(n // 12)}, delta(content="y")))),
    Entry("streams", "events of as many unknown names as are read", CHAT, "o", calm(stream=True), told=stream(lambda n: events(*[{**delta(content="x"), **unknown(MOST_READ)}] * 3))),
    Entry("streams", "small events", CHAT, "o", calm(stream=True), told=stream(lambda n: events(*[delta(content="x")] * min(n // 200, 2_000)))),
    Entry("streams", "small events, Anthropic", CHAT, "a", calm(stream=True), told=stream(lambda n: anthropic_events(min(n // 2_000, 4_000)))),
    Entry("streams", "small events, Gemini", CHAT, "g", calm(stream=True), told=stream(lambda n: events(*[gemini([{"text": "x"}])] * min(n // 2_000, 2_000)))),
    Entry("streams", "calls", CHAT, "o", calm(stream=True), told=stream(lambda n: events(*[delta(tool_calls=[{"index": i, "id": f"c{i}", "function": {"name": "f", "arguments": "{}"}}]) for i in range(min(n // 300, 1_000))]))),
    Entry("streams", "no line ends", CHAT, "o", calm(stream=True), told=stream(lambda n: b"data: " + b"x" * n)),
    Entry("streams", "comments", CHAT, "o", calm(stream=True), told=stream(lambda n: b": x\n\n" * (n // 5) + events(delta(content="x")))),
    Entry("streams", "blank lines", CHAT, "a", calm(stream=True), told=stream(lambda n: b"\n" * n)),
    Entry("streams", "cut without a usage after a long prompt", CHAT, "o", lambda n: {**user(TEXTS["english"](min(n, 2**22))), "stream": True}, told=stream(lambda n: events(delta(content="x"), done=False), cut=True)),
    Entry("streams", "ended without a usage after a long prompt", CHAT, "o", lambda n: {**user(TEXTS["english"](min(n, 2**22))), "stream": True}, told=stream(lambda n: events(delta(content="x"), {**delta(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))),
    Entry("streams", "without a usage after 5,000 messages", CHAT, "o", lambda n: {"messages": [{"role": "user", "content": "x" * (min(n, 2**22) // 5_100)}] * 5_000, "stream": True}, told=stream(lambda n: events(delta(content="x")))),
    Entry("answers", "without a usage after a long prompt", CHAT, "o", lambda n: user(TEXTS["english"](min(n, 2**22))), told=answers(lambda n: whole(content="x"))),
]
# fmt: on
