"""Repairs what a provider answers before an engine reads it: messages and deltas of OpenAI's chat format, in place, and
the bytes of Anthropic's and Gemini's formats."""

from typing import Any

import re2

from scalix.domain.answers.refusals import Refusals
from scalix.domain.json_values import objects, word

# Gemini may omit the arguments of a call of a function without parameters; LiteLLM fails then. Arguments have braces.
_GEMINIS_CALL = b'"functionCall"'
_WITHOUT_ARGUMENTS = re2.compile(rb'("functionCall"\s*:\s*{)(\s*"[^{}]*})')

# A full context window cuts an answer just as its cap does; LiteLLM knows only the latter, and would say that the
# answer is complete.
_FULL_WINDOW = b'"model_context_window_exceeded"'
_STOPPED_BY_WINDOW = re2.compile(rb'("stop_reason"\s*:\s*)' + _FULL_WINDOW)

NO_ARGUMENTS = "{}"  # OpenAI's way to say that a call has none


def mend_messages(answer: dict[str, Any], refusals: Refusals) -> bool:
    """Repair the messages of a whole answer. Returns whether one was changed."""
    changed = False
    for choice in objects(answer.get("choices")):
        message = choice.get("message")
        if isinstance(message, dict):
            flat = flatten_content(message)
            completed = choice.get("finish_reason") != "length" and complete_arguments(message)
            moved = not refusals.for_chat and refusals.mend(choice, message)
            changed = changed or flat or completed or moved
    return changed


def with_arguments(text: bytes) -> bytes:
    """Gemini's JSON with empty arguments in every call that had none."""
    return _WITHOUT_ARGUMENTS.sub(rb'\1"args":{},\2', text) if _GEMINIS_CALL in text else text


def with_known_stop_reason(raw: bytes) -> bytes:
    """A message of Anthropic's, or an event of one, with a stop reason that engines translate."""
    return bytes(_STOPPED_BY_WINDOW.sub(rb'\1"max_tokens"', raw)) if _FULL_WINDOW in raw else raw


def complete_arguments(message: dict[str, Any]) -> bool:
    """Give empty arguments to the calls of a whole message that have none, on which readers of JSON fail. Returns
    whether there was such a call."""
    changed = False
    for call in objects(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict) and function.get("arguments") in (None, ""):
            function["arguments"], changed = NO_ARGUMENTS, True
    return changed


def flatten_content(message: dict[str, Any]) -> bool:
    """Replace a list of text parts, which engines do not read, by one text. Returns whether there was such a list.
    Source: https://docs.mistral.ai/capabilities/reasoning"""
    parts = message.get("content")
    if not isinstance(parts, list) or not all(map(_is_plain, parts)):
        return False
    thoughts, texts = _texts(parts, "thinking"), _texts(parts, "text")
    message["content"] = texts or None
    if thoughts and not message.get("reasoning_content"):
        message["reasoning_content"] = thoughts
    return True


def _is_plain(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("text", "thinking") and "citations" not in part


def _texts(parts: list[Any], kind: str) -> str:
    """The joined text of the parts of one kind. A thought may itself be a list of texts."""
    found = [part.get(kind) for part in objects(parts) if part.get("type") == kind]
    return "".join(_texts(value, "text") if isinstance(value, list) else word(value) for value in found)
