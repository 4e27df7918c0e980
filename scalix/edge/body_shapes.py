"""The JSON types of body fields, as far as every provider agrees on them.

LiteLLM fails within itself at a field of another type, which would look like a failure of the provider and count
against it. What is finer than a type is the provider's business.
"""

from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.output_cap import MAX_PROMPTS

LONGEST_NAME = 4_096  # of an id, or one of a few words: what is wrong with it is told with it

_NUMBERS = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"}
)
_WHOLE = frozenset({"seed", "top_logprobs", "dimensions", "max_tool_calls"})
_TEXTS = frozenset(
    {
        *("user", "service_tier", "reasoning_effort", "verbosity", "suffix", "safety_identifier", "prompt_cache_key"),
        *("previous_response_id", "truncation", "encoding_format", "prompt_cache_retention"),
    }
)
_OBJECTS = frozenset(
    {
        *("response_format", "logit_bias", "metadata", "stream_options", "reasoning", "thinking", "audio", "text"),
        *("prediction", "web_search_options", "output_config", "output_format"),
    }
)
_LISTS_OF_OBJECTS = frozenset({"tools", "functions", "mcp_servers"})
_LISTS_OF_TEXTS = frozenset({"stop_sequences", "modalities", "include"})
_FLAGS = frozenset({"store", "parallel_tool_calls", "echo", "background"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def check_shapes(route: Route, body: Mapping[str, Any]) -> None:
    """Raise `BadRequest` for the first field of a type that no provider takes. `null` stands for an absent field."""
    _check_content(route, body)
    for name, value in body.items():
        if value is not None and (expected := _expected(name, value)):
            raise BadRequest(f"'{name}' must be {expected}.", param=name)


def _expected(name: str, value: Any) -> str | None:
    """What `name` must be, if `value` is something else."""
    if name in _NUMBERS:
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    if name in _WHOLE:
        return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if name in _TEXTS:
        if isinstance(value, str) and len(value) > LONGEST_NAME and name != "suffix":
            return f"a text of at most {LONGEST_NAME} characters"
        return None if isinstance(value, str) else "a text"
    if name in _OBJECTS:
        return None if isinstance(value, dict) else "an object"
    if name in _LISTS_OF_OBJECTS:
        return None if _is_list_of(dict, value) else "a list of objects"
    if name in _LISTS_OF_TEXTS:
        return None if _is_list_of(str, value) else "a list of texts"
    if name in _FLAGS:
        return None if isinstance(value, bool) else "true or false"
    if name == "stop":
        return None if isinstance(value, str) or _is_list_of(str, value) else "a text or a list of texts"
    if name == "tool_choice":
        return None if isinstance(value, str | dict) else "a text or an object"
    if name in ("system", "instructions"):
        return None if isinstance(value, str) or _is_list_of(dict, value) else "a text or a list of objects"
    return None


def _check_content(route: Route, body: Mapping[str, Any]) -> None:
    name = route.row.content
    value = body.get(name)
    if name == "messages":
        _check_messages(value)
        return
    if route is Route.RESPONSES and value is None and body.get("prompt") is not None:
        return  # a prompt that the provider keeps
    if (
        not route.row.generates
        and isinstance(value, list)
        and len(value) > MAX_PROMPTS
        and not isinstance(value[0], int)
    ):
        raise BadRequest(f"'{name}' may hold at most {MAX_PROMPTS} texts, not {len(value)}.", param=name)
    items = dict if route.row.is_chat else str | int | list
    if isinstance(value, str) or (value and _is_list_of(items, value)):
        return
    kind = "messages or other input items" if route.row.is_chat else "texts"
    raise BadRequest(f"'{name}' must be a text or a list of {kind}.", param=name)


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list of at least one message.", param="messages")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BadRequest(f"'{where}' must be an object.", param=where)
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in _ROLES:
            raise BadRequest(f"'{where}.role' must be one of {', '.join(sorted(_ROLES))}.", param=f"{where}.role")
        if isinstance(content, list):
            if not _is_list_of(dict | str, content):
                raise BadRequest(f"'{where}.content' must hold objects only.", param=f"{where}.content")
            _check_parts(f"{where}.content", content)
        elif content is not None and not isinstance(content, str):
            raise BadRequest(f"'{where}.content' must be a text or a list of parts.", param=f"{where}.content")
        if role == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise BadRequest(f"'{where}.tool_call_id' is missing.", param=f"{where}.tool_call_id")
        calls = message.get("tool_calls")
        if calls is not None and not _is_list_of(dict, calls):
            raise BadRequest(f"'{where}.tool_calls' must be a list of objects.", param=f"{where}.tool_calls")


def _check_parts(where: str, parts: list[Any]) -> None:
    for index, part in enumerate(parts):
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        if not isinstance(kind, str):
            raise BadRequest(f"'{where}[{index}].type' must be a text.", param=f"{where}[{index}].type")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise BadRequest(f"'{where}[{index}].text' must be a text.", param=f"{where}[{index}].text")
        if kind == "image_url" and not isinstance(part.get("image_url"), str | dict):
            name = f"{where}[{index}].image_url"
            raise BadRequest(f"'{name}' must be a text or an object.", param=name)


def _is_list_of(kind: Any, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)
