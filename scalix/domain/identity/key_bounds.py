"""What keys have that are made without it, and what none may exceed: LiteLLM's `default_key_generate_params` and
`upperbound_key_generate_params`."""

from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.limits.spans import span_ms

AMOUNTS = ("max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests")
SPANS = ("duration", "budget_duration")
DEFAULTS = frozenset({*AMOUNTS, *SPANS, "models", "metadata", "allowed_ips", "denied_ips"})


def with_defaults(body: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with what it leaves open."""
    return {**body, **{name: value for name, value in defaults.items() if body.get(name) is None}}


def within(body: Mapping[str, Any], bounds: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """`body` with the bounds for what it would leave without a limit; with `whole` what it does not name is so.

    Raises `BadRequest` for what is above its bound.
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
        # What is no amount is refused with the rest of the body.
        if isinstance(size, int | float) and size > most:
            message = f"'{name}' may be {bound} at most here, by the gateway's upperbound_key_generate_params."
            raise BadRequest(message, param=name)
    return found
