"""What came of a call to a provider that failed, read from its answer or from how that broke off."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from scalix.domain.failures import kind_of_body
from scalix.service.exchange.attempts import BROKE_OFF, Attempt, ProviderError

BAD_GATEWAY = 502
LONGEST_ERROR_BYTES = 4096
BROKEN = ProviderError(BAD_GATEWAY, "", kind=BROKE_OFF)
"""An answer that broke off."""


class AnswerBroke(Exception):
    """A provider's answer ends before its end, or has nothing in it."""


class AnswerTooLarge(AnswerBroke):
    """An answer is larger than is read. It has been generated, so it costs, and would be as large once more."""


def note_broken(attempt: Attempt, error: ProviderError, *, is_too_large: bool) -> None:
    """Note that the provider's answer broke off, or was given up because of its size."""
    attempt.seen.error = error
    if is_too_large:
        attempt.seen.answered_whole = attempt.answer_is_too_large = True


def provider_error(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """An error answer, read: `{"error": {"message"}}` as most send it, or near it."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    first = answer[0] if isinstance(answer, list) and answer else answer  # Gemini's streams are lists
    inner = first.get("error", first) if isinstance(first, dict) else first
    message = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return ProviderError(
        status,
        message if isinstance(message, str) else "",
        seconds(headers.get("retry-after")) or _retry_delay_s(inner),
        kind_of_body(answer)[:LONGEST_ERROR_BYTES],
    )


def _retry_delay_s(error: Any) -> int | None:
    """Gemini's word for a Retry-After: `{"details": [{"retryDelay": "34s"}]}`."""
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return seconds(delay[:-1])
    return None


def seconds(retry_after: object) -> int | None:
    """A `Retry-After` (seconds or a date) in seconds from now, rounded up, at most a day."""
    text = str(retry_after or "").strip()
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(math.ceil(wait_s), 86_400) if 0 <= wait_s < math.inf else None


def short(error: ProviderError, body: bytes) -> bytes:
    """An error's body for an engine that looks through it again and again: it echoes what the client sent. The client
    is told by `error`."""
    if len(body) <= LONGEST_ERROR_BYTES:
        return body
    inner = {"message": error.message[:LONGEST_ERROR_BYTES], "type": error.kind, "code": error.status}
    return orjson.dumps({"error": inner})
