"""Errors as HTTP answers, in two shapes: OpenAI's, and Anthropic's on `/v1/messages`."""

from functools import lru_cache
from typing import Any

import orjson

from scalix.domain.error_statuses import ANSWERS, status_of
from scalix.domain.errors import GatewayError, MethodNotAllowed, NoWebSockets, ProviderRefused

_TOO_LONG = "prompt is too long"


def error_object(error: GatewayError) -> dict[str, Any]:
    """OpenAI's `error` object, with our details under `scalix`."""
    body: dict[str, Any] = {
        "message": error.message,
        "type": ANSWERS[error.code][1],
        "param": error.param,
        "code": error.code,
    }
    if error.details:
        body["scalix"] = error.details
    return body


def error_body(error: GatewayError, *, anthropic: bool = False) -> bytes:
    """The body of an error answer."""
    if not anthropic:
        return orjson.dumps({"error": error_object(error)})
    inner = error_object(error)
    inner["type"] = ANSWERS[error.code][2]
    if error.code == "context_length_exceeded" and _TOO_LONG not in error.message:
        inner["message"] = f"{_TOO_LONG}: {error.message}"  # agents of Anthropic's know it by these words
    return orjson.dumps({"type": "error", "error": inner})


Answered = tuple[int, bytes, list[tuple[bytes, bytes]]]


def is_always_alike(error: GatewayError) -> bool:
    """Whether its answer says nothing of the moment or the caller, so that the same words have the same answer."""
    tells = error.details or error.windows or error.tier is not None or error.retry_after_s is not None
    return not tells and not isinstance(error, MethodNotAllowed | ProviderRefused)


def plain_answer(error: GatewayError, *, anthropic: bool) -> Answered:
    """Status, body and headers of a plain error; made once for the same words."""
    return _plain_answer(type(error), error.message, error.param, anthropic)  # type: ignore[arg-type]  # a class has a hash


@lru_cache(maxsize=256)
def _plain_answer(kind: type[GatewayError], message: str, param: str | None, anthropic: bool) -> Answered:
    error = kind(message, param=param)
    return status_of(error), error_body(error, anthropic=anthropic), error_headers(error)


def error_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    """Headers that tell clients whether and when to try again."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if status_of(error) == 429 or error.code == "answer_untranslatable":
        headers.append((b"x-should-retry", b"true" if error.code == "quota_reserved" else b"false"))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allow).encode()))
    if isinstance(error, NoWebSockets):
        headers.append((b"upgrade", b"HTTP/1.1"))  # with 426 there has to be one
    if error.code == "invalid_api_key":
        headers.append((b"www-authenticate", b'Bearer realm="scalix"'))
    return headers
