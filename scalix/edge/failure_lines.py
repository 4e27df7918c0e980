"""The line that a provider's failure leaves in the log, also where another model has served the request."""

from collections.abc import Callable
from functools import partial
from typing import Any

from scalix.domain.deployments import Served
from scalix.domain.failures import HANDLING
from scalix.domain.redaction.foreign_texts import without_secrets
from scalix.domain.redaction.quoted_requests import without_quotes
from scalix.domain.requests.routes import Route
from scalix.edge.failover import Attempts
from scalix.edge.provider_errors import Failed, stated_reason
from scalix.service.exchange.attempts import BROKE_OFF, NO_CONNECTION, NO_MEANS, TOO_SLOW
from scalix.service.exchange.exchanges import Exchange

_MOST_CHARS = 300
_BY_THE_CONNECTION = {
    NO_CONNECTION: "no connection could be made",
    NO_MEANS: "this machine has no file descriptor, port or memory left for a connection",
    BROKE_OFF: "the connection broke off, or what came was no answer",
    TOO_SLOW: "no answer in time",
}
# Words that every request has, and messages of providers too.
_OF_AN_API = frozenset({"model", "messages", "message", "content", "role", "user", "system", "type", "error"}).union(
    {"request", "requests", "server", "limit", "rate", "invalid", "provider"}, *(route.row.fields for route in Route)
)

# Writes such a line: its kind, level and message, and what gives its fields.
NoteFailure = Callable[[str, str, str, Callable[[], dict[str, Any]]], None]


def note_failed(note: NoteFailure, exchange: Exchange, attempts: Attempts, failure: Failed) -> None:
    """Have the failure of the attempt of now noted. What the client can mend is no warning."""
    model, name = attempts.model, exchange.attempt.deployment_id or attempts.model.name
    level = "INFO" if HANDLING[failure.error_class].fault == "client" else "WARNING"
    described = partial(_described, exchange, attempts.deployment or model, failure)
    note(f"{name} failed: {failure.error_class}", level, f"{model.name} failed", described)


def _described(exchange: Exchange, served: Served, failure: Failed) -> dict[str, Any]:
    attempt = exchange.attempt
    fields: dict[str, Any] = {"id": exchange.admission.request_id, "provider": served.provider or "-"}
    if attempt.deployment_id:
        fields["deployment"] = attempt.deployment_id
    fields |= {"engine": attempt.engine or "-", "class": str(failure.error_class)}
    seen, reported = attempt.seen.error, attempt.failure
    status = seen.status if seen is not None else reported.status if reported is not None else None
    if status and (seen is None or not seen.is_of_the_connection):
        fields["status"] = status
    keep = _OF_AN_API | {served.provider_model, served.provider_model.rpartition("/")[2], attempt.model}
    fields["reason"] = _reason(exchange, keep)
    return fields


def _reason(exchange: Exchange, keep: frozenset[str]) -> str:
    attempt = exchange.attempt
    seen = attempt.seen.error
    if seen is not None and seen.kind in _BY_THE_CONNECTION:
        return _BY_THE_CONNECTION[seen.kind]
    said = " ".join(without_secrets(stated_reason(exchange), _MOST_CHARS).split())
    kept = without_quotes(said, attempt.written, keep)
    if kept:
        return kept
    if said:
        return "[not shown: the request is too long to tell its words from the provider's]"
    if not attempt.asked and attempt.failure is not None:
        return f"not asked: {attempt.failure.kind} at {attempt.failure.place}"
    return "it gave none"
