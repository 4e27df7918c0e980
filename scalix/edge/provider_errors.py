"""What a client may read of a failure behind the gateway: what concerns its own request, and no secret."""

import re

import orjson

from scalix.domain.errors import GatewayError, ProviderFailed, ProviderRefused
from scalix.domain.quota import Outcome
from scalix.service.exchanges import Exchange, Failure

RETRY_AFTER_S = 5
MOST_MESSAGE_CHARS = 400
# Statuses by which a provider says that the request itself is wrong. All others are the provider's or our trouble.
_CLIENTS_FAULT = frozenset({400, 413, 422})

_LITELLM_PREFIX = re.compile(r"^(?:litellm\.)?\w*(?:Error|Exception)\b[:\s-]*(?:\w+(?:Exception|Error)\s*-\s*)?")
_LITELLM_TAIL = re.compile(
    r"\s*(?:LiteLLM: model group|Received Model Group=|Available Model Group|No fallback model|LiteLLM Retried).*",
    re.S,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.I)
_SECRET = re.compile(r"\b(?:sk|pk|key|api|org|proj|bearer|AIza|xai|gsk)[-_A-Za-z0-9*.]{8,}|[A-Za-z0-9_-]{32,}", re.I)


def outcome_of_failure(exchange: Exchange, status: int) -> Outcome:
    """Whether the provider failed or refused what the client sent; `status` is LiteLLM's own answer."""
    reported = exchange.failures[-1].status if exchange.failures else None
    return Outcome.PROVIDER_REFUSED if (reported or status) in _CLIENTS_FAULT else Outcome.PROVIDER_FAILED


def error_of_failure(exchange: Exchange, outcome: Outcome, status: int, body: bytes = b"") -> GatewayError:
    """The error for a failed or refused exchange. `body` is LiteLLM's error answer."""
    last = exchange.failures[-1] if exchange.failures else None
    if outcome is Outcome.PROVIDER_REFUSED:
        refused = ProviderRefused(f"The provider of '{exchange.model}' refused this request: {_reason(last, body)}")
        refused.status = last.status if last and last.status in _CLIENTS_FAULT else status
        return refused
    return provider_failed(exchange)


def provider_failed(exchange: Exchange) -> GatewayError:
    """The error when no provider answered; its own Retry-After is kept."""
    waits = [failure.retry_after_s for failure in exchange.failures if failure.retry_after_s is not None]
    message = (
        f"The provider of '{exchange.model}' could not answer. Nothing was charged. "
        "Try again shortly, or use another model."
    )
    return ProviderFailed(message, retry_after_s=max(waits, default=RETRY_AFTER_S))


def broken_stream(exchange: Exchange) -> GatewayError:
    """The error event at the end of a stream whose provider broke off."""
    message = (
        f"The provider of '{exchange.model}' broke off in the middle of its answer. "
        "What was delivered is charged. Send the request again for a whole answer."
    )
    return ProviderFailed(message)


def without_secrets(text: str) -> str:
    """`text` shortened, with addresses and whatever may be a key or an account taken out."""
    return _SECRET.sub("[removed]", _URL.sub("[removed]", text))[:MOST_MESSAGE_CHARS].strip()


def _reason(failure: Failure | None, body: bytes) -> str:
    message = failure.message if failure else ""
    if not message:
        try:
            message = str(orjson.loads(body)["error"]["message"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            message = ""
    message = _LITELLM_TAIL.sub("", message)
    while (stripped := _LITELLM_PREFIX.sub("", message, count=1)) != message:
        message = stripped
    return without_secrets(message) or "it gave no reason."
