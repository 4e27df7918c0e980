"""Why a request did not get its answer: one word for what every provider says in its own way.

Everything here works on plain values and on any exception by its looks, so that it needs no LiteLLM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import re2


class ErrorClass(StrEnum):
    """The taxonomy of failures behind the gateway."""

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
    """What is done about one class of failure, and what its user is told.

    `retryable`: the same request may succeed later. `wait_s`: how long to wait before that where the provider has not
    said. `falls_back`: another model may serve the request. `cools`: says something about the model, not the request.
    """

    fault: Literal["client", "provider", "gateway"]
    retryable: bool
    wait_s: int | None
    falls_back: bool
    cools: bool
    message: str


HANDLING: Mapping[ErrorClass, Handling] = {
    ErrorClass.AUTH: Handling(
        "gateway", False, None, True, True, "The gateway can't use this model's provider. Use another model for now."
    ),
    ErrorClass.PROVIDER_QUOTA: Handling(
        "gateway", False, None, True, True, "The gateway's account at the provider is used up. Use another model."
    ),
    ErrorClass.PROVIDER_RATE_LIMIT: Handling(
        "provider", True, 5, True, True, "The provider takes no more requests for now. Try again shortly."
    ),
    ErrorClass.CONTEXT_TOO_LONG: Handling(
        "client", False, None, True, False, "The request is too long for this model. Shorten it, or use a larger model."
    ),
    ErrorClass.CONTENT_FILTER: Handling(
        "client", False, None, True, False, "The provider's content filter refused this request. Reword it."
    ),
    ErrorClass.BAD_REQUEST: Handling(
        "client", False, None, False, False, "The provider refused this request. Correct it before you send it again."
    ),
    ErrorClass.PROVIDER_DOWN: Handling(
        "provider", True, 5, True, True, "The provider could not answer. Try again shortly, or use another model."
    ),
    ErrorClass.TIMEOUT: Handling(
        "provider", True, 5, True, True, "The provider took too long. Try again shortly, or use another model."
    ),
    ErrorClass.NETWORK: Handling(
        "provider", True, 5, True, True, "The provider could not be reached. Try again shortly, or use another model."
    ),
    ErrorClass.INTERNAL: Handling(
        "gateway",
        True,
        5,
        True,
        False,
        "The gateway could not get an answer. Try again; if it stays, tell its operator.",
    ),
}

REFUSALS = frozenset({ErrorClass.CONTEXT_TOO_LONG, ErrorClass.CONTENT_FILTER, ErrorClass.BAD_REQUEST})
"""What the client can mend: the provider has judged the request."""

ACCOUNTS = frozenset({ErrorClass.AUTH, ErrorClass.PROVIDER_QUOTA})
"""What is between the operator and the provider."""

# What a status means where nothing else is said. 404: the provider has no such model, which is the configuration's.
_BY_STATUS: Mapping[int, ErrorClass] = {
    400: ErrorClass.BAD_REQUEST,
    401: ErrorClass.AUTH,
    402: ErrorClass.PROVIDER_QUOTA,
    403: ErrorClass.AUTH,
    404: ErrorClass.INTERNAL,
    405: ErrorClass.INTERNAL,
    408: ErrorClass.TIMEOUT,
    409: ErrorClass.PROVIDER_DOWN,
    413: ErrorClass.BAD_REQUEST,
    422: ErrorClass.BAD_REQUEST,
    424: ErrorClass.PROVIDER_DOWN,
    425: ErrorClass.PROVIDER_DOWN,
    429: ErrorClass.PROVIDER_RATE_LIMIT,
    451: ErrorClass.CONTENT_FILTER,
    504: ErrorClass.TIMEOUT,
    524: ErrorClass.TIMEOUT,
}
# Names of exceptions: LiteLLM's and OpenAI's, httpx's, Python's. The first name of an exception's classes that is here
# counts. Those that stand for an HTTP status and no more are not here.
_BY_NAME: Mapping[str, ErrorClass] = {
    "AuthenticationError": ErrorClass.AUTH,
    "PermissionDeniedError": ErrorClass.AUTH,
    "PaymentRequiredError": ErrorClass.PROVIDER_QUOTA,
    "RateLimitError": ErrorClass.PROVIDER_RATE_LIMIT,
    "RouterRateLimitError": ErrorClass.PROVIDER_RATE_LIMIT,
    "ContextWindowExceededError": ErrorClass.CONTEXT_TOO_LONG,
    "ContentPolicyViolationError": ErrorClass.CONTENT_FILTER,
    "RejectedRequestError": ErrorClass.CONTENT_FILTER,
    "BadRequestError": ErrorClass.BAD_REQUEST,
    "InvalidRequestError": ErrorClass.BAD_REQUEST,
    "UnprocessableEntityError": ErrorClass.BAD_REQUEST,
    "UnsupportedParamsError": ErrorClass.BAD_REQUEST,
    "ImageFetchError": ErrorClass.BAD_REQUEST,
    "ServiceUnavailableError": ErrorClass.PROVIDER_DOWN,
    "BadGatewayError": ErrorClass.PROVIDER_DOWN,
    "InternalServerError": ErrorClass.PROVIDER_DOWN,
    "APIResponseValidationError": ErrorClass.PROVIDER_DOWN,
    "MidStreamFallbackError": ErrorClass.PROVIDER_DOWN,
    "NotFoundError": ErrorClass.INTERNAL,
    "Timeout": ErrorClass.TIMEOUT,
    "APITimeoutError": ErrorClass.TIMEOUT,
    "TimeoutException": ErrorClass.TIMEOUT,
    "TimeoutError": ErrorClass.TIMEOUT,
    "APIConnectionError": ErrorClass.NETWORK,
    "TransportError": ErrorClass.NETWORK,
    "ConnectionError": ErrorClass.NETWORK,
    "gaierror": ErrorClass.NETWORK,
    "SSLError": ErrorClass.NETWORK,
}
# Codes and types that providers put beside the status, whole words of `kind`.
_BY_CODE: Mapping[str, ErrorClass] = {
    "insufficient_quota": ErrorClass.PROVIDER_QUOTA,
    "billing_hard_limit_reached": ErrorClass.PROVIDER_QUOTA,
    "billing_not_active": ErrorClass.PROVIDER_QUOTA,
    "billing_error": ErrorClass.PROVIDER_QUOTA,
    "context_length_exceeded": ErrorClass.CONTEXT_TOO_LONG,
    "string_above_max_length": ErrorClass.CONTEXT_TOO_LONG,
    "content_filter": ErrorClass.CONTENT_FILTER,
    "content_policy_violation": ErrorClass.CONTENT_FILTER,
    "responsibleaipolicyviolation": ErrorClass.CONTENT_FILTER,
    "prohibited_content": ErrorClass.CONTENT_FILTER,
    "invalid_api_key": ErrorClass.AUTH,
    "api_key_invalid": ErrorClass.AUTH,
    "authentication_error": ErrorClass.AUTH,
    "permission_error": ErrorClass.AUTH,
    "rate_limit_error": ErrorClass.PROVIDER_RATE_LIMIT,
    "rate_limit_exceeded": ErrorClass.PROVIDER_RATE_LIMIT,
    "resource_exhausted": ErrorClass.PROVIDER_RATE_LIMIT,
    "timeout_error": ErrorClass.TIMEOUT,
    "deadline_exceeded": ErrorClass.TIMEOUT,
    "overloaded_error": ErrorClass.PROVIDER_DOWN,
    "api_error": ErrorClass.PROVIDER_DOWN,
}
_MOST_READ_CHARS = 4_096  # of a message, which may echo what it was sent
# What providers say in words, where the status or the code says too little. Only for the statuses named.
_BY_WORDS: tuple[tuple[frozenset[int], Any, ErrorClass], ...] = (
    (
        frozenset({400, 403}),
        re2.compile(
            r"(?i)api key (?:is )?(?:not valid|invalid|expired|not found)|api_key_invalid|(?:in)?valid api key"
        ),
        ErrorClass.AUTH,
    ),
    (
        frozenset({400, 403, 429}),
        re2.compile(
            r"(?i)credit balance is too low|insufficient[_ ](?:balance|quota|credits|funds)|billing[_ ](?:hard|account)"
            r"|requires? (?:more|at least \S+) credits|account is not active",
        ),
        ErrorClass.PROVIDER_QUOTA,
    ),
    (
        frozenset({400, 413, 422, 500}),
        re2.compile(
            r"(?i)context_length_exceeded|maximum (?:context|prompt|input) length|context (?:window|length|limit)"
            r"|prompt is too long|too many (?:input )?tokens|(?:input|prompt) (?:token count|tokens?) .{0,40}exceed"
            r"|exceeds? the (?:model'?s )?"
            r"(?:max(?:imum)? (?:number of )?(?:(?:input|context|prompt) )?(?:tokens|length)|limit of \d+ tokens)"
            r"|input length and .?max_tokens.? exceed|reduce the length of the (?:messages|prompt|input)",
        ),
        ErrorClass.CONTEXT_TOO_LONG,
    ),
    (
        frozenset({400, 403, 422}),
        re2.compile(
            r"(?i)content[_ ](?:filter|management|policy)|content polic|safety (?:system|settings|filters?|reasons)"
            r"|responsible ?ai|prohibited[_ ]content|usage polic|was (?:flagged|blocked)|flagged (?:by|for|as)"
            r"|content exists risk|moderation",
        ),
        ErrorClass.CONTENT_FILTER,
    ),
)


def class_of_status(status: int, kind: str = "", message: str = "") -> ErrorClass:
    """The class of an HTTP error of a provider. `kind`: its codes and types, as words."""
    codes = kind.lower().split()
    by_code = next((found for code in codes if (found := _BY_CODE.get(code)) is not None), None)
    # A code says more than the words around it, unless it only repeats the status.
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
    """Whether a provider that has judged a request says something of its account only in words that the request holds
    too: it quotes what is wrong."""
    if class_of_status(status, kind) in ACCOUNTS or class_of_status(status, kind, message) not in ACCOUNTS:
        return False
    return any(status in statuses and said.search(written) for statuses, said, found in _BY_WORDS if found in ACCOUNTS)


def class_of_named(names: tuple[str, ...], status: int | None, message: str, kind: str = "") -> ErrorClass:
    """The class of an exception: `names` are those of its class and of the classes that this one is made of."""
    named = next((found for name in names if (found := _BY_NAME.get(name)) is not None), None)
    if named in (None, ErrorClass.BAD_REQUEST, ErrorClass.PROVIDER_RATE_LIMIT, ErrorClass.AUTH):
        usual = {ErrorClass.BAD_REQUEST: 400, ErrorClass.PROVIDER_RATE_LIMIT: 429, ErrorClass.AUTH: 401}
        known = status or (usual[named] if named is not None else None)
        if known is not None and known != 200:
            stated = class_of_status(known, kind, message)
            # LiteLLM gives errors of its own making statuses of the 500s, whatever they are.
            return stated if named is None or stated is not ErrorClass.PROVIDER_DOWN else named
    return named or ErrorClass.INTERNAL


def class_of_exception(error: BaseException) -> ErrorClass:
    """The class of any exception, by its looks: the names of its classes, `status_code`, `code`, `type`, `message`."""
    names = tuple(cls.__name__ for cls in type(error).__mro__ if cls not in (object, BaseException, Exception, OSError))
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        status = getattr(getattr(error, "response", None), "status_code", None)
    kind = " ".join(text for name in ("code", "type") if isinstance(text := getattr(error, name, None), str))
    message = getattr(error, "message", None)
    return class_of_named(names, status if isinstance(status, int) else None, str(message or error), kind)


def retry_after_of(error: BaseException) -> str | None:
    """The `Retry-After` header that a provider's answer came with, as it was sent: seconds, or a date."""
    for holder in (getattr(error, "response", None), error):
        for name in ("headers", "litellm_response_headers"):
            headers: Any = getattr(holder, name, None)
            value = headers.get("retry-after") or headers.get("Retry-After") if hasattr(headers, "get") else None
            if isinstance(value, str | int | float):
                return str(value)
    return None


def kind_of_body(body: object) -> str:
    """The codes and types in an error's body, as words: OpenAI's, Anthropic's, Gemini's, OpenRouter's format."""
    inner = body[0] if isinstance(body, list) and body else body
    inner = inner.get("error", inner) if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping):
        return ""
    found = [inner.get(name) for name in ("code", "type", "status")]
    for place in ("innererror", "metadata"):
        nested = inner.get(place)
        if isinstance(nested, Mapping):
            found += [nested.get("code"), nested.get("error_type")]
    details = inner.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping):
            found.append(detail.get("reason"))
    return " ".join(word for word in found if isinstance(word, str) and _is_word(word))


def _is_word(text: str) -> bool:
    return len(text) <= 64 and text.replace("_", "").replace(".", "").replace("-", "").isalnum()


def _by_words(status: int, text: str) -> ErrorClass | None:
    read = text.encode("utf-8", "replace")
    return next((found for statuses, said, found in _BY_WORDS if status in statuses and said.search(read)), None)


def _server(status: int) -> ErrorClass:
    return ErrorClass.PROVIDER_DOWN if status >= 500 else ErrorClass.INTERNAL
