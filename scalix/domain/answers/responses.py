"""Completes answers and events of OpenAI's Responses API, so that they match its description: required fields are
there, if only as null, and others are not null.

An engine that translates omits what the other API does not know, and all nulls. Objects are changed in place.

Source: https://github.com/openai/openai-openapi and https://www.openresponses.org (which requires more).
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from scalix.domain.answers.fields import with_nulls, without_null_details, without_nulls
from scalix.domain.json_values import mapped, objects, word

# Fields of every response beside its output. What the request asked for comes before these defaults.
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
# Fields of output items that are required and may be null. Every other null is removed: clients send items back
# unchanged, and the description forbids most nulls.
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


@dataclass
class ResponseShape:
    """Completes one answer, whole or event by event.

    `model` is the client's name for the model, `asked` the request's body, `now_s` a clock (Unix time). `is_refusal`
    tells whether what the engine sends as a text is a refusal.
    """

    model: str
    asked: Mapping[str, Any]
    now_s: Callable[[], int]
    is_refusal: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self._begun: set[tuple[Any, Any]] = set()  # parts of summaries, by item and number
        self._annotations: dict[tuple[Any, Any], list[Any]] = {}  # by item and part
        self._names: dict[str, Any] = {}  # of called functions, by item
        self.next_number = 0

    def event(self, event: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Complete one event of a stream. Returns the events that are missing before it."""
        event.pop("model", None)
        kind = event.get("type")
        before = self._missing_before(kind, event)
        for one in (*before, event):
            self._number(one)
        if kind in _WITH_LOGPROBS:
            if self.is_refusal():
                _refuse(kind, event)
            elif event.get("logprobs") is None:
                event["logprobs"] = []
        elif kind == "response.function_call_arguments.done":
            event.setdefault("name", self._names.pop(event.get("item_id"), ""))  # type: ignore[arg-type]
        else:
            self._complete_parts_of(kind, event)
        return before

    def _missing_before(self, kind: Any, event: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """LiteLLM omits the event that begins a part of a summary."""
        if not word(kind).startswith("response.reasoning_summary_"):
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
            if self.is_refusal():
                _refuse_part(part)
            if isinstance(given := part.get("annotations"), list) and {} in given:  # LiteLLM empties them
                part["annotations"] = self._annotations.get(place, [])
            _complete_part(part)
        with_nulls(event, _NULLABLE_OF_EVENTS.get(word(kind), ()))

    def response(self, response: dict[str, Any]) -> None:
        """Complete a response, a whole one or one in progress."""
        response["model"] = self.model
        response.pop("provider_specific_fields", None)
        for name in _NULLABLE:
            if name not in response:
                response[name] = deepcopy(self.asked.get(name)) if name in _ASKED else None
        for name, default in _DEFAULTS.items():
            if response.get(name) is None:
                asked = self.asked.get(name)
                is_default = asked is None or (name == "service_tier" and asked == "auto")
                response[name] = deepcopy(default if is_default else asked)  # ids in it are rewritten later
        for name, default in (("reasoning", _REASONING), ("text", _TEXT)):
            given = response.get(name) or mapped(self.asked.get(name))
            response[name] = {**deepcopy(default), **given}
        if response["completed_at"] is None and response.get("status") == "completed":
            response["completed_at"] = self.now_s()
        response["tools"] = [_complete_tool(tool) for tool in response["tools"]]
        for item in objects(response["output"]):
            self._complete_item(item)
        if isinstance(response["usage"], dict):
            _complete_usage(response["usage"])

    def _complete_item(self, item: dict[str, Any]) -> None:
        complete_item(item)
        if item.get("type") == "message" and self.is_refusal():
            for part in objects(item.get("content")):
                _refuse_part(part)


def _refuse(kind: str, event: dict[str, Any]) -> None:
    """Turn an event of a text into one of a refusal."""
    event.pop("logprobs", None)
    event["type"] = kind.replace("output_text", "refusal")
    if "text" in event:
        event["refusal"] = event.pop("text")


def _refuse_part(part: dict[str, Any]) -> None:
    if part.get("type") == "output_text":
        refusal = part.get("text", "")
        part.clear()
        part.update(type="refusal", refusal=refusal)


def complete_item(item: dict[str, Any]) -> None:
    """Complete an item of an output."""
    kind = item.get("type")
    nullable = _NULLABLE_OF_ITEMS.get(word(kind), ())
    without_nulls(item, nullable)
    with_nulls(item, nullable)
    if kind == "message":
        item.setdefault("content", [])  # it has just begun
        item.setdefault("status", "completed")
    if kind == "reasoning":
        _complete_reasoning(item)
    for part in objects(item.get("content")):
        _complete_part(part)


def _complete_reasoning(item: dict[str, Any]) -> None:
    """LiteLLM puts the thoughts of other APIs here as if they were an assistant's text."""
    item.pop("role", None)
    item.setdefault("summary", [])
    parts = objects(item.get("content"))
    if any(part.get("type") == "output_text" for part in parts):
        del item["content"]
        item["summary"] = item["summary"] or [{"type": "summary_text", "text": part.get("text", "")} for part in parts]


def _complete_part(part: dict[str, Any]) -> None:
    for name in _LISTS_OF_PARTS.get(word(part.get("type")), ()):
        if part.get(name) is None:
            part[name] = []


def _complete_tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    nullable = _NULLABLE_OF_TOOLS if tool.get("type") == "function" else ()
    kept = dict(tool)
    without_nulls(kept, nullable)
    with_nulls(kept, nullable)
    return kept


def _complete_usage(usage: dict[str, Any]) -> None:
    without_null_details(usage)
    for name, figures in (
        ("input_tokens_details", ("cached_tokens", "cache_write_tokens")),
        ("output_tokens_details", ("reasoning_tokens",)),
    ):
        details = usage.setdefault(name, {})
        for figure in figures if isinstance(details, dict) else ():
            details.setdefault(figure, 0)
