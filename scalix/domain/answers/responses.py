"""Answers and events of OpenAI's Responses API as its description has them: what is required is there, if only as
null, and what may not be null is not.

An engine that translates leaves out what the other API does not know, and drops nulls. Objects are changed in place.

Source: https://github.com/openai/openai-openapi and https://www.openresponses.org (which requires more).
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from scalix.domain.answers.usage_details import without_null_details

# What every response has beside its output. Told first is what the request asked for.
_NULLABLE = (
    *("error", "incomplete_details", "instructions", "previous_response_id", "max_output_tokens", "max_tool_calls"),
    *("prompt_cache_key", "safety_identifier", "usage", "user", "completed_at"),
)
_DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "frequency_penalty": 0.0,
    "metadata": {},
    "output": [],
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
_ASKED = ("instructions", "previous_response_id", "max_tool_calls", "safety_identifier", "prompt_cache_key")
_REASONING: Mapping[str, Any] = {"effort": None, "summary": None}
_TEXT: Mapping[str, Any] = {"format": {"type": "text"}}
# Of an output item, what it must have though it may be null; any other null says nothing and is left out, as clients
# send items back as they came, and the description forbids most nulls.
_NULLABLE_OF_ITEMS: Mapping[str, tuple[str, ...]] = {
    "code_interpreter_call": ("code", "outputs"),
    "image_generation_call": ("result",),
    "shell_call": ("environment",),
    "shell_call_output": ("max_output_length",),
    "tool_search_call": ("call_id",),
    "tool_search_output": ("call_id",),
}
_NULLABLE_OF_TOOLS = ("description", "parameters", "strict")
_LISTS_OF_PARTS: Mapping[str, tuple[str, ...]] = {"output_text": ("annotations", "logprobs")}
_WITH_LOGPROBS = frozenset({"response.output_text.delta", "response.output_text.done"})
_NULLABLE_OF_EVENTS: Mapping[str, tuple[str, ...]] = {
    "error": ("code", "param"),
    "response.output_text.annotation.added": ("annotation",),
}


class ResponseShape:
    """Completes one answer, whole or event by event. `model` is the name by which the client knows the model, `asked`
    the request's body. `is_refusal` says whether what the engine has as a text is a refusal."""

    def __init__(
        self,
        model: str,
        asked: Mapping[str, Any],
        now_s: Callable[[], int],
        is_refusal: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_refusal = is_refusal
        self._begun: set[tuple[Any, Any]] = set()  # the parts of summaries, by item and number
        self._annotations: dict[tuple[Any, Any], list[Any]] = {}  # that were added, by item and part
        self._model = model
        self._asked = asked
        self._now_s = now_s
        self._names: dict[str, Any] = {}  # of the functions that are called, by item
        self.next_number = 0

    def event(self, event: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Complete one event of a stream. The events that are missing before it."""
        event.pop("model", None)
        kind = event.get("type")
        before = self._missing_before(kind, event)
        for one in (*before, event):
            self._number(one)
        if kind in _WITH_LOGPROBS:
            if self._is_refusal():
                _refuse(kind, event)
            elif event.get("logprobs") is None:
                event["logprobs"] = []
        elif kind == "response.function_call_arguments.done":
            event.setdefault("name", self._names.pop(event.get("item_id"), ""))  # type: ignore[arg-type]
        else:
            self._complete_parts_of(kind, event)
        return before

    def _missing_before(self, kind: Any, event: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """LiteLLM does not say that a part of a summary begins."""
        if not isinstance(kind, str) or not kind.startswith("response.reasoning_summary_"):
            return ()
        place = {"item_id": event.get("item_id"), "output_index": event.get("output_index")}
        place["summary_index"] = number = event.setdefault("summary_index", 0)
        part = (place["item_id"], number)
        is_new = part not in self._begun
        self._begun.add(part)
        if not is_new or kind == "response.reasoning_summary_part.added":
            return ()
        begins = {"type": "response.reasoning_summary_part.added", **place}
        return ({**begins, "part": {"type": "summary_text", "text": ""}},)

    def _number(self, event: dict[str, Any]) -> None:
        number = event.get("sequence_number")
        if type(number) is not int or number < self.next_number:
            event["sequence_number"] = number = self.next_number
        self.next_number = number + 1

    def _complete_parts_of(self, kind: Any, event: dict[str, Any]) -> None:
        response, item, part = event.get("response"), event.get("item"), event.get("part")
        if isinstance(response, dict):
            self.response(response)
        if isinstance(item, dict):
            self._complete_item(item)
            if kind == "response.output_item.added" and item.get("type") == "function_call":
                self._names[str(item.get("id"))] = item.get("name")
        place = (event.get("item_id"), event.get("content_index"))
        if kind == "response.output_text.annotation.added":
            self._annotations.setdefault(place, []).append(deepcopy(event.get("annotation")))
        if isinstance(part, dict):
            if self._is_refusal():
                _refuse_part(part)
            if isinstance(given := part.get("annotations"), list) and {} in given:  # LiteLLM empties them
                part["annotations"] = self._annotations.get(place, [])
            _complete_part(part)
        for name in _NULLABLE_OF_EVENTS.get(kind, ()) if isinstance(kind, str) else ():
            event.setdefault(name, None)

    def response(self, response: dict[str, Any]) -> None:
        """Complete a response, whole or as it is so far."""
        response["model"] = self._model
        response.pop("provider_specific_fields", None)
        for name in _NULLABLE:
            if name not in response:
                response[name] = deepcopy(self._asked.get(name)) if name in _ASKED else None
        for name, default in _DEFAULTS.items():
            if response.get(name) is None:
                asked = self._asked.get(name)
                is_default = asked is None or (name == "service_tier" and asked == "auto")
                response[name] = deepcopy(default if is_default else asked)  # ids in it are rewritten later
        for name, default in (("reasoning", _REASONING), ("text", _TEXT)):
            asked = self._asked.get(name)
            given = response.get(name) or (asked if isinstance(asked, dict) else {})
            response[name] = {**deepcopy(default), **given}
        if response["completed_at"] is None and response.get("status") == "completed":
            response["completed_at"] = self._now_s()
        response["tools"] = [_complete_tool(tool) for tool in response["tools"]]
        for item in response["output"]:
            if isinstance(item, dict):
                self._complete_item(item)
        if isinstance(response["usage"], dict):
            _complete_usage(response["usage"])

    def _complete_item(self, item: dict[str, Any]) -> None:
        complete_item(item)
        content = item.get("content")
        if item.get("type") == "message" and isinstance(content, list) and self._is_refusal():
            for part in content:
                _refuse_part(part)


def _refuse(kind: str, event: dict[str, Any]) -> None:
    """Make an event of a refusal of one of a text."""
    event.pop("logprobs", None)
    event["type"] = kind.replace("output_text", "refusal")
    if "text" in event:
        event["refusal"] = event.pop("text")


def _refuse_part(part: Any) -> None:
    if isinstance(part, dict) and part.get("type") == "output_text":
        refusal = part.get("text", "")
        part.clear()
        part.update(type="refusal", refusal=refusal)


def complete_item(item: dict[str, Any]) -> None:
    """Complete an item of an output."""
    kind = item.get("type")
    nullable = _NULLABLE_OF_ITEMS.get(kind, ()) if isinstance(kind, str) else ()
    for name in [name for name, value in item.items() if value is None and name not in nullable]:
        del item[name]
    for name in nullable:
        item.setdefault(name, None)
    if kind == "message":
        item.setdefault("content", [])  # of one that has just begun
        item.setdefault("status", "completed")
    if kind == "reasoning":
        _complete_reasoning(item)
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            _complete_part(part)


def _complete_reasoning(item: dict[str, Any]) -> None:
    """LiteLLM has the thoughts of other APIs in here as if they were an assistant's text."""
    item.pop("role", None)
    item.setdefault("summary", [])
    content = item.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    if any(part.get("type") == "output_text" for part in parts):
        del item["content"]
        item["summary"] = item["summary"] or [{"type": "summary_text", "text": part.get("text", "")} for part in parts]


def _complete_part(part: dict[str, Any]) -> None:
    kind = part.get("type")
    for name in _LISTS_OF_PARTS.get(kind, ()) if isinstance(kind, str) else ():
        if part.get(name) is None:
            part[name] = []


def _complete_tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    nullable = _NULLABLE_OF_TOOLS if tool.get("type") == "function" else ()
    kept = {name: value for name, value in tool.items() if value is not None or name in nullable}
    return {**kept, **{name: None for name in nullable if name not in kept}}


def _complete_usage(usage: dict[str, Any]) -> None:
    without_null_details(usage)
    for name, figures in (
        ("input_tokens_details", ("cached_tokens", "cache_write_tokens")),
        ("output_tokens_details", ("reasoning_tokens",)),
    ):
        details = usage.setdefault(name, {})
        for figure in figures if isinstance(details, dict) else ():
            details.setdefault(figure, 0)
