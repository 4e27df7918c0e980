"""Answers of OpenAI's chat format as servers are known to send them, each whole and as the chunks of a stream.

Sources: the API references of OpenRouter, DeepSeek, Groq, Mistral, Together, Fireworks and xAI, vLLM's and SGLang's own
servers, and reports in public issues.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.e2e.complete_provider import EVENT_STREAM, USAGE, Body, delta
from tests.e2e.scripted_provider import Answer, whole

HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "provider-model-2026"}
TOKEN = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
LOGPROBS = {"content": [TOKEN], "refusal": None}
FLAT_USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


@dataclass(frozen=True)
class Case:
    """`message` and `finish` make the whole answer, `deltas` the stream, with `usage` in its last chunk, and with
    `extra` in the answer and in each chunk. `raw` are the bytes instead, of both. `of` are the providers."""

    message: Body
    deltas: tuple[Body, ...] = ()
    finish: Any = "stop"
    usage: Any = None
    extra: Mapping[str, Any] | None = None
    choice: Mapping[str, Any] | None = None
    head: Mapping[str, Any] | None = None
    raw: tuple[bytes, bytes] | None = None
    status: int = 200
    with_finish: bool = False  # the usage comes in the chunk with the end
    asked: Mapping[str, Any] | None = None
    of: tuple[str, ...] = ("openai",)

    def answer(self, path: str, body: Body) -> Answer:
        """What the provider sends."""
        streamed = bool(body.get("stream"))
        kind = EVENT_STREAM if streamed and self.status == 200 else (("content-type", "application/json"),)
        if self.raw is not None:
            return Answer(self.status, (self.raw[streamed],), kind)
        head = {**(HEAD if self.head is None else self.head), **(self.extra or {})}
        usage = {"usage": self.usage or FLAT_USAGE}
        if not streamed:
            choice = {"index": 0, "message": self.message, "finish_reason": self.finish, **(self.choice or {})}
            return whole({**head, "object": "chat.completion", "choices": [choice], **usage})
        deltas = self.deltas or ({"role": "assistant", **_numbered(self.message)},)
        choices = [{**delta(one), **(self.choice or {})} for one in deltas]
        head = {**head, "object": "chat.completion.chunk"}
        chunks = [{**head, "choices": [choice]} for choice in [*choices, delta({}, finish=self.finish)]]
        if self.with_finish:
            chunks[-1] |= usage
        else:
            chunks.append({**head, "choices": [], **usage})
        text = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
        return Answer(200, (text + b"data: [DONE]\n\n",), EVENT_STREAM)


def _numbered(message: Body) -> Body:
    calls = message.get("tool_calls")
    return {**message, "tool_calls": [{"index": n, **call} for n, call in enumerate(calls)]} if calls else message


def call(name: str = "f", arguments: Any = '{"a":1}', **more: Any) -> Body:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def said(text: Any = "Hello", **more: Any) -> Body:
    return {"role": "assistant", "content": text, **more}


def raw(body: Any, event: Any = None) -> tuple[bytes, bytes]:
    """The same as a whole answer, and as the only event of a stream."""
    return orjson.dumps(body), b"data: " + orjson.dumps(body if event is None else event) + b"\n\ndata: [DONE]\n\n"


BOTH = ("openai", "hosted_vllm")  # whose answers LiteLLM reads by clients of its own
ALL = ("openai", "hosted_vllm", "openrouter", "deepseek", "groq", "mistral", "together_ai", "fireworks_ai", "xai")
URL = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 1},
}
_MIDDLE = b"data: " + orjson.dumps({**HEAD, "choices": [delta(said("Hel"))]}) + b"\n\n"
ERROR = {"error": {"message": "the key is wrong", "type": "server_error", "code": None, "param": None}}
THOUGHT = ({"role": "assistant", "content": ""}, {"reasoning_content": "so"}, {"content": "Hel"}, {"content": "lo"})

CASES: dict[str, Case] = {
    "a text": Case(said(), of=ALL),
    "a call": Case(said(None, tool_calls=[call()]), finish="tool_calls", of=ALL),
    "OpenAI": Case(
        said(refusal=None, annotations=[URL]),
        ({"role": "assistant", "content": "", "refusal": None}, {"content": "Hello"}),
        usage=USAGE,
        extra={"service_tier": "default", "system_fingerprint": "fp_1"},
        choice={"logprobs": LOGPROBS},
        asked={"logprobs": True},
    ),
    "a refusal": Case(said(None, refusal="No"), ({"role": "assistant"}, {"refusal": "N"}, {"refusal": "o"}), of=BOTH),
    "a cut": Case(said(), finish="length"),
    "a filter": Case(said(), finish="content_filter", of=BOTH),
    "vLLM": Case(
        said(refusal=None, annotations=None, audio=None, function_call=None, tool_calls=[], reasoning="so"),
        ({"role": "assistant", "content": ""}, {"reasoning": "so"}, {"content": "Hello"}),
        usage={**FLAT_USAGE, "prompt_tokens_details": None},
        extra={
            "service_tier": None,
            "system_fingerprint": None,
            "prompt_logprobs": None,
            "kv_transfer_params": {"remote_host": "10.0.0.7", "remote_port": 5600},
        },
        choice={"logprobs": None, "stop_reason": None, "token_ids": None},
        of=("hosted_vllm", "openai"),
    ),
    "SGLang": Case(
        said(reasoning_content=None, tool_calls=None),
        ({"role": "assistant", "content": "", "reasoning_content": None, "tool_calls": None}, {"content": "Hello"}),
        usage={**FLAT_USAGE, "reasoning_tokens": 0, "prompt_tokens_details": None},
        extra={"metadata": {"weight_version": "default"}},
        choice={"logprobs": None, "matched_stop": 2},
    ),
    "DeepSeek": Case(
        said(reasoning_content="so"),
        THOUGHT,
        usage={**FLAT_USAGE, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 3},
        extra={"system_fingerprint": "fp_2"},
        with_finish=True,
        of=("deepseek", "openai"),
    ),
    "Groq": Case(
        said(reasoning="so"),
        ({"role": "assistant", "content": ""}, {"reasoning": "so"}, {"content": "Hello"}),
        usage={"queue_time": 0.1, "prompt_time": 0.01, "completion_time": 0.02, "total_time": 0.03, **FLAT_USAGE},
        extra={"system_fingerprint": "fp_3", "x_groq": {"id": "req_1"}, "service_tier": "on_demand"},
        of=("groq", "openai"),
    ),
    "Mistral": Case(
        said([{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}, {"type": "text", "text": "Hello"}]),
        (
            {"role": "assistant", "content": ""},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}]},
            {"content": [{"type": "text", "text": "Hello"}]},
        ),
        with_finish=True,
        of=("mistral", "openai"),
    ),
    "Mistral's call": Case(
        said("", tool_calls=[{"id": "abc123xyz", "function": {"name": "f", "arguments": '{"a":1}'}, "index": 0}]),
        finish="tool_calls",
        with_finish=True,
        of=("mistral",),
    ),
    "OpenRouter": Case(
        said(reasoning="so", refusal=None, reasoning_details=[{"type": "reasoning.text", "text": "so", "index": 0}]),
        (
            {"role": "assistant", "content": "", "reasoning": "so", "reasoning_details": []},
            {"role": "assistant", "content": "Hello", "reasoning": None},
        ),
        usage={
            **USAGE,
            "cost": 0.75,
            "is_byok": False,
            "cost_details": {"upstream_inference_cost": 0.75, "upstream_inference_prompt_cost": 0.5},
        },
        extra={"provider": "Parasail"},
        choice={"native_finish_reason": "stop"},
        of=("openrouter", "openai"),
    ),
    "Together": Case(
        said(tool_calls=[]),
        ({"role": "assistant", "content": "Hello", "tool_calls": []},),
        finish="eos",
        extra={"prompt": []},
        choice={"seed": 7, "text": None},
        with_finish=True,
        of=("together_ai", "openai"),
    ),
    "Fireworks": Case(
        said(), usage={**FLAT_USAGE, "prompt_tokens_details": {"cached_tokens": 4}}, of=("fireworks_ai",)
    ),
    "xAI": Case(
        said(reasoning_content="so", refusal=None),
        THOUGHT,
        usage={**USAGE, "num_sources_used": 1, "cost_in_usd_ticks": 750_000},
        extra={"citations": ["https://a.test"], "system_fingerprint": "fp_4"},
        of=("xai", "openai"),
    ),
    "Ollama": Case(
        said(reasoning="so"),
        ({"role": "assistant", "content": "", "reasoning": "so"}, {"role": "assistant", "content": "Hello"}),
        extra={"system_fingerprint": "fp_ollama"},
    ),
    "Perplexity": Case(
        said(), extra={"citations": ["https://a.test"], "search_results": [{"url": "https://a.test"}]}, of=BOTH
    ),
    "tags of thought": Case(said("<think>so</think>Hello"), ({"content": "<think>"}, {"content": "so</think>Hello"})),
    "tags of thought around it": Case(said("Hm <think>so</think>Hello")),
    "a call without an id": Case(
        said(None, tool_calls=[{"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}])
    ),
    "arguments that are an object": Case(said(None, tool_calls=[call(arguments={"a": 1})]), finish="tool_calls"),
    "arguments that are null": Case(said(None, tool_calls=[call(arguments=None)]), finish="tool_calls"),
    "a call that ends with stop": Case(said(None, tool_calls=[call()])),
    "two calls": Case(said(None, tool_calls=[call(), call("g", "{}", id="call_2")]), finish="tool_calls"),
    "a call as it once was": Case(said(None, function_call={"name": "f", "arguments": "{}"}), finish="function_call"),
    "no head": Case(said(), head={}),
    "a head of nulls": Case(said(), head=dict.fromkeys(("id", "created", "model"))),
    "a head of other types": Case(said(), head={"id": 7, "created": 1_700_000_000.5, "model": 7}, of=BOTH),
    "no finish": Case(said(), finish=None, of=BOTH),
    **{f"finish {finish}": Case(said(), finish=finish) for finish in ("end_turn", "eos_token", "max_tokens", "abort")},
    "finish tool_use": Case(said(None, tool_calls=[call()]), finish="tool_use"),
    "an empty text": Case(said("")),
    "no content": Case({"role": "assistant"}),
    "no message": Case({}, choice={"message": None}, of=BOTH),
    "no choices": Case({}, raw=raw({**HEAD, "object": "chat.completion", "choices": [], "usage": FLAT_USAGE}), of=BOTH),
    "choices that are null": Case({}, raw=raw({**HEAD, "choices": None, "usage": FLAT_USAGE}), of=BOTH),
    "usage as text": Case(said(), usage={name: str(value) for name, value in FLAT_USAGE.items()}),
    "usage as fractions": Case(said(), usage={name: float(value) for name, value in FLAT_USAGE.items()}),
    "no total": Case(said(), usage={"prompt_tokens": 7, "completion_tokens": 5}),
    "usage of nulls": Case(said(), usage={**FLAT_USAGE, "completion_tokens_details": {"reasoning_tokens": None}}),
    "an error in a 200": Case({}, raw=raw(ERROR), of=BOTH),
    "an error as text in a 200": Case({}, raw=raw({"error": "the key is wrong"})),
    "an error with a code in a 200": Case({}, raw=raw({"error": {"message": "slow down", "code": 429}})),
    "an error beside nothing": Case({}, raw=raw({**HEAD, "choices": [], **ERROR})),
    "an error in the middle": Case(
        {}, raw=(raw(ERROR)[0], _MIDDLE + raw({**HEAD, "choices": [], **ERROR})[1]), of=BOTH
    ),
    "no JSON": Case({}, raw=(b"<html>busy</html>", b"<html>busy</html>")),
    "nothing": Case({}, raw=(b"", b""), of=BOTH),
    "an end alone": Case({}, raw=(b"{}", b"data: [DONE]\n\n")),
    **{
        f"status {status}": Case({}, raw=raw({"error": {"message": "no", "type": kind, "code": code}}), status=status)
        for status, kind, code in (
            (400, "invalid_request_error", "context_length_exceeded"),
            (401, "authentication_error", "invalid_api_key"),
            (404, "invalid_request_error", "model_not_found"),
            (422, "invalid_request_error", None),
            (429, "requests", "rate_limit_exceeded"),
            (500, "server_error", None),
        )
    },
    "status 400 of vLLM": Case({}, raw=raw({"object": "error", "message": "no", "code": 400}), status=400),
    "status 422 of FastAPI": Case({}, raw=raw({"detail": [{"loc": ["body"], "msg": "no"}]}), status=422),
}
