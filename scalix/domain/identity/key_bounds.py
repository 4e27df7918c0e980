"""Defaults and upper bounds of virtual keys: LiteLLM's `default_key_generate_params` and
`upperbound_key_generate_params`."""

from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.limits.spans import span_ms

AMOUNTS = ("max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests")
SPANS = ("duration", "budget_duration")
DEFAULTS = frozenset({*AMOUNTS, *SPANS, "models", "metadata", "allowed_ips", "denied_ips"})


def with_defaults(body: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the defaults for what it does not set."""
    return {**body, **{name: value for name, value in defaults.items() if body.get(name) is None}}


def within(body: Mapping[str, Any], bounds: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """`body` with a bound wherever it sets no limit. `whole`: fields that are missing set none (they would stay as they
    are in an update).

    Raises `BadRequest` for a value above its bound.
    """
    found = dict(body)
    for name, bound in bounds.items():
        value = found.get(name)
        if value is None or value == "-1":
            if whole or name in found:
                found[name] = bound
            continue
        size: Any = value if name in AMOUNTS else span_ms(value)
        most: Any = bound if name in AMOUNTS else span_ms(bound)
        # What is no amount is refused later, when the body is checked.
        if isinstance(size, int | float) and size > most:
            message = f"'{name}' may be {bound} at most here, by the gateway's upperbound_key_generate_params."
            raise BadRequest(message, param=name)
    return found
