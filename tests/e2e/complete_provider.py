"""Complete answers in OpenAI's and Anthropic's formats: every field that their descriptions require, and more."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from tests.e2e.scripted_provider import Answer, whole

Body = dict[str, Any]
PROVIDER_MODEL = "provider-model-2026"
EVENT_STREAM = (("content-type", "text/event-stream"),)
ARGUMENTS = '{"location":"Paris"}'
WORDS = ("hello", " there")
TEXT = "".join(WORDS)
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 2,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_TEXT_USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
RESPONSE_USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 12,
}
MESSAGE_USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 5,
    "service_tier": "standard",
    "server_tool_use": None,
}


def event(value: Body) -> bytes:
    """A server-sent event, with the `event:` line that its type asks for."""
    name = f"event: {value['type']}\n".encode() if "type" in value else b""
    return name + b"data: " + orjson.dumps(value) + b"\n\n"


def stream(events: Iterable[Body], *, done: bool = True) -> Answer:
    """An event stream."""
    return Answer(200, [*map(event, events), *([b"data: [DONE]\n\n"] if done else [])], EVENT_STREAM)


def chunk(choices: list[Body], body: Body, **more: Any) -> Body:
    """A chunk of a chat answer."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": PROVIDER_MODEL}
    usage = {"usage": None} if (body.get("stream_options") or {}).get("include_usage") else {}
    return {**head, "service_tier": "default", "system_fingerprint": "fp_1", "choices": choices, **usage, **more}


def delta(content: Body, index: int = 0, finish: str | None = None, logprobs: Body | None = None) -> Body:
    """A choice of a chunk."""
    return {"index": index, "delta": content, "logprobs": logprobs, "finish_reason": finish}


def _logprobs(body: Body) -> Body | None:
    token = {"token": "hello", "logprob": -0.1, "bytes": [104], "top_logprobs": []}
    return {"content": [token], "refusal": None} if body.get("logprobs") else None


def chat(body: Body) -> Answer:
    """An answer of chat completions."""
    indices, tools = range(body.get("n") or 1), body.get("tools")
    if not body.get("stream"):
        message: Body = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
        if tools:
            function = {"name": "get_weather", "arguments": ARGUMENTS}
            message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
        finish = "tool_calls" if tools else "stop"
        choices = [
            {"index": index, "message": message, "logprobs": _logprobs(body), "finish_reason": finish}
            for index in indices
        ]
        return whole({**chunk(choices, body), "object": "chat.completion", "usage": USAGE})
    deltas = [delta({"role": "assistant", "content": "", "refusal": None}, index) for index in indices]
    if tools:
        begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
        rest = {"index": 0, "function": {"arguments": ARGUMENTS}}
        deltas += [delta({"tool_calls": [call]}) for call in (begun, rest)] + [delta({}, finish="tool_calls")]
    else:
        deltas += [delta({"content": word}, index, None, _logprobs(body)) for word in WORDS for index in indices]
        deltas += [delta({}, index, "stop") for index in indices]
    chunks = [chunk([one], body) for one in deltas]
    if "usage" in chunks[0]:
        chunks.append(chunk([], body, usage=USAGE))
    return stream(chunks)


def completions(body: Body) -> Answer:
    """An answer of completions."""
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": PROVIDER_MODEL}

    def choice(text: str, finish: str | None) -> Body:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}

    if not body.get("stream"):
        return whole({**head, "choices": [choice(TEXT, "stop")], "usage": _TEXT_USAGE})
    chunks = [{**head, "choices": [choice(*one)]} for one in ((WORDS[0], None), (WORDS[1], None), ("", "stop"))]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks = [{**one, "usage": None} for one in chunks] + [{**head, "choices": [], "usage": _TEXT_USAGE}]
    return stream(chunks)


def embeddings(body: Body) -> Answer:
    """An answer with one vector."""
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
    return whole({"object": "list", "data": [vector], "model": PROVIDER_MODEL, "usage": usage})


def response(body: Body, status: str, output: Iterable[Body] = ()) -> Body:
    """A response of the Responses API, whole or as it is so far."""
    is_done = status == "completed"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_001 if is_done else None,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": PROVIDER_MODEL,
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [{"strict": True, "description": None, **tool} for tool in body.get("tools") or ()],
        "top_logprobs": 0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "truncation": "disabled",
        "usage": RESPONSE_USAGE if is_done else None,
        "user": None,
        "metadata": {},
    }


def responses(body: Body) -> Answer:
    """An answer of the Responses API: a thought and a text, or the call of a tool."""
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    text = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    summary = {"type": "summary_text", "text": "Hm"}
    thought = {"id": "rs_1", "type": "reasoning", "summary": [summary]}
    call = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "get_weather"}
    call |= {"arguments": ARGUMENTS}
    items = [call] if body.get("tools") else [thought, text]
    if not body.get("stream"):
        return whole(response(body, "completed", items))
    events: list[Body] = []

    def say(kind: str, **more: Any) -> None:
        events.append({"type": f"response.{kind}", "sequence_number": len(events), **more})

    say("created", response=response(body, "in_progress"))
    say("in_progress", response=response(body, "in_progress"))
    if body.get("tools"):
        say("output_item.added", output_index=0, item={**call, "status": "in_progress", "arguments": ""})
        say("function_call_arguments.delta", item_id="fc_1", output_index=0, delta=ARGUMENTS)
        say("function_call_arguments.done", item_id="fc_1", output_index=0, arguments=ARGUMENTS, name="get_weather")
        say("output_item.done", output_index=0, item=call)
    else:
        place = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
        say("output_item.added", output_index=0, item={**thought, "summary": []})
        say("reasoning_summary_part.added", **place, part={**summary, "text": ""})
        say("reasoning_summary_text.delta", **place, delta="Hm")
        say("reasoning_summary_text.done", **place, text="Hm")
        say("reasoning_summary_part.done", **place, part=summary)
        say("output_item.done", output_index=0, item=thought)
        place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
        say("output_item.added", output_index=1, item={**text, "status": "in_progress", "content": []})
        say("content_part.added", **place, part={**part, "text": ""})
        for word in WORDS:
            say("output_text.delta", **place, delta=word, logprobs=[], obfuscation="x")
        say("output_text.done", **place, text=TEXT, logprobs=[])
        say("content_part.done", **place, part=part)
        say("output_item.done", output_index=1, item=text)
    say("completed", response=response(body, "completed", items))
    return stream(events, done=False)


def messages(body: Body) -> Answer:
    """An answer in Anthropic's format: a thought if one is wanted, and a text or the use of a tool."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"location": "Paris"}}
    blocks: list[Body] = [use if body.get("tools") else {"type": "text", "text": TEXT, "citations": None}]
    if body.get("thinking"):
        blocks.insert(0, {"type": "thinking", "thinking": "Hm", "signature": "sig"})
    stop = {"stop_reason": "tool_use" if body.get("tools") else "end_turn", "stop_sequence": None}
    head: Body = {"id": "msg_1", "type": "message", "role": "assistant", "model": PROVIDER_MODEL}
    if not body.get("stream"):
        return whole({**head, "content": blocks, **stop, "usage": MESSAGE_USAGE})
    usage: Body = {**MESSAGE_USAGE, "output_tokens": 1}
    message: Body = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events: list[Body] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        kind = block["type"]
        empties: dict[str, Body] = {"thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        empty = empties.get(kind, {"text": ""})
        deltas: list[Body] = {
            "thinking": [
                {"type": "thinking_delta", "thinking": "Hm"},
                {"type": "signature_delta", "signature": "sig"},
            ],
            "tool_use": [{"type": "input_json_delta", "partial_json": ARGUMENTS}],
            "text": [{"type": "text_delta", "text": word} for word in WORDS],
        }[kind]
        events.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        events += [{"type": "content_block_delta", "index": index, "delta": one} for one in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}})
    return stream([*events, {"type": "message_stop"}], done=False)


def gemini(body: Body, *, streamed: bool) -> Answer:
    """An answer in Gemini's format."""
    call = {"functionCall": {"name": "get_weather", "args": {"location": "Paris"}}}
    parts: list[Body] = [call] if body.get("tools") else [{"text": word} for word in WORDS]
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}

    def said(content: list[Body], **more: Any) -> Body:
        candidate = {"content": {"role": "model", "parts": content}, "index": 0, **more}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": PROVIDER_MODEL}

    if not streamed:
        return whole(said(parts, finishReason="STOP"))
    return stream([*(said([part]) for part in parts), said([{"text": ""}], finishReason="STOP")], done=False)


_BY_PATH: dict[str, Callable[[Body], Answer]] = {
    "/chat/completions": chat,
    "/messages": messages,
    "/responses": responses,
    "/embeddings": embeddings,
    "/completions": completions,
}


def complete(path: str, body: Body) -> Answer:
    """An answer of the path's API."""
    path = path.partition("?")[0]
    if "enerateContent" in path:
        return gemini(body, streamed=path.endswith(":streamGenerateContent"))
    return next(answer for end, answer in _BY_PATH.items() if path.endswith(end))(body)
