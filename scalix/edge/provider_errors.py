"""What a client may read of a failure behind the gateway: what concerns its own request, and no secret."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import re2

from scalix.domain.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    ProviderRefused,
)
from scalix.domain.failures import (
    ACCOUNTS,
    HANDLING,
    REFUSALS,
    ErrorClass,
    class_of_status,
    is_echo,
    kind_of_body,
)
from scalix.domain.limits.quota import Outcome
from scalix.domain.redaction.foreign_texts import without_secrets
from scalix.edge.failure_texts import provider_failed, too_large, untranslated
from scalix.service.exchange.attempts import NO_CONNECTION, Failure
from scalix.service.exchange.exchanges import Exchange

log = logging.getLogger("scalix.edge")

# Statuses by which a provider says that the request itself is wrong.
_JUDGED = frozenset({400, 413, 422})
# How OpenAI answers one that can never fit into a minute's tokens and Anthropic one that is longer than our account may
# send, Gemini one with a file that is somebody else's, and OpenRouter one whose prompt or longest answer is too dear.
_OF_ONE_REQUEST = {
    402: re2.compile(r"(?i)fewer max_tokens|tokens limit exceeded"),
    403: re2.compile(r"(?i)permission to access the file"),
    429: re2.compile(r"(?i)request too large|long context requests"),
}
# By these a provider speaks of our account, whatever was asked.
_OF_OUR_ACCOUNT = frozenset({401, 402})
# By this too, if it says of what kind the fault is: a firewall in front of it does not, and refuses words in a prompt.
_FORBIDDEN, _OF_THE_REQUEST = 403, "invalid_request_error"
_TOO_MANY = 429
# OpenAI's, by which agents know that they have to shorten what they send.
_CODES = {ErrorClass.CONTEXT_TOO_LONG: "context_length_exceeded", ErrorClass.CONTENT_FILTER: "content_filter"}
_UNSUPPORTED = "UnsupportedParamsError"
_OURS = ACCOUNTS | {ErrorClass.PROVIDER_RATE_LIMIT, ErrorClass.TIMEOUT}
HINTS = {
    ErrorClass.CONTEXT_TOO_LONG: "Shorten the request, or use a model with a larger context window.",
    ErrorClass.CONTENT_FILTER: "Its content filter has judged so; reword the request.",
}

# What LiteLLM writes around a provider's message.
_LITELLM_PREFIX = re2.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)\b[:\s-]*(?:\w+(?:Exception|Error)\s*-\s*)?)+")
_LITELLM_TAIL = re2.compile(
    r"LiteLLM: model group|Received Model Group=|Available Model Group|No fallback model|LiteLLM Retried"
    r"|\bmodel=\S+ context_window_fallbacks|To drop (?:it|these|unsupported)|If you want to use these params"
)
_BY_A_HOOK = "HTTPException"  # by which guardrails and other hooks of LiteLLM refuse
# Of a message that is longer than this nothing later can be shown, whatever is taken out before it.
_MOST_READ_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Failed:
    """One model's failed attempt. `retry_after_s` is what its provider asks for; `blames_model`: it was asked and
    failed, so who asks it again now would probably fare no better; `is_everybodys`: nor would anybody else. A client
    can write what its own 400 says, so such an answer blames none. `is_last`: no other model may take over.
    `asks_anew`: it was asked by a way that its server does not have, and may be asked by another.
    """

    outcome: Outcome
    error: GatewayError
    error_class: ErrorClass
    retry_after_s: int | None = None
    blames_model: bool = False
    is_everybodys: bool = False
    is_last: bool = False
    asks_anew: bool = False


def failed(exchange: Exchange, model: str, status: int, body: bytes = b"") -> Failed:
    """What has become of an attempt at `model`. `status` and `body` are LiteLLM's own answer."""
    if exchange.attempt.seen.answered_whole:
        error = too_large(model) if exchange.attempt.answer_is_too_large else untranslated(model)
        return Failed(Outcome.PROVIDER_BROKE, error, ErrorClass.INTERNAL, is_last=True)
    error_class = class_of(exchange, status, body)
    failure = exchange.attempt.failure
    is_by_content = failure is not None and failure.by_content
    if not exchange.attempt.asked and (is_by_content or not exchange.attempt.unseen):
        return _never_asked(exchange, model, error_class, body)
    retry_after_s = _retry_after_s(exchange)
    status = _status(exchange, status)
    if error_class in REFUSALS:
        hint = f" {HINTS[error_class]}" if error_class in HINTS else ""
        message = f"The provider of '{model}' refused this request: {_reason(exchange, body)}{hint}"
        refused = ProviderRefused(message, details={"category": str(error_class)})
        if error_class in _CODES:
            refused.details["code"] = refused.code
            refused.code = _CODES[error_class]
        refused.status = status if status in _JUDGED else 400
        return Failed(Outcome.PROVIDER_REFUSED, refused, error_class)
    blames_model = HANDLING[error_class].cools and status not in _JUDGED and not _is_of_one_request(exchange)
    error = provider_failed(model, error_class, retry_after_s)
    return Failed(
        Outcome.PROVIDER_FAILED,
        error,
        error_class,
        retry_after_s,
        blames_model,
        is_everybodys=blames_model and _is_everybodys(exchange, retry_after_s),
        asks_anew=exchange.attempt.asks_anew,
    )


def _is_everybodys(exchange: Exchange, retry_after_s: int | None) -> bool:
    """Whether a provider that was asked and failed would have failed whoever asks."""
    seen = exchange.attempt.seen.error
    return seen is not None and (
        seen.kind == NO_CONNECTION
        or seen.status in _OF_OUR_ACCOUNT
        or (seen.status == _FORBIDDEN and seen.kind not in ("", _OF_THE_REQUEST))
        or (seen.status == _TOO_MANY and bool(retry_after_s))
    )


def _never_asked(exchange: Exchange, model: str, error_class: ErrorClass, body: bytes) -> Failed:
    """The request did not leave the gateway: it can't be put to the provider, or the fault is ours."""
    is_first = not exchange.tried
    failure = exchange.attempt.failure
    at = f"{failure.kind} at {failure.place}" if failure is not None else "it has not said of what"
    call = exchange.admission.call
    log.warning("request %s: LiteLLM failed before the provider of %s was asked: %s", call.request_id, model, at)
    if failure is not None and failure.kind == _UNSUPPORTED and (named := call.named_field(failure.message)):
        return _unsupported(model, named, failure, is_last=is_first)
    wrong = call.wrong_field(exchange.attempt.unfetched)
    if wrong is None and failure is not None and failure.kind == _BY_A_HOOK and failure.by_content:
        return _refused_by_a_hook(failure)
    field = wrong[0] if wrong is not None else call.odd_field()
    is_ours = error_class in _OURS if failure is None else not failure.by_content
    is_ours = is_ours and exchange.attempt.unfetched is None
    if is_ours or field is None:
        message = "The gateway could not ask the provider. Nothing was charged. Tell its operator the request id."
        error: GatewayError = InternalError(message, details={"category": str(ErrorClass.INTERNAL)})
        return Failed(Outcome.PROVIDER_FAILED, error, ErrorClass.INTERNAL, is_last=is_first)
    if wrong is not None:
        reason = f"'{field}' must be {wrong[1]}."
    else:
        # What LiteLLM says of a mistake that it knows is about the request; of another, about its own code.
        reason = _reason(exchange, body) if error_class in REFUSALS else f"Look at '{field}' first."
    message = (
        f"This request can't be put into the form that the provider of '{model}' takes, and was not sent. {reason}"
    )
    # What a model does not know, whoever asks, costs nothing.
    is_known = failure is not None and failure.kind == _UNSUPPORTED
    return _not_sent(message, field, is_charged=not is_known, is_last=is_first)


def _not_sent(message: str, field: str | None, *, is_charged: bool, is_last: bool) -> Failed:
    refused = BadRequest(message, param=field, details={"category": str(ErrorClass.BAD_REQUEST)})
    outcome = Outcome.PROVIDER_REFUSED if is_charged else Outcome.PROVIDER_FAILED
    return Failed(outcome, refused, ErrorClass.BAD_REQUEST, is_last=is_last)


def _refused_by_a_hook(failure: Failure) -> Failed:
    """A guardrail of the operator's own has said no, in words that are meant for the client."""
    reason = without_secrets(failure.message.removeprefix(f"{failure.status}: "))[:_MOST_READ_CHARS].rstrip(" .")
    message = f"This request was refused by a rule of this gateway, and was not sent. {reason}."
    return _not_sent(message, None, is_charged=True, is_last=True)


def _unsupported(model: str, field: str, failure: Failure, *, is_last: bool) -> Failed:
    """The model knows a field, but not with every value. As where it does not know it at all, that is free."""
    reason = without_secrets(_of_the_provider(failure.message)).rstrip(" .")
    message = f"'{model}' does not take '{field}' as it is here. {reason}. Leave it out, or use another model."
    return _not_sent(message, field, is_charged=False, is_last=is_last)


def class_of(exchange: Exchange, status: int, body: bytes = b"") -> ErrorClass:
    """The class of the last try's failure: as the provider said it, else as LiteLLM has it."""
    attempt = exchange.attempt
    seen, failure = attempt.seen.error, attempt.failure
    if seen is not None:
        is_quoted = is_echo(seen.status, seen.kind, seen.message, attempt.written)
        return (replace(seen, message="") if is_quoted else seen).error_class
    if failure is not None:
        is_quoted = failure.status in _JUDGED and is_echo(failure.status, "", failure.message, attempt.written)
        return ErrorClass.BAD_REQUEST if is_quoted else failure.error_class
    answer = _parsed(body)
    return class_of_status(status, kind_of_body(answer), _message_in(answer)) if status else ErrorClass.INTERNAL


def _status(exchange: Exchange, status: int) -> int:
    """The status of the last try: as the provider sent it, else as LiteLLM has it."""
    known = exchange.attempt.seen.error or exchange.attempt.failure
    return known.status or status if known is not None else status


def _is_of_one_request(exchange: Exchange) -> bool:
    """Whether the provider has refused what the client sent, under a status that says something else."""
    seen = exchange.attempt.seen.error
    return (
        seen is not None and seen.status in _OF_ONE_REQUEST and bool(_OF_ONE_REQUEST[seen.status].search(seen.message))
    )


def _retry_after_s(exchange: Exchange) -> int | None:
    """The longest wait that the provider has asked for."""
    stated = [failure.retry_after_s for failure in (exchange.attempt.seen.error, *exchange.attempt.failures) if failure]
    return max((wait for wait in stated if wait is not None), default=None)


def final_error(exchange: Exchange, first: Failed, failures: Sequence[Failed]) -> GatewayError:
    """What the client is told when every model that may serve has failed: why the first one did."""
    others = len(exchange.tried) - 1
    if failures[-1].outcome is Outcome.PROVIDER_BROKE:
        return failures[-1].error
    if first.outcome is Outcome.PROVIDER_REFUSED or others < 1:
        return first.error
    return provider_failed(exchange.admission.model, first.error_class, first.retry_after_s, others=others)


def _reason(exchange: Exchange, body: bytes) -> str:
    return without_secrets(stated_reason(exchange, body)) or "it gave no reason."


def stated_reason(exchange: Exchange, body: bytes = b"") -> str:
    """What the provider has said of the attempt's failure, as it came: secrets and words of the request may be in it.
    `body` is LiteLLM's own answer."""
    seen, failure = exchange.attempt.seen.error, exchange.attempt.failure
    message = _message_in(_parsed(body)) if failure is None else failure.message
    return _of_the_provider(message) if seen is None else seen.message


def _of_the_provider(message: str) -> str:
    """An exception's message of LiteLLM's, without what LiteLLM itself has put before and after the provider's."""
    message = message[:_MOST_READ_CHARS].encode("utf-8", "replace").decode()
    prefix, tail = _LITELLM_PREFIX.match(message), _LITELLM_TAIL.search(message)
    return message[prefix.end() if prefix else 0 : tail.start() if tail else None]


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _message_in(answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else ""
