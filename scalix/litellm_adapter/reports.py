"""Reads LiteLLM's events: usage, cost, served model, failures. Shapes as seen in LiteLLM 1.106.12."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from scalix.domain.failures import ErrorClass, class_of_exception
from scalix.domain.tokens.usage import Usage, usage_from
from scalix.domain.tokens.usage_reading import TRAFFIC, field, usage_in
from scalix.litellm_adapter.blame import is_by_content, place_of
from scalix.service.answers.provider_errors import seconds
from scalix.service.exchange.attempts import Failure
from scalix.service.exchange.exchanges import Exchange

NANO = 1_000_000_000
# Where a usage is, and what has figures of its own in it.
_NESTED = frozenset(
    {
        "usage",
        "response",
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "output_tokens_details",
        "cache_creation_token_details",
        "cached_tokens_details",
        "cache_creation",
        "server_tool_use",
    }
)


def usage_of(response: Any, requested_tier: object = None) -> Usage | None:
    """The usage of an answer on any route, `None` if it has none that can be true. `requested_tier` is the service tier
    that was asked for, which counts where the answer does not say which it was served by."""
    usage = usage_in(_as_mapping(response))
    if usage is None or usage.service_tier:
        return usage
    hidden = field(field(response, "_hidden_params"), "provider_specific_fields")
    served = TRAFFIC.get(str(field(hidden, "traffic_type")).upper()) or requested_tier
    return replace(usage, service_tier=served.lower()) if isinstance(served, str) and len(served) <= 32 else usage


def _as_mapping(value: Any) -> Any:
    """A Pydantic object as the mapping of what is set in it: asked for a field that it does not have, it takes long to
    say no, and a usage is asked for thirty."""
    if not isinstance(value, BaseModel):
        return value
    fields = {**value.__dict__, **(value.__pydantic_extra__ or {})}
    return {name: _as_mapping(field) if name in _NESTED else field for name, field in fields.items()}


def reported_cost_of(response: Any) -> int | None:
    """What LiteLLM says that an answer has cost, in nano-dollars, before its event does."""
    return nano_usd(field(field(response, "_hidden_params"), "response_cost"))


def is_from_cache(response: Any) -> bool:
    """Whether LiteLLM's own cache has answered: the success event, which says so too, comes after the answer."""
    return (field(response, "_hidden_params") or {}).get("cache_hit") is True


def report_success(exchange: Exchange, kwargs: Mapping[str, Any], response: Any) -> None:
    """Note what a success event says: usage, cost, the model that served."""
    payload = kwargs.get("standard_logging_object") or {}
    usage = usage_of(response, field(kwargs.get("optional_params"), "service_tier"))
    if usage is None:
        usage = usage_from(payload.get("prompt_tokens"), payload.get("completion_tokens"))
    attempt = exchange.attempt
    attempt.usage = usage or attempt.usage
    attempt.cost_nano_usd = nano_usd(payload.get("response_cost"))
    attempt.served_model = payload.get("model_group") or attempt.served_model
    attempt.cache_hit = payload.get("cache_hit") is True
    attempt.reported.set()


def failure_of(error: Any) -> Failure:
    """A failed attempt, from LiteLLM's exception."""
    status = getattr(error, "status_code", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return Failure(
        status=status if isinstance(status, int) else None,
        kind=type(error).__name__,
        message=str(getattr(error, "message", "") or error),
        retry_after_s=seconds(headers.get("retry-after")),
        error_class=class_of_exception(error) if isinstance(error, BaseException) else ErrorClass.INTERNAL,
        by_content=isinstance(error, BaseException) and is_by_content(error),
        place=place_of(error) if isinstance(error, BaseException) else "",
    )


def nano_usd(cost_usd: object) -> int | None:
    """LiteLLM's cost (a float of dollars) in nano-dollars, rounded; `None` if it has none."""
    if isinstance(cost_usd, bool) or not isinstance(cost_usd, int | float) or not 0 <= cost_usd < 1e6:
        return None
    return round(cost_usd * NANO)
