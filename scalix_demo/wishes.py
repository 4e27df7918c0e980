"""What a request asks of a model beyond a text: to call a tool, to follow a schema, to reason.

The demo provider does all of these, so that clients work at the first try. It calls a tool if the request forces it or
the user's last words name it, but never after a tool's result, so that agents come to an end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import re2

from scalix_demo.sample import sample

_WORDS = re2.compile(r"[a-z]{4,}")
_NO_EFFORT = (None, "none", "minimal")


@dataclass(frozen=True, slots=True)
class Wish:
    """`json` is the answer, or the arguments of a call of `tool`."""

    tool: str | None = None
    json: str | None = None
    thinks: bool = False


def wish_of(route: str, body: dict[str, Any]) -> Wish:
    """What `body` asks for. Values of a wrong type ask for nothing."""
    thinks = _thinks(route, body)
    tool = _called(route, body)
    if tool is not None:
        return Wish(tool[0], _text(_as_object(sample(tool[1]))), thinks)
    schema = _schema(route, body)
    return Wish(None, None if schema is None else _text(sample(schema)), thinks)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _thinks(route: str, body: dict[str, Any]) -> bool:
    if route == "messages":
        return _as_object(body.get("thinking")).get("type") in ("enabled", "adaptive")
    if route == "responses":
        return _as_object(body.get("reasoning")).get("effort") not in _NO_EFFORT
    return route == "chat" and body.get("reasoning_effort") not in _NO_EFFORT


def _schema(route: str, body: dict[str, Any]) -> Any:
    holders = {
        "chat": body.get("response_format"),
        "responses": _as_object(body.get("text")).get("format"),
        "messages": _as_object(body.get("output_config")).get("format") or body.get("output_format"),
    }
    wanted = _as_object(holders.get(route))
    if wanted.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    if wanted.get("type") != "json_schema":
        return None
    inner = wanted.get("json_schema")
    return (inner if isinstance(inner, dict) else wanted).get("schema", {})


def _tools(route: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and schema of the functions that the client runs itself."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) and route in ("chat", "responses", "messages") else ():
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            schema = function.get("input_schema" if route == "messages" else "parameters")
            if isinstance(schema, dict) or tool.get("type") == "function":
                yield function["name"], schema or {"type": "object"}


def _called(route: str, body: dict[str, Any]) -> tuple[str, Any] | None:
    tools = list(_tools(route, body))
    choice = body.get("tool_choice")
    kind = _as_object(choice).get("type") if isinstance(choice, dict) else choice
    if not tools or kind == "none":
        return None
    named = _as_object(_as_object(choice).get("function", choice)).get("name")
    if isinstance(named, str):
        return next((tool for tool in tools if tool[0] == named), None)
    said = _last_words(route, body)
    meant = next((tool for tool in tools if said & set(_WORDS.findall(tool[0].lower()))), None)
    return meant or tools[0] if kind in ("required", "any") else meant


def _last_words(route: str, body: dict[str, Any]) -> set[str]:
    """The words of the last message, if it is the user's and has no tool result."""
    given = body.get("input") if route == "responses" else body.get("messages")
    last = given[-1] if isinstance(given, list) and given else given
    content = last.get("content") if isinstance(last, dict) and last.get("role") == "user" else last
    parts = content if isinstance(content, list) else [{"text": content}]
    if any(_as_object(part).get("type") == "tool_result" for part in parts):
        return set()
    texts = (_as_object(part).get("text") for part in parts)
    return {word for text in texts if isinstance(text, str) for word in _WORDS.findall(text.lower())}
