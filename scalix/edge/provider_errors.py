"""What a client may read of a failure behind the gateway: what concerns its own request, and no secret."""

import re

import orjson

from scalix.domain.errors import GatewayError, ProviderFailed, ProviderRefused
from scalix.domain.quota import Outcome
from scalix.domain.routes import Route
from scalix.edge.errors import error_body
from scalix.service.exchanges import Exchange

RETRY_AFTER_S = 5
MOST_MESSAGE_CHARS = 400
# Statuses by which a provider says that the request itself is wrong. All others are the provider's or our trouble.
_CLIENTS_FAULT = frozenset({400, 413, 422})

_LITELLM_PREFIX = re.compile(r"^(?:litellm\.)?\w*(?:Error|Exception)\b[:\s-]*(?:\w+(?:Exception|Error)\s*-\s*)?")
_LITELLM_TAIL = re.compile(
    r"\s*(?:LiteLLM: model group|Received Model Group=|Available Model Group|No fallback model|LiteLLM Retried|"
    r"\bmodel=\S+ context_window_fallbacks).*",
    re.S,
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+|\S+@\S+", re.I)
_SECRET = re.compile(
    r"\b(?:sk|pk|rk|org|proj|acct|xai|gsk)[-_][-\w*.]{6,}"
    r"|(?<=\bkey|\bapi)[-_ :=]+(?=\S*[\d*])[-\w*.]{6,}|(?<=\bbearer|\btoken:)\s+\S{6,}|\bAIza[-\w]{8,}|[-\w]{32,}",
    re.I,
)


def outcome_of_failure(exchange: Exchange, status: int) -> Outcome:
    """Whether the provider failed or refused what the client sent; `status` is LiteLLM's own answer."""
    return Outcome.PROVIDER_REFUSED if _status(exchange, status) in _CLIENTS_FAULT else Outcome.PROVIDER_FAILED


def _status(exchange: Exchange, status: int) -> int:
    """The status of the last attempt: as the provider sent it, else as LiteLLM has it."""
    if exchange.provider_error is not None:
        return exchange.provider_error.status
    return (exchange.failures[-1].status if exchange.failures else None) or status


def error_of_failure(exchange: Exchange, outcome: Outcome, status: int, body: bytes = b"") -> GatewayError:
    """The error for a failed or refused exchange. `body` is LiteLLM's error answer."""
    if outcome is Outcome.PROVIDER_REFUSED:
        refused = ProviderRefused(f"The provider of '{exchange.model}' refused this request: {_reason(exchange, body)}")
        refused.status = _status(exchange, status)
        return refused
    return provider_failed(exchange)


def provider_failed(exchange: Exchange) -> GatewayError:
    """The error when no provider answered; its own Retry-After is kept."""
    waits = [failure.retry_after_s for failure in (exchange.provider_error, *exchange.failures) if failure]
    message = (
        f"The provider of '{exchange.model}' could not answer. Nothing was charged. "
        "Try again shortly, or use another model."
    )
    return ProviderFailed(
        message, retry_after_s=max((wait for wait in waits if wait is not None), default=RETRY_AFTER_S)
    )


def broken_stream(exchange: Exchange) -> GatewayError:
    """The error event at the end of a stream whose provider broke off."""
    message = (
        f"The provider of '{exchange.model}' broke off in the middle of its answer. "
        "What was delivered is charged. Send the request again for a whole answer."
    )
    return ProviderFailed(message)


def error_event(error: GatewayError, route: Route, sequence_number: int) -> bytes:
    """`error` as the last event of a stream of `route`, in the shape of its API."""
    if route is Route.MESSAGES:
        return b"event: error\ndata: " + error_body(error, anthropic=True) + b"\n\n"
    if route is Route.RESPONSES:
        # https://platform.openai.com/docs/api-reference/responses-streaming/error
        event = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return b"event: error\ndata: " + orjson.dumps({**event, "sequence_number": sequence_number}) + b"\n\n"
    return b"data: " + error_body(error) + b"\n\n"


def without_secrets(text: str) -> str:
    """`text` shortened, with addresses and whatever may be a key or an account taken out."""
    return _SECRET.sub("[removed]", _ADDRESS.sub("[removed]", text))[:MOST_MESSAGE_CHARS].strip()


def _reason(exchange: Exchange, body: bytes) -> str:
    if exchange.provider_error is not None:
        return without_secrets(exchange.provider_error.message) or "it gave no reason."
    message = exchange.failures[-1].message if exchange.failures else ""
    if not message:
        try:
            message = str(orjson.loads(body)["error"]["message"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            message = ""
    message = _LITELLM_TAIL.sub("", message)
    while (stripped := _LITELLM_PREFIX.sub("", message, count=1)) != message:
        message = stripped
    return without_secrets(message) or "it gave no reason."
