"""Chat answers of a provider that speaks OpenAI's format, made what clients know, where no engine has rewritten them.

They keep all that a provider says but what is the operator's, and get what clients count on: the public model's name,
one id for the whole answer, a `type` and an id for each tool call, arguments as text, `reasoning_content` beside other
names of it, reasons to finish that OpenAI knows, and a usage only where it was asked for. Objects are changed in place.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import re2

from scalix.domain.answers.fields import without_nulls, without_operators
from scalix.domain.json_values import objects, word

# What other servers call it, as OpenAI's clients know it.
_FINISHES = {
    **dict.fromkeys(("stop_sequence", "end_turn", "COMPLETE", "eos_token", "eos", "STOP", "complete"), "stop"),
    **dict.fromkeys(("max_tokens", "MAX_TOKENS", "model_length", "compaction", "context_length"), "length"),
    "tool_use": "tool_calls",
    **dict.fromkeys(("refusal", "content_filtered", "SAFETY", "sensitive", "guardrail_intervened"), "content_filter"),
}
_NULLABLE = ("content", "refusal")
_KNOWN = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})  # OpenAI's, of its service
_END_OF_TIME_S = 2**40
_THINKS = re2.compile(r"(?s)^\s*<think(?:ing)?>(.*?)</think(?:ing)?>(.*)$")


class PassedChat:
    """One answer of a model, whole or chunk by chunk. `model` is the model's public name; `new_id` makes an id with the
    prefix that it is given; `now_s` is Unix time; `with_usage`: the client of a stream has asked for its usage."""

    items = "choices"  # where an answer is
    kind, kind_of_chunks, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl-"

    def __init__(self, model: str, new_id: Callable[[str], str], now_s: Callable[[], int], *, with_usage: bool) -> None:
        self._model = model
        self._new_id = new_id
        self._now_s = now_s
        self._with_usage = with_usage
        self._id = ""
        self._created = 0
        self._is_silent = True  # no chunk has been passed on
        self._begun: set[Any] = set()
        self._calls: set[Any] = set()

    def whole(self, answer: dict[str, Any]) -> None:
        """Complete an answer that is not streamed."""
        self._complete_head(answer, self.kind)
        self._complete_whole(objects(answer.get("choices")))

    def _complete_whole(self, choices: list[dict[str, Any]]) -> None:
        for position, choice in enumerate(choices):
            choice.setdefault("index", position)
            message = choice.get("message")
            if not isinstance(message, dict):
                message = choice["message"] = {"content": None}
            message.setdefault("role", "assistant")
            split_thoughts(message)
            for call in objects(message.get("tool_calls")):
                self._complete_call(call, with_id=True)
            choice["finish_reason"] = known_finish(choice.get("finish_reason")) or "stop"
            if choice["finish_reason"] == "stop" and message.get("tool_calls"):
                choice["finish_reason"] = "tool_calls"

    def chunks(self, chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A chunk of a stream, completed: as two where it has a text and the usage; without the usage where the client
        has not asked for it, and not at all if that was all, unless it is the first. Of an error nothing but that."""
        if error := chunk.get("error"):
            yield {"error": error}
            return
        self._complete_head(chunk, self.kind_of_chunks)
        choices = chunk["choices"] = objects(chunk.get("choices"))
        usage = chunk.pop("usage", None)
        if choices or not usage or (self._is_silent and not self._with_usage):
            self._is_silent = False
            self._complete_choices(choices)
            yield chunk
        if usage and self._with_usage:
            yield {**chunk, "choices": [], "usage": usage}

    def _complete_choices(self, choices: list[dict[str, Any]]) -> None:
        for position, choice in enumerate(choices):
            given = choice.get("index")
            index = choice["index"] = given if type(given) is int else position
            delta = choice.get("delta")
            if not isinstance(delta, dict):
                delta = choice["delta"] = {}
            if index not in self._begun:
                self._begun.add(index)
                delta.setdefault("role", "assistant")
            without_nulls(delta, _NULLABLE)
            with_reasoning_content(delta)
            for call in objects(delta.get("tool_calls")):
                key = (index, call.get("index"))
                self._complete_call(call, with_id=key not in self._calls)
                self._calls.add(key)
            choice["finish_reason"] = known_finish(choice.get("finish_reason"))

    def _complete_head(self, answer: dict[str, Any], kind: str) -> None:
        if not self._id:
            given, created = answer.get("id"), answer.get("created", 0)
            self._id = given if isinstance(given, str) and given else self._new_id(self.prefix)
            self._created = int(created) if _is_time(created) else self._now_s()
        answer["id"], answer["created"], answer["model"], answer["object"] = self._id, self._created, self._model, kind
        without_operators(answer)
        if word(answer.get("service_tier")) not in _TIERS:
            answer.pop("service_tier", None)
        if not isinstance(answer.get("system_fingerprint"), str):
            answer.pop("system_fingerprint", None)
        if isinstance(usage := answer.get("usage"), dict):
            _complete_usage(usage)
        else:
            answer.pop("usage", None)

    def _complete_call(self, call: dict[str, Any], *, with_id: bool) -> None:
        if with_id:
            call["id"] = call.get("id") or self._new_id("call_")
            call["type"] = call.get("type") or "function"
        function = call.get("function")
        if isinstance(function, dict):
            without_nulls(function)
            if isinstance(arguments := function.get("arguments", ""), dict | list):
                function["arguments"] = json.dumps(arguments, ensure_ascii=False)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < _END_OF_TIME_S


def known_finish(finish: Any) -> str | None:
    """A reason to finish by the name that OpenAI has for it; `stop` for one that nobody knows, `None` for none."""
    if not isinstance(finish, str) or not finish:
        return None
    return finish if finish in _KNOWN else _FINISHES.get(finish, "stop")


def _complete_usage(usage: dict[str, Any]) -> None:
    if not usage.get("total_tokens"):
        usage["total_tokens"] = (usage.get("prompt_tokens") or 0) + (usage.get("completion_tokens") or 0)
    cached = usage.get("prompt_cache_hit_tokens")  # DeepSeek's
    if isinstance(cached, int) and not usage.get("prompt_tokens_details"):
        usage["prompt_tokens_details"] = {"cached_tokens": cached}


def split_thoughts(message: dict[str, Any]) -> None:
    """Take the thoughts out of a whole text that begins with them."""
    with_reasoning_content(message)
    content = message.get("content")
    if "reasoning_content" in message or not isinstance(content, str) or "<think" not in content:
        return
    if found := _THINKS.match(content):
        message["reasoning_content"], message["content"] = found[1], found[2]


def with_reasoning_content(message: dict[str, Any]) -> None:
    """Have the thoughts also under the name that most clients read."""
    thoughts = message.get("reasoning")
    if thoughts and isinstance(thoughts, str) and message.get("reasoning_content") is None:
        message["reasoning_content"] = thoughts
