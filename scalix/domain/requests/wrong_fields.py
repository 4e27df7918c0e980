"""Finds the field of a request that is not as its API has it: for a client whose request could not be translated.

Nothing is refused for it. What is wrong here may be right for a provider that is asked in the format of the request.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.requests.routes import Route
from scalix.domain.tokens.unknown_size import path_of

Wrong = tuple[str, str]
"""A field, such as `messages[0].content[1].file`, and what it must be, such as "an object"."""

# The kinds of parts: of each, the field that it must have, and the type of that.
_OPENAI_PARTS = {
    "text": ("text", str),
    "refusal": ("refusal", str),
    "image_url": ("image_url", dict | str),
    "input_audio": ("input_audio", dict),
    "file": ("file", dict),
    "video_url": ("video_url", dict),
}
_RESPONSES_PARTS: dict[str, tuple[str, Any]] = {
    "input_text": ("text", str),
    "output_text": ("text", str),
    "text": ("text", str),
    "refusal": ("refusal", str),
    "input_image": ("type", str),
    "input_file": ("type", str),
    "input_audio": ("input_audio", dict),
}
_ANTHROPIC_PARTS: dict[str, tuple[str, Any]] = {
    "text": ("text", str),
    "image": ("source", dict),
    "document": ("source", dict),
    "tool_use": ("input", dict),
    "tool_result": ("tool_use_id", str),
    "thinking": ("thinking", str),
    "redacted_thinking": ("data", str),
}
_OTHER_ANTHROPIC = frozenset({"server_tool_use", "web_search_tool_result", "search_result", "container_upload"})
_NAMED = {str: "a text", dict: "an object", list: "a list", dict | str: "an object or a text"}


def wrong_field(route: Route, body: Mapping[str, Any], unfetched: str | None = None) -> Wrong | None:
    """The first such field of `body`, `None` if there is none that can be told. `unfetched`: a URL in it that could not
    be put to the provider."""
    where = path_of(body, unfetched) if unfetched else ""
    if where:
        return where, "the data itself: this model takes no URL there"
    return next(_wrong_fields(route, body), None)


def _wrong_fields(route: Route, body: Mapping[str, Any]) -> Iterator[Wrong]:
    if route is Route.MESSAGES:
        yield from _messages(body.get("messages"), _ANTHROPIC_PARTS, _OTHER_ANTHROPIC)
        yield from _tools(body.get("tools"), "input_schema", None)
        yield from _typed(body, "", "tool_choice", dict)
    elif route is Route.CHAT:
        yield from _messages(body.get("messages"), _OPENAI_PARTS, frozenset())
        yield from _tool_messages(body.get("messages"))
        yield from _tools(body.get("tools"), "parameters", "function")
        yield from _choice(body.get("tool_choice"), "function")
        yield from _format(body.get("response_format"))
    elif route is Route.RESPONSES:
        yield from _input_items(body.get("input"))
        yield from _tools(body.get("tools"), "parameters", None)
        text = body.get("text")
        yield from _typed(text, "text.", "format", dict) if isinstance(text, dict) else ()
    else:
        name = "prompt" if route is Route.COMPLETIONS else "input"
        yield from _texts(name, body.get(name))


def _typed(holder: Any, where: str, name: str, kind: Any, *, required: bool = False) -> Iterator[Wrong]:
    value = holder.get(name)
    if not isinstance(value, kind) and (required or value is not None):
        yield f"{where}{name}", _NAMED[kind]


def _messages(messages: Any, kinds: Mapping[str, tuple[str, Any]], others: frozenset[str]) -> Iterator[Wrong]:
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            yield from _parts(f"messages[{index}].content", message.get("content"), kinds, others)
            yield from _calls(f"messages[{index}]", message)


def _parts(where: str, parts: Any, kinds: Mapping[str, tuple[str, Any]], others: frozenset[str]) -> Iterator[Wrong]:
    for index, part in enumerate(parts if isinstance(parts, list) else ()):
        if not isinstance(part, dict):
            yield f"{where}[{index}]", "an object"
            continue
        kind = str(part.get("type"))
        if kind not in others and kind not in kinds:
            yield f"{where}[{index}].type", f"one of {', '.join(kinds)}"
        elif kind in kinds:
            name, of = kinds[kind]
            yield from _typed(part, f"{where}[{index}].", name, of, required=True)


def _calls(where: str, message: Mapping[str, Any]) -> Iterator[Wrong]:
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict) and call.get("type", "function") == "function":
            yield from _typed(call, f"{where}.tool_calls[{index}].", "function", dict, required=True)
            function = call.get("function")
            if isinstance(function, dict):
                yield from _typed(function, f"{where}.tool_calls[{index}].function.", "name", str, required=True)
                yield from _arguments(f"{where}.tool_calls[{index}].function.arguments", function.get("arguments"))
    yield from _typed(message, f"{where}.", "function_call", dict)


def _arguments(where: str, arguments: Any) -> Iterator[Wrong]:
    try:
        sound = arguments is None or arguments == "" or isinstance(json.loads(arguments), dict)
    except (ValueError, TypeError, RecursionError):
        sound = False
    if not sound:
        yield where, "a JSON object, as a text"


def _tool_messages(messages: Any) -> Iterator[Wrong]:
    """Results of calls that no message before them has made."""
    made: set[str] = set()
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        if not isinstance(message, dict):
            continue
        calls = message.get("tool_calls")
        made |= {str(call.get("id")) for call in calls if isinstance(call, dict)} if isinstance(calls, list) else set()
        if message.get("role") == "tool" and str(message.get("tool_call_id")) not in made:
            yield f"messages[{index}].tool_call_id", "the id of a tool call in a message before it"


def _tools(tools: Any, schema: str, inner: str | None) -> Iterator[Wrong]:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            yield where, "an object"
            continue
        if tool.get("type") not in (None, "function", "custom") or (inner is None and tool.get("type") == "custom"):
            continue  # the provider's own
        if inner is not None:
            if not isinstance(tool.get("type"), str):
                yield f"{where}.type", "'function'"
            if tool.get("type") == "custom":
                continue
            yield from _typed(tool, f"{where}.", inner, dict, required=True)
            tool, where = tool.get(inner), f"{where}.{inner}"
        if isinstance(tool, dict):
            yield from _typed(tool, f"{where}.", "name", str, required=True)
            yield from _typed(tool, f"{where}.", schema, dict)


def _choice(choice: Any, inner: str) -> Iterator[Wrong]:
    if isinstance(choice, dict) and choice.get("type", inner) == inner:
        yield from _typed(choice, "tool_choice.", inner, dict, required=True)
        if isinstance(choice.get(inner), dict):
            yield from _typed(choice[inner], f"tool_choice.{inner}.", "name", str, required=True)


def _format(given: Any) -> Iterator[Wrong]:
    if not isinstance(given, dict):
        return
    yield from _typed(given, "response_format.", "type", str, required=True)
    if given.get("type") == "json_schema":
        yield from _typed(given, "response_format.", "json_schema", dict, required=True)
        if isinstance(given.get("json_schema"), dict):
            yield from _typed(given["json_schema"], "response_format.json_schema.", "schema", dict, required=True)


def _input_items(items: Any) -> Iterator[Wrong]:
    for index, item in enumerate(items if isinstance(items, list) else ()):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            yield where, "an object"
            continue
        kind = item.get("type", "message")
        if kind == "message":
            yield from _parts(f"{where}.content", item.get("content"), _RESPONSES_PARTS, frozenset())
        elif kind == "function_call":
            yield from _typed(item, f"{where}.", "name", str, required=True)
            yield from _arguments(f"{where}.arguments", item.get("arguments"))
        elif not isinstance(kind, str):
            yield f"{where}.type", "a text"


def _texts(name: str, value: Any) -> Iterator[Wrong]:
    """One text, or a list of them. Tokens are taken by providers of OpenAI's format only."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(item, str):
            yield (f"{name}[{index}]" if any(isinstance(one, str) for one in value) else name), "a text"
            return
