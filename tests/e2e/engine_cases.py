"""The calls by which the engines are compared: each answer of a provider's, and all that the demo provider can do."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.completion_answers import BY_CHAT, CHATS, TEXTS
from tests.e2e.provider_answers import CASES

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"

_TOOL = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}
_SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
WAYS: Mapping[str, dict[str, Any]] = {
    "whole": {},
    "stream": {"stream": True},
    "stream+usage": {"stream": True, "stream_options": {"include_usage": True}},
}
# Not there: `hang` and `hang_after`, of which no answer comes.
DIRECTIVES = (
    *("words=3", "words=0", "words=400 burst=1", "words=5 gap_ms=5", "words=9 chunk_chars=4", "delay_ms=20"),
    *(f"status={status}" for status in (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503)),
    "status=400 error_type=invalid_request_error error_code=context_length_exceeded error_message=too_long",
    "status=400 error_code=content_filter error_message=filtered",
    *("status=429 retry_after=1", "status=429 retry_after=900", "statuses=500,200 key={key}"),
    *(f"usage={mode}" for mode in ("none", "null", "negative", "huge", "string", "zero", "late", "in_finish")),
    *("cached=3", "reasoning=2", "prompt_tokens=70 completion_tokens=50", "no_done=1", "crlf=1"),
    *(f"finish={finish}" for finish in ("stop", "length", "content_filter", "tool_calls")),
    *(f"{cut}={after}" for cut in ("cut_after", "reset_after", "error_after") for after in (0, 2)),
    *("drop=1", "empty=1", "empty=choices"),
)
WISHES: Mapping[str, dict[str, Any]] = {
    "a tool": {"tools": [_TOOL], "tool_choice": "required"},
    "a schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": _SCHEMA}}},
    "JSON": {"response_format": {"type": "json_object"}},
    "thoughts": {"reasoning_effort": "high"},
    "two": {"n": 2},
    "a cap": {"max_tokens": 3},
}
TEXT_DIRECTIVES = (
    *("words=3", "words=0", "words=400 burst=1", "words=9 chunk_chars=4", "status=429 retry_after=1"),
    *("statuses=500,200 key={key}", "usage=none", "usage=late", "usage=in_finish", "no_done=1", "crlf=1"),
    *("finish=length", "cut_after=2", "reset_after=2", "error_after=2", "error_after=0", "drop=1", "empty=1"),
)
TEXT_WISHES: Mapping[str, dict[str, Any]] = {
    "two": {"n": 2},
    "a cap": {"max_tokens": 3},
    "two prompts": {"prompt": ["[[demo words=2]]", "[[demo words=3]]"]},
    "tokens": {"prompt": [9906, 1917]},
}


@dataclass(frozen=True)
class Call:
    """One request. `text` is what the provider reads."""

    name: str
    model: str
    text: str
    more: Mapping[str, Any] = field(default_factory=dict)
    path: str = CHAT

    def body(self) -> dict[str, Any]:
        """Its body, without the model's name."""
        text = self.text.replace("{key}", secrets.token_hex(8))
        if self.path == COMPLETIONS:
            return {"prompt": text, **self.more}
        return {"messages": [{"role": "user", "content": text}], **self.more}


def calls() -> list[Call]:
    """All of them, by names such as `openai vLLM whole`."""
    made = []
    for way, asked in WAYS.items():
        for name, case in CASES.items():
            made += [Call(f"{of} {name} {way}", of, name, {**asked, **(case.asked or {})}) for of in case.of]
        made += [Call(f"demo {one} {way}", "demo", f"[[demo {one}]]", asked) for one in DIRECTIVES]
        made.append(Call(f"demo tool=1 {way}", "demo", "[[demo tool=1]]", {**asked, "tools": [_TOOL]}))
        made += [
            Call(f"demo {name} {way}", "demo", "[[demo words=5]]", {**asked, **one}) for name, one in WISHES.items()
        ]
    return [*made, *_texts()]


def in_one_way(made: list[Call]) -> list[Call]:
    """Of these, each that differs from others in more than the way: whole, streamed, or with its usage, in turn."""
    by_name: dict[str, list[Call]] = {}
    for call in made:
        by_name.setdefault(call.name.rpartition(" ")[0], []).append(call)
    return [same[number % len(same)] for number, same in enumerate(by_name.values())]


def _texts() -> Iterator[Call]:
    """Those of the API before chat, such as `openai text: vLLM whole`."""
    for way, asked in WAYS.items():
        for name, text in TEXTS.items():
            for of in text.of:
                yield Call(f"{of} text: {name} {way}", of, name, {**asked, **(text.asked or {})}, COMPLETIONS)
        for name in CHATS:
            for of in {*BY_CHAT}.intersection(CASES[name].of):
                yield Call(f"{of} text: chat {name} {way}", of, name, asked, COMPLETIONS)
        for one in TEXT_DIRECTIVES:
            yield Call(f"demo text: {one} {way}", "demo", f"[[demo {one}]]", asked, COMPLETIONS)
        for name, wish in TEXT_WISHES.items():
            yield Call(f"demo text: {name} {way}", "demo", "[[demo words=5]]", {**asked, **wish}, COMPLETIONS)
