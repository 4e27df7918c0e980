"""An event as one line of an archive: its figures by name, for other programs, and its text, to be compared."""

import json
from collections.abc import Iterator
from typing import Any

from scalix.domain.ledger.ledger import LATER_FIELDS, Detail, Event, event_of


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


# Of an event and its detail, in this order, with the names that differ.
_FIGURES = (
    *("admitted_ms", "key_id", "tier", "outcome", "error", "model", "served", "provider", "requests", "tokens"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "nano_usd", "cost_nano_usd"),
    *("charge_nano_usd", "price_version", "estimated", "latency_ms", "first_token_ms", "streamed", "cache_hit"),
    "fallbacks",
)
_NAMES = {"admitted_ms": "time_ms", "key_id": "key", "streamed": "stream"}


def _named(event: Event) -> dict[str, Any]:
    return {_NAMES.get(name, name): _shown(event, name) for name in _FIGURES} | later_figures(event)


def named_types() -> Iterator[tuple[str, Any]]:
    """The names and types of what `event_fields` gives of an event."""
    yield from ((_NAMES.get(name, name), shown_type(name)) for name in (*_FIGURES, *(one.name for one in LATER_FIELDS)))


def later_figures(event: Event, *, is_operators_view: bool = True) -> dict[str, Any]:
    """The fields that versions after the first have added, by name."""
    return {one.name: _shown(event, one.name) for one in LATER_FIELDS if is_operators_view or not one.is_operators}


def shown_type(name: str) -> Any:
    """The type of a field as it is shown."""
    kind = {**Event.__annotations__, **Detail.__annotations__}[name]
    return {str: str | None, tuple[str, ...]: list[str]}.get(kind, kind)


def _shown(event: Event, name: str) -> Any:
    value = getattr(event if hasattr(event, name) else event.detail, name)
    return list(value) if isinstance(value, tuple) else None if value == "" else value
