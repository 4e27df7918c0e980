"""Messages of a provider of OpenAI's chat format, whole or a delta, as engines read them. They are changed in place."""

from typing import Any

import re2

from scalix.domain.answers.refusals import Refusals

# Gemini's call of a function without parameters may have no arguments, where LiteLLM fails. What has some has braces.
_GEMINIS_CALL = b'"functionCall"'
_WITHOUT_ARGUMENTS = re2.compile(rb'("functionCall"\s*:\s*{)(\s*"[^{}]*})')

NO_ARGUMENTS = "{}"  # of a call, as OpenAI says it


def mend_messages(answer: dict[str, Any], refusals: Refusals) -> bool:
    """Mend the messages of a whole answer. Whether one was changed."""
    choices, changed = answer.get("choices"), False
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            flat = flatten_content(message)
            completed = choice.get("finish_reason") != "length" and complete_arguments(message)
            moved = not refusals.for_chat and refusals.mend(choice, message)
            changed = changed or flat or completed or moved
    return changed


def with_arguments(text: bytes) -> bytes:
    """JSON of Gemini's in which every call has arguments, if only none."""
    return _WITHOUT_ARGUMENTS.sub(rb'\1"args":{},\2', text) if _GEMINIS_CALL in text else text


def complete_arguments(message: dict[str, Any]) -> bool:
    """Whether a call of a whole message that was not cut had none, which readers of JSON fail on."""
    changed = False
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and function.get("arguments") in (None, ""):
            function["arguments"], changed = NO_ARGUMENTS, True
    return changed


def flatten_content(message: dict[str, Any]) -> bool:
    """A text for a list of parts, of which engines read none: https://docs.mistral.ai/capabilities/reasoning. Whether
    it was a list of such parts."""
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
    """The text of the parts of one kind, one after the other. A thought may be a list of texts."""
    found = []
    for part in parts:
        value = part.get(kind) if isinstance(part, dict) and part.get("type") == kind else None
        found.append(_texts(value, "text") if isinstance(value, list) else value if isinstance(value, str) else "")
    return "".join(found)
