"""Failures that a provider hides in an answer of status 200: an error, or nothing at all."""

from typing import Any

from scalix.domain.answers.sound_usage import sound_usage
from scalix.domain.tokens.usage_reading import read_usage

BAD_GATEWAY = 502
_ANSWER_PARTS = ("choices", "content", "output", "data", "candidates")
_FAILED = "response.failed"


def failure_status(answer: object) -> int | None:
    """The HTTP status that a 200 with this body should have had: of an error, or of an answer with nothing in it.

    `None` for a proper answer.
    """
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    has_failed = answer.get("status") == "failed" and answer.get("object") == "response"  # whatever it has said
    is_error = answer.get("type") == "error" or has_failed
    if is_error or (error and not any(answer.get(part) for part in _ANSWER_PARTS)):
        code = error.get("code") if isinstance(error, dict) else None
        return code if isinstance(code, int) and 400 <= code < 600 else BAD_GATEWAY
    empty = any(answer.get(part) == [] for part in _ANSWER_PARTS) and not any(answer.get(p) for p in _ANSWER_PARTS)
    if not empty or answer.get("status") == "incomplete":
        return None
    # A model may have nothing to say, or only thoughts that nobody gets to see; it has been at work then.
    usage = read_usage(sound_usage(answer.get("usage") or answer.get("usageMetadata")))
    return None if usage is not None and usage.completion_tokens else BAD_GATEWAY


def failure_in_event(data: dict[str, Any] | None) -> tuple[int, dict[str, Any]] | None:
    """The same for the data of a server-sent event, with the error as the body of an error answer."""
    if not data:
        return None
    status: int | None
    if data.get("type") == _FAILED:
        status, inner = BAD_GATEWAY, data.get("response")
    elif data.get("type") == "error" or data.get("error"):
        status, inner = failure_status(data), data
    else:
        return None
    error = inner.get("error") if isinstance(inner, dict) else None
    return None if status is None else (status, {"error": error if isinstance(error, dict | str) else data})
