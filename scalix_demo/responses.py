"""`/v1/responses`: OpenAI's events and answers."""

from collections.abc import Iterator
from typing import Any

import orjson

from scalix_demo.plan import Plan
from scalix_demo.stream import event_frame


def responses_usage(plan: Plan) -> dict[str, Any]:
    """The Responses API's usage object; cached and reasoning tokens are part of input and output tokens."""
    return {
        "input_tokens": plan.figure(plan.prompt_tokens),
        "input_tokens_details": {"cached_tokens": plan.figure(plan.cached_tokens)},
        "output_tokens": plan.figure(plan.completion_tokens),
        "output_tokens_details": {"reasoning_tokens": plan.figure(plan.reasoning_tokens)},
        "total_tokens": plan.figure(plan.prompt_tokens + plan.completion_tokens),
    }


def _response(plan: Plan, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(plan.finish)
    return {
        "id": "resp_" + plan.ident,
        "object": "response",
        "created_at": plan.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": incomplete} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": plan.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _ended(plan: Plan) -> dict[str, Any]:
    status = "incomplete" if plan.finish in {"length", "content_filter"} else "completed"
    response = _response(plan, status, [] if plan.script.empty else [*_reasoning(plan), _item(plan, status, plan.text)])
    if plan.script.usage == "none":
        del response["usage"]
    return plan.with_usage(response, responses_usage(plan))


def _reasoning(plan: Plan) -> list[dict[str, Any]]:
    summary = [{"type": "summary_text", "text": plan.thought}]
    return [{"id": "rs_" + plan.ident, "type": "reasoning", "summary": summary}] if plan.thought else []


def _item(plan: Plan, status: str, text: str | None) -> dict[str, Any]:
    """The output item after the reasoning: a message or a call. `text` of None: it has just begun."""
    if plan.tool:
        return {
            "id": "fc_" + plan.ident,
            "type": "function_call",
            "status": status,
            "call_id": "call_" + plan.ident,
            "name": plan.tool,
            "arguments": text or "",
        }
    content = [] if text is None else [_part(text)]
    return {"id": "msg_" + plan.ident, "type": "message", "status": status, "role": "assistant", "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def responses_answer(plan: Plan) -> dict[str, Any]:
    """The answer of `/v1/responses`, not streamed."""
    return _ended(plan)


class ResponsesStream:
    """response.created … response.completed (or response.incomplete), numbered in order."""

    def __init__(self, plan: Plan) -> None:
        self.usage: Any = None
        self._plan = plan
        self._number = 0
        self._item_id = ("fc_" if plan.tool else "msg_") + plan.ident
        name = "response.function_call_arguments" if plan.tool else "response.output_text"
        self._place: dict[str, Any] = {"item_id": self._item_id, "output_index": len(_reasoning(plan))}
        if not plan.tool:
            self._place["content_index"] = 0
        self._name = name
        head: dict[str, Any] = {"type": name + ".delta", **self._place}
        if not plan.tool:
            head["logprobs"] = []
        encoded = orjson.dumps(head)[:-1] + b',"sequence_number":%d,"delta":'
        self._head = b"event: " + name.encode() + b".delta\ndata: " + encoded

    def opening(self) -> bytes:
        started = _response(self._plan, "in_progress", [])
        item = _item(self._plan, "in_progress", None)
        frames = [
            self._event("response.created", {"response": started}),
            self._event("response.in_progress", {"response": started}),
            *self._thinking(),
            self._event("response.output_item.added", {"output_index": self._place["output_index"], "item": item}),
        ]
        if not self._plan.tool:
            frames.append(self._event("response.content_part.added", {**self._place, "part": _part("")}))
        return b"".join(frames)

    def _thinking(self) -> Iterator[bytes]:
        for item in _reasoning(self._plan):
            place = {"item_id": item["id"], "output_index": 0, "summary_index": 0}
            part, thought = item["summary"][0], self._plan.thought
            yield self._event("response.output_item.added", {"output_index": 0, "item": {**item, "summary": []}})
            yield self._event("response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}})
            yield self._event("response.reasoning_summary_text.delta", {**place, "delta": thought})
            yield self._event("response.reasoning_summary_text.done", {**place, "text": thought})
            yield self._event("response.reasoning_summary_part.done", {**place, "part": part})
            yield self._event("response.output_item.done", {"output_index": 0, "item": item})

    def delta(self, choice: int, text: str) -> bytes:
        number, self._number = self._number, self._number + 1
        return self._head % number + orjson.dumps(text) + b"}\n\n"

    def closing(self) -> bytes:
        text = self._plan.text
        ended = _ended(self._plan)
        if self._plan.tool:
            frames = [self._event(self._name + ".done", {**self._place, "arguments": text, "name": self._plan.tool})]
        else:
            frames = [
                self._event(self._name + ".done", {**self._place, "text": text, "logprobs": []}),
                self._event("response.content_part.done", {**self._place, "part": _part(text)}),
            ]
        last = {"output_index": self._place["output_index"], "item": ended["output"][-1]}
        frames.append(self._event("response.output_item.done", last))
        return b"".join(frames) + self._end(ended)

    def nothing(self) -> bytes:
        return self._end(_ended(self._plan))

    def error(self, body: dict[str, Any]) -> bytes:
        error = body["error"]
        return self._event("error", {"code": error["code"], "message": error["message"], "param": error["param"]})

    def _end(self, ended: dict[str, Any]) -> bytes:
        if self._plan.script.no_done:
            return b""
        self.usage = ended.get("usage")
        return self._event("response." + ended["status"], {"response": ended})

    def _event(self, name: str, value: dict[str, Any]) -> bytes:
        number, self._number = self._number, self._number + 1
        return event_frame(name, {"type": name, **value, "sequence_number": number})
