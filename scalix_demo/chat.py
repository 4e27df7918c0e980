"""`/v1/chat/completions` and `/v1/completions`: OpenAI's chunks and answers."""

from typing import Any

import orjson

from scalix_demo.plan import Plan
from scalix_demo.stream import data_frame

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "fp_demo"


def chat_usage(plan: Plan) -> dict[str, Any]:
    """OpenAI's usage object; cached and reasoning tokens are part of the prompt and completion tokens."""
    return {
        "prompt_tokens": plan.figure(plan.prompt_tokens),
        "completion_tokens": plan.figure(plan.completion_tokens),
        "total_tokens": plan.figure(plan.prompt_tokens + plan.completion_tokens),
        "prompt_tokens_details": {"cached_tokens": plan.figure(plan.cached_tokens), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": plan.figure(plan.reasoning_tokens),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _head(plan: Plan, kind: str) -> dict[str, Any]:
    prefix = "chatcmpl-" if plan.route == "chat" else "cmpl-"
    return {
        "id": prefix + plan.ident,
        "object": kind,
        "created": plan.created,
        "model": plan.model,
        "system_fingerprint": FINGERPRINT,
    }


def _call_id(plan: Plan, choice: int) -> str:
    return f"call_{plan.ident}c{choice}"


def chat_answer(plan: Plan) -> dict[str, Any]:
    """The answer of chat completions, not streamed."""
    answer = _head(plan, "chat.completion")
    answer["service_tier"] = "default"
    answer["choices"] = [
        {"index": choice, "message": _message(plan, choice), "logprobs": None, "finish_reason": plan.finish}
        for choice in range(0 if plan.script.empty else plan.choices)
    ]
    return plan.with_usage(answer, chat_usage(plan))


def _message(plan: Plan, choice: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": plan.text, "refusal": None, "annotations": []}
    if plan.thought:
        message["reasoning_content"] = plan.thought
    if plan.tool:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": _call_id(plan, choice),
                "type": "function",
                "function": {"name": plan.tool, "arguments": plan.text},
            }
        ]
    return message


def completion_answer(plan: Plan) -> dict[str, Any]:
    """The answer of the older completions route, not streamed."""
    answer = _head(plan, "text_completion")
    answer["choices"] = [
        {"index": choice, "text": plan.text, "logprobs": None, "finish_reason": plan.finish}
        for choice in range(0 if plan.script.empty else plan.choices)
    ]
    return plan.with_usage(answer, chat_usage(plan))


class ChunkStream:
    """The chunks of chat completions and of completions. Each delta is put together from prepared bytes."""

    def __init__(self, plan: Plan) -> None:
        self.usage: Any = None
        self._plan = plan
        self._chat = plan.route == "chat"
        self._base = _head(plan, "chat.completion.chunk" if self._chat else "text_completion")
        mode = plan.script.usage
        self._usage_chunk = mode not in {"none", "in_finish"} and (plan.include_usage or mode == "late")
        # With include_usage, OpenAI sends `"usage": null` in every chunk but the last.
        self._blank = {"usage": None} if plan.include_usage and mode != "none" else {}
        self._tail = b',"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if self._blank else b"") + b"}\n\n"
        opened = b"data: " + orjson.dumps(self._base)[:-1] + b',"choices":[{"index":'
        if not self._chat:
            before = b',"text":'
        elif plan.tool:
            before, self._tail = b',"delta":{"tool_calls":[{"index":0,"function":{"arguments":', b"}}]}" + self._tail
        else:
            before, self._tail = b',"delta":{"content":', b"}" + self._tail
        self._heads = [opened + b"%d" % choice + before for choice in range(plan.choices)]

    def opening(self) -> bytes:
        if not self._chat:
            return b""
        frames = []
        for choice in range(self._plan.choices):
            delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
            if self._plan.tool:
                function = {"name": self._plan.tool, "arguments": ""}
                call = {"index": 0, "id": _call_id(self._plan, choice), "type": "function", "function": function}
                delta = {"role": "assistant", "content": None, "tool_calls": [call]}
            if self._plan.thought:
                delta["reasoning_content"] = self._plan.thought
            frames.append(self._chunk(choice, delta, None))
        return b"".join(frames)

    def delta(self, choice: int, text: str) -> bytes:
        return self._heads[choice] + orjson.dumps(text) + self._tail

    def closing(self) -> bytes:
        frames = [self._chunk(choice, {}, self._plan.finish) for choice in range(self._plan.choices)]
        if self._usage_chunk:
            answer = self._plan.with_usage({**self._base, "choices": []}, chat_usage(self._plan))
            self.usage = answer["usage"]
            frames.append(data_frame(answer))
        return b"".join(frames) + self.nothing()

    def nothing(self) -> bytes:
        return b"" if self._plan.script.no_done else DONE

    def error(self, body: dict[str, Any]) -> bytes:
        return data_frame(body)

    def _chunk(self, choice: int, delta: dict[str, Any], finish: str | None) -> bytes:
        content: dict[str, Any] = {"delta": delta} if self._chat else {"text": ""}
        choices = [{"index": choice, **content, "logprobs": None, "finish_reason": finish}]
        chunk = {**self._base, "choices": choices, **self._blank}
        if finish and self._plan.script.usage == "in_finish" and choice == self._plan.choices - 1:
            chunk["usage"] = self.usage = chat_usage(self._plan)
        return data_frame(chunk)
