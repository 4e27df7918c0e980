"""Tells the requests of text at the usual speed, nearly all of them, from those with special rates."""

from collections.abc import Mapping
from typing import Any

_USUAL_SERVICE = (None, "default", "standard", "standard_only", "flex")
_OTHER_OUTPUT = ("audio", "modalities", "cache_control")
_TEXT = ("text", "input_text", "output_text", "message", "refusal", "thinking", "function_call", "function_call_output")


def has_plain_price(body: Mapping[str, Any]) -> bool:
    """Whether no rate for other content, for an hour's cache or for faster service can apply. It is `False` if in
    doubt."""
    if body.get("service_tier") not in _USUAL_SERVICE or any(body.get(name) for name in _OTHER_OUTPUT):
        return False
    if any(_has_cached(body.get(name)) for name in ("tools", "functions")):
        return False
    return all(_is_text(body.get(name)) for name in ("messages", "input", "system", "prompt"))


def _has_cached(tools: Any) -> bool:
    """Whether a tool, or a call of one, is marked for the provider's cache."""
    if not isinstance(tools, list):
        return bool(tools)
    return any(not isinstance(tool, dict) or _is_cached(tool) or _is_cached(tool.get("function")) for tool in tools)


def _is_cached(value: Any) -> bool:
    return isinstance(value, dict) and "cache_control" in value


def _is_text(value: Any) -> bool:
    if value is None or isinstance(value, str):
        return True
    return isinstance(value, list) and all(map(_is_text_item, value))


def _is_text_item(item: Any) -> bool:
    """Whether a message, a part of one, a prompt or an array of token ids is only text."""
    if isinstance(item, str | int):
        return True
    if isinstance(item, list):
        return all(isinstance(token, int) for token in item)
    if not _is_text_part(item) or _has_cached(item.get("tool_calls")):
        return False
    parts = item.get("content")
    return parts is None or isinstance(parts, str) or (isinstance(parts, list) and all(map(_is_text_part, parts)))


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type", "text") in _TEXT and "cache_control" not in part
