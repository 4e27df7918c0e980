"""`/v1/messages`: Anthropic's events and answers."""

from typing import Any

import orjson

from scalix_demo.plan import Plan
from scalix_demo.stream import event_frame

# Clients send it back unread; no provider checks it.
SIGNATURE = "ZGVtbw=="
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def messages_usage(plan: Plan, output_tokens: int | None = None) -> dict[str, Any]:
    """Anthropic's usage object: `input_tokens` are those not read from the cache."""
    made = plan.completion_tokens if output_tokens is None else output_tokens
    return {
        "input_tokens": plan.figure(plan.prompt_tokens - plan.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": plan.figure(plan.cached_tokens),
        "output_tokens": plan.figure(made),
    }


def messages_answer(plan: Plan) -> dict[str, Any]:
    """The answer of `/v1/messages`, not streamed."""
    content = [] if plan.script.empty else [*_thinking(plan), _block(plan, whole=True)]
    answer = {**_message(plan), "content": content, "stop_reason": STOP_REASONS[plan.finish]}
    return plan.with_usage(answer, messages_usage(plan))


def _message(plan: Plan) -> dict[str, Any]:
    return {
        "id": "msg_" + plan.ident,
        "type": "message",
        "role": "assistant",
        "model": plan.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _thinking(plan: Plan) -> list[dict[str, Any]]:
    thought = {"type": "thinking", "thinking": plan.thought, "signature": SIGNATURE}
    return [thought] if plan.thought else []


def _block(plan: Plan, *, whole: bool) -> dict[str, Any]:
    if not plan.tool:
        return {"type": "text", "text": plan.text if whole else ""}
    arguments: Any = {}
    if whole:
        try:
            arguments = orjson.loads(plan.text)
        except orjson.JSONDecodeError:  # cut short by max_tokens
            arguments = {"text": plan.text}
    return {"type": "tool_use", "id": "toolu_" + plan.ident, "name": plan.tool, "input": arguments}


def _event(name: str, **fields: Any) -> bytes:
    return event_frame(name, {"type": name, **fields})


class MessagesStream:
    """message_start, content_block_start, content_block_delta…, content_block_stop, message_delta, message_stop."""

    def __init__(self, plan: Plan) -> None:
        self.usage: Any = None
        self._plan = plan
        kind = b'"input_json_delta","partial_json":' if plan.tool else b'"text_delta","text":'
        self._index = len(_thinking(plan))
        opened = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":'
        self._head = opened % self._index + kind

    def opening(self) -> bytes:
        # 0 so far, so that a stream that breaks off has not reported more than it delivered.
        message = self._plan.with_usage(_message(self._plan), messages_usage(self._plan, 0))
        self.usage = message.get("usage")
        return (
            event_frame("message_start", {"type": "message_start", "message": message})
            + self._thinking()
            + _event("content_block_start", index=self._index, content_block=_block(self._plan, whole=False))
            + _event("ping")
        )

    def _thinking(self) -> bytes:
        if not self._index:
            return b""
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        thought = {"type": "thinking_delta", "thinking": self._plan.thought}
        return (
            _event("content_block_start", index=0, content_block=empty)
            + _event("content_block_delta", index=0, delta=thought)
            + _event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": SIGNATURE})
            + _event("content_block_stop", index=0)
        )

    def delta(self, choice: int, text: str) -> bytes:
        return self._head + orjson.dumps(text) + b"}}\n\n"

    def closing(self) -> bytes:
        delta = {"stop_reason": STOP_REASONS[self._plan.finish], "stop_sequence": None}
        end = self._plan.with_usage({"type": "message_delta", "delta": delta}, messages_usage(self._plan))
        self.usage = end.get("usage")
        return _event("content_block_stop", index=self._index) + event_frame("message_delta", end) + self.nothing()

    def nothing(self) -> bytes:
        return b"" if self._plan.script.no_done else event_frame("message_stop", {"type": "message_stop"})

    def error(self, body: dict[str, Any]) -> bytes:
        return event_frame("error", body)
