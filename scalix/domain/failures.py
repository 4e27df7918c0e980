"""Classifies failures: why a request got no answer, in one word, however its provider puts it.

It works on plain values, and on exceptions by their class names and attributes, so that it needs no LiteLLM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Literal, TypeVar

import re2

from scalix.domain.json_values import listed


class ErrorClass(StrEnum):
    """The classes of failures behind the gateway."""

    AUTH = "auth"  # the provider does not take our key
    PROVIDER_QUOTA = "provider_quota"  # our account there has used up what it paid for
    PROVIDER_RATE_LIMIT = "provider_rate_limit"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTER = "content_filter"
    BAD_REQUEST = "bad_request"
    PROVIDER_DOWN = "provider_down"
    TIMEOUT = "timeout"
    NETWORK = "network"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Handling:
    """How the gateway handles one class of failure, and what its user is told.

    `fault`: whose it is. `retryable`: the same request may succeed later. `falls_back`: another model may serve the
    request. `cools`: it counts for the model's cooldown, since it says something about the model and not the request.
    """

    fault: Literal["client", "provider", "gateway"]
    message: str
    retryable: bool = False
    falls_back: bool = True
    cools: bool = False

    @property
    def wait_s(self) -> int | None:
        """How many seconds to wait before the next try if the provider has not said; `None` if a retry is useless."""
        return 5 if self.retryable else None


_client = partial(Handling, "client")
_provider = partial(Handling, "provider", retryable=True, cools=True)
_account = partial(Handling, "gateway", cools=True)
HANDLING: Mapping[ErrorClass, Handling] = {
    ErrorClass.AUTH: _account("The gateway can't use this model's provider. Use another model for now."),
    ErrorClass.PROVIDER_QUOTA: _account("The gateway's account at the provider is used up. Use another model."),
    ErrorClass.PROVIDER_RATE_LIMIT: _provider("The provider takes no more requests for now. Try again shortly."),
    ErrorClass.CONTEXT_TOO_LONG: _client("The request is too long for this model. Shorten it, or use a larger model."),
    ErrorClass.CONTENT_FILTER: _client("The provider's content filter refused this request. Reword it."),
    ErrorClass.BAD_REQUEST: _client(
        "The provider refused this request. Correct it before you send it again.", falls_back=False
    ),
    ErrorClass.PROVIDER_DOWN: _provider("The provider could not answer. Try again shortly, or use another model."),
    ErrorClass.TIMEOUT: _provider("The provider took too long. Try again shortly, or use another model."),
    ErrorClass.NETWORK: _provider("The provider could not be reached. Try again shortly, or use another model."),
    ErrorClass.INTERNAL: Handling(
        "gateway", "The gateway could not get an answer. Try again; if it stays, tell its operator.", retryable=True
    ),
}

REFUSALS = frozenset({ErrorClass.CONTEXT_TOO_LONG, ErrorClass.CONTENT_FILTER, ErrorClass.BAD_REQUEST})
"""Failures that the client can mend: the provider has judged the request."""

ACCOUNTS = frozenset({ErrorClass.AUTH, ErrorClass.PROVIDER_QUOTA})
"""Failures between the operator and the provider."""

K = TypeVar("K")


def _class_by(signs: Mapping[ErrorClass, tuple[K, ...]]) -> Mapping[K, ErrorClass]:
    return {sign: error_class for error_class, of_class in signs.items() for sign in of_class}


# The class of a status, where nothing else is known. 404: the provider has no such model, a mistake in our config.
_BY_STATUS = _class_by(
    {
        ErrorClass.AUTH: (401, 403),
        ErrorClass.PROVIDER_QUOTA: (402,),
        ErrorClass.PROVIDER_RATE_LIMIT: (429,),
        ErrorClass.CONTENT_FILTER: (451,),
        ErrorClass.BAD_REQUEST: (400, 413, 422),
        ErrorClass.PROVIDER_DOWN: (409, 424, 425),
        ErrorClass.TIMEOUT: (408, 504, 524),
        ErrorClass.INTERNAL: (404, 405),
    }
)
# Names of exceptions of LiteLLM, OpenAI, httpx and Python. Among an exception's classes the first one that is listed
# here counts. Classes that stand for an HTTP status and nothing else are left out.
_BY_NAME = _class_by(
    {
        ErrorClass.AUTH: ("AuthenticationError", "PermissionDeniedError"),
        ErrorClass.PROVIDER_QUOTA: ("PaymentRequiredError",),
        ErrorClass.PROVIDER_RATE_LIMIT: ("RateLimitError", "RouterRateLimitError"),
        ErrorClass.CONTEXT_TOO_LONG: ("ContextWindowExceededError",),
        ErrorClass.CONTENT_FILTER: ("ContentPolicyViolationError", "RejectedRequestError"),
        ErrorClass.BAD_REQUEST: (
            *("BadRequestError", "InvalidRequestError", "UnprocessableEntityError", "UnsupportedParamsError"),
            "ImageFetchError",
        ),
        ErrorClass.PROVIDER_DOWN: (
            *("ServiceUnavailableError", "BadGatewayError", "InternalServerError", "MidStreamFallbackError"),
            "APIResponseValidationError",
        ),
        ErrorClass.TIMEOUT: ("Timeout", "APITimeoutError", "TimeoutException", "TimeoutError"),
        ErrorClass.NETWORK: ("APIConnectionError", "TransportError", "ConnectionError", "gaierror", "SSLError"),
        ErrorClass.INTERNAL: ("NotFoundError",),
    }
)
# Codes and types that providers send beside the status, as whole words of `kind`.
_BY_CODE = _class_by(
    {
        ErrorClass.AUTH: ("invalid_api_key", "api_key_invalid", "authentication_error", "permission_error"),
        ErrorClass.PROVIDER_QUOTA: (
            *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"),
        ),
        ErrorClass.PROVIDER_RATE_LIMIT: ("rate_limit_error", "rate_limit_exceeded", "resource_exhausted"),
        ErrorClass.CONTEXT_TOO_LONG: ("context_length_exceeded", "string_above_max_length"),
        ErrorClass.CONTENT_FILTER: (
            *("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "prohibited_content"),
        ),
        ErrorClass.PROVIDER_DOWN: ("overloaded_error", "api_error"),
        ErrorClass.TIMEOUT: ("timeout_error", "deadline_exceeded"),
    }
)
_MOST_READ_CHARS = 4_096  # of a message, which may echo the whole request
# Words in messages, for the listed statuses, where status and code say too little.
_BY_WORDS: tuple[tuple[ErrorClass, tuple[int, ...], Any], ...] = tuple(
    (error_class, statuses, re2.compile("(?i)" + words))
    for error_class, statuses, words in (
        (
            ErrorClass.AUTH,
            (400, 403),
            r"api key (?:is )?(?:not valid|invalid|expired|not found)|api_key_invalid|(?:in)?valid api key",
        ),
        (
            ErrorClass.PROVIDER_QUOTA,
            (400, 403, 429),
            r"credit balance is too low|insufficient[_ ](?:balance|quota|credits|funds)|billing[_ ](?:hard|account)"
            r"|requires? (?:more|at least \S+) credits|account is not active",
        ),
        (
            ErrorClass.CONTEXT_TOO_LONG,
            (400, 413, 422, 500),
            r"context_length_exceeded|maximum (?:context|prompt|input) length|context (?:window|length|limit)"
            r"|prompt is too long|too many (?:input )?tokens|(?:input|prompt) (?:token count|tokens?) .{0,40}exceed"
            r"|exceeds? the (?:model'?s )?"
            r"(?:max(?:imum)? (?:number of )?(?:(?:input|context|prompt) )?(?:tokens|length)|limit of \d+ tokens)"
            r"|input length and .?max_tokens.? exceed|reduce the length of the (?:messages|prompt|input)",
        ),
        (
            ErrorClass.CONTENT_FILTER,
            (400, 403, 422),
            r"content[_ ](?:filter|management|policy)|content polic|safety (?:system|settings|filters?|reasons)"
            r"|responsible ?ai|prohibited[_ ]content|usage polic|was (?:flagged|blocked)|flagged (?:by|for|as)"
            r"|content exists risk|moderation",
        ),
    )
)


def class_of_status(status: int, kind: str = "", message: str = "") -> ErrorClass:
    """The class of a provider's HTTP error. `kind` holds its codes and types, separated by blanks."""
    codes = kind.lower().split()
    by_code = next((found for code in codes if (found := _BY_CODE.get(code)) is not None), None)
    # A code says more than the message, unless it only repeats the status.
    if by_code in (ErrorClass.PROVIDER_QUOTA, ErrorClass.CONTEXT_TOO_LONG, ErrorClass.CONTENT_FILTER):
        return by_code
    by_words = _by_words(status, f"{kind} {message[:_MOST_READ_CHARS]}")
    if by_words is not None:
        return by_words
    if status in _BY_STATUS and status not in (400, 413, 422):
        return _BY_STATUS[status]
    if status < 500 and by_code in (ErrorClass.PROVIDER_DOWN, ErrorClass.TIMEOUT):
        by_code = None
    return by_code or _BY_STATUS.get(status) or (ErrorClass.BAD_REQUEST if 400 < status < 500 else _server(status))


def is_echo(status: int, kind: str, message: str, written: bytes) -> bool:
    """Whether an error only looks like one of our account, because its message quotes the request `written`, which
    holds such words."""
    if class_of_status(status, kind) in ACCOUNTS or class_of_status(status, kind, message) not in ACCOUNTS:
        return False
    return any(status in statuses and said.search(written) for found, statuses, said in _BY_WORDS if found in ACCOUNTS)


def class_of_named(names: tuple[str, ...], status: int | None, message: str, kind: str = "") -> ErrorClass:
    """The class of an exception. `names` are those of its class and of its base classes, in that order."""
    named = next((found for name in names if (found := _BY_NAME.get(name)) is not None), None)
    if named in (None, ErrorClass.BAD_REQUEST, ErrorClass.PROVIDER_RATE_LIMIT, ErrorClass.AUTH):
        usual = {ErrorClass.BAD_REQUEST: 400, ErrorClass.PROVIDER_RATE_LIMIT: 429, ErrorClass.AUTH: 401}
        known = status or (usual[named] if named is not None else None)
        if known is not None and known != 200:
            stated = class_of_status(known, kind, message)
            # LiteLLM gives its own errors a status of 5xx, whatever they are.
            return stated if named is None or stated is not ErrorClass.PROVIDER_DOWN else named
    return named or ErrorClass.INTERNAL


def class_of_exception(error: BaseException) -> ErrorClass:
    """The class of any exception, by the names of its classes and by `status_code`, `code`, `type` and `message`."""
    names = tuple(cls.__name__ for cls in type(error).__mro__ if cls not in (object, BaseException, Exception, OSError))
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        status = getattr(getattr(error, "response", None), "status_code", None)
    kind = " ".join(text for name in ("code", "type") if isinstance(text := getattr(error, name, None), str))
    message = getattr(error, "message", None)
    return class_of_named(names, status if isinstance(status, int) else None, str(message or error), kind)


def retry_after_of(error: BaseException) -> str | None:
    """The `Retry-After` header of a provider's answer as it was sent, seconds or a date; `None` if there is none."""
    for holder in (getattr(error, "response", None), error):
        for name in ("headers", "litellm_response_headers"):
            headers: Any = getattr(holder, name, None)
            value = headers.get("retry-after") or headers.get("Retry-After") if hasattr(headers, "get") else None
            if isinstance(value, str | int | float):
                return str(value)
    return None


def kind_of_body(body: object) -> str:
    """The codes and types in an error's body, separated by blanks. Reads the formats of OpenAI, Anthropic, Gemini and
    OpenRouter."""
    inner = body[0] if isinstance(body, list) and body else body
    inner = inner.get("error", inner) if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping):
        return ""
    found = [inner.get(name) for name in ("code", "type", "status")]
    nested = [one for name in ("innererror", "metadata") if isinstance(one := inner.get(name), Mapping)]
    found += [one.get(name) for one in nested for name in ("code", "error_type")]
    found += [detail.get("reason") for detail in listed(inner.get("details")) if isinstance(detail, Mapping)]
    return " ".join(word for word in found if isinstance(word, str) and _is_word(word))


def _is_word(text: str) -> bool:
    return len(text) <= 64 and text.replace("_", "").replace(".", "").replace("-", "").isalnum()


def _by_words(status: int, text: str) -> ErrorClass | None:
    read = text.encode("utf-8", "replace")
    return next((found for found, statuses, said in _BY_WORDS if status in statuses and said.search(read)), None)


def _server(status: int) -> ErrorClass:
    return ErrorClass.PROVIDER_DOWN if status >= 500 else ErrorClass.INTERNAL
