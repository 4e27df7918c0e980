"""An event as one line of an archive: its figures by name, for other programs, and its text, to be compared."""

import json
from typing import Any

from scalix.domain.ledger.ledger import Event, event_of


def event_fields(subject: str, request_id: str, text: str) -> dict[str, Any]:
    """An event's figures by name. A text that is no event has only its text."""
    fields: dict[str, Any] = {"subject": subject, "id": request_id}
    try:
        return fields | _named(event_of(request_id, subject, text))
    except ValueError:
        return fields | {"unreadable": text}


def event_line(subject: str, request_id: str, text: str) -> str:
    """One JSON object without a line break at its end."""
    fields = event_fields(subject, request_id, text) | {"text": text}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def read_line(line: str) -> tuple[str, str, str]:
    """Subject, request id and text. Raises `ValueError` for a line that is none."""
    fields = json.loads(line)
    try:
        subject, request_id, text = (str(fields[name]) for name in ("subject", "id", "text"))
    except (KeyError, TypeError):
        raise ValueError("not a line of an archive") from None
    return subject, request_id, text


def _named(event: Event) -> dict[str, Any]:
    detail = event.detail
    return {
        "time_ms": event.admitted_ms,
        "key": event.key_id or None,
        "tier": detail.tier or None,
        "outcome": event.outcome,
        "error": detail.error or None,
        "model": detail.model,
        "served": detail.served or None,
        "provider": detail.provider or None,
        "requests": event.requests,
        "tokens": event.tokens,
        "prompt_tokens": detail.prompt_tokens,
        "completion_tokens": detail.completion_tokens,
        "cached_tokens": detail.cached_tokens,
        "reasoning_tokens": detail.reasoning_tokens,
        "nano_usd": event.nano_usd,
        "cost_nano_usd": detail.cost_nano_usd,
        "charge_nano_usd": detail.charge_nano_usd,
        "price_version": detail.price_version or None,
        "estimated": event.estimated,
        "latency_ms": detail.latency_ms,
        "first_token_ms": detail.first_token_ms,
        "stream": detail.streamed,
        "cache_hit": detail.cache_hit,
        "fallbacks": list(detail.fallbacks),
    }
