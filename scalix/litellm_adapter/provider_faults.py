"""What came of a call to a provider that failed, read from its answer, or from the connection where there is none."""

from typing import Any

import aiohttp
import httpx
import orjson

from scalix.domain.failures import kind_of_body
from scalix.litellm_adapter.bounded_answers import TooLarge
from scalix.litellm_adapter.reports import seconds
from scalix.service.exchange.attempts import NO_CONNECTION, Attempt, ProviderError

_BAD_GATEWAY, _GATEWAY_TIMEOUT = 502, 504
_LONGEST_ERROR_BYTES = 4096


def _is_not_connected(error: httpx.TransportError) -> bool:
    """Whether no connection could be made. LiteLLM's aiohttp transport has the same error for one that broke, which a
    request may bring about."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)


def broken_connection(error: httpx.TransportError) -> ProviderError:
    """What came of a call that had no answer, or half of one, as if it were one."""
    if _is_not_connected(error):
        return ProviderError(_BAD_GATEWAY, "", kind=NO_CONNECTION)
    status = _GATEWAY_TIMEOUT if isinstance(error, httpx.TimeoutException) else _BAD_GATEWAY
    return ProviderError(status, "", kind="TimeoutException" if status == _GATEWAY_TIMEOUT else "TransportError")


def note_broken(attempt: Attempt, error: httpx.TransportError) -> None:
    attempt.seen.error = broken_connection(error)
    if isinstance(error, TooLarge):
        attempt.seen.answered_whole = attempt.answer_is_too_large = True


def provider_error(status: int, headers: httpx.Headers, body: bytes) -> ProviderError:
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
        seconds(headers.get("retry-after")) or retry_delay_s(inner),
        kind_of_body(answer)[:_LONGEST_ERROR_BYTES],
    )


def retry_delay_s(error: Any) -> int | None:
    """Gemini's word for a Retry-After: `{"details": [{"retryDelay": "34s"}]}`."""
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return seconds(delay[:-1])
    return None


def short(error: ProviderError, body: bytes) -> bytes:
    """An error's body as LiteLLM should have it: it echoes what the client sent, and LiteLLM looks through it again and
    again. The client is told by `error`."""
    if len(body) <= _LONGEST_ERROR_BYTES:
        return body
    inner = {"message": error.message[:_LONGEST_ERROR_BYTES], "type": error.kind, "code": error.status}
    return orjson.dumps({"error": inner})
