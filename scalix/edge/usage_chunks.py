"""What LiteLLM says of usage in its answers, made what the client asked for.

Streamed completions have a usage of zeros in every chunk, and the true one in a chunk of its own; the gateway always
asks for it, and a client that has not asked gets chunks without. Some have the operator's cost in it, which is nobody
else's business.
"""

import re

import orjson


def completion_event(event: bytes, *, with_usage: bool) -> bytes:
    """`event` as OpenAI would have sent it; nothing for a chunk that would only bring a usage not asked for."""
    if not event.startswith(b"data: {"):
        return event
    try:
        chunk = orjson.loads(event[6:])
    except orjson.JSONDecodeError:
        return event
    usage = chunk.pop("usage", None)
    counted = isinstance(usage, dict) and any(usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    if with_usage:
        chunk["usage"] = usage if counted else None
    if not chunk.get("choices") and not (with_usage and counted):
        return b""
    for choice in chunk.get("choices") or ():
        choice.setdefault("text", "")
        choice.setdefault("logprobs", None)
        choice.setdefault("finish_reason", None)
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


_COST = re.compile(rb',"cost":[^,{}\[\]"]*(?=[,}])')


def event_without_cost(event: bytes) -> bytes:
    """`event` without the operator's cost, which LiteLLM puts last into a stream's usage."""
    return _COST.sub(b"", event) if b'"cost":' in event and b'"usage":' in event else event


def answer_without_cost(body: bytes) -> bytes:
    """A whole answer without the operator's cost in its usage; what is no answer stays as it is."""
    if b'"cost":' not in body:
        return body
    try:
        answer = orjson.loads(body)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        if not isinstance(usage, dict) or usage.pop("cost", body) is body:
            return body
        return orjson.dumps(answer)
    except (ValueError, TypeError, RecursionError):
        return body
