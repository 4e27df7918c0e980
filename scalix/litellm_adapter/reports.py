"""Reads LiteLLM's events: usage, cost, served model, failures. Shapes as seen in LiteLLM 1.106.2."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from scalix.domain.outcomes import Usage, usage_from
from scalix.service.exchanges import Exchange, Failure

NANO = 1_000_000_000


def field(source: Any, name: str) -> Any:
    """`name` of a mapping or an object; LiteLLM hands over both."""
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def usage_of(response: Any) -> Usage | None:
    """The usage of an answer on any route, `None` if it has none that can be true."""
    usage = field(response, "usage")
    if usage is None:
        usage = field(field(response, "response"), "usage")
    if usage is None:
        return None
    if field(usage, "prompt_tokens") is not None or field(usage, "completion_tokens") is not None:
        return usage_from(field(usage, "prompt_tokens"), field(usage, "completion_tokens") or 0)
    prompt_tokens = field(usage, "input_tokens")
    if isinstance(prompt_tokens, int):
        # Anthropic counts what it wrote to and read from its cache beside the rest of the prompt.
        for name in ("cache_creation_input_tokens", "cache_read_input_tokens"):
            prompt_tokens += _whole(field(usage, name))
    return usage_from(prompt_tokens, field(usage, "output_tokens") or 0)


def is_from_cache(response: Any) -> bool:
    """Whether LiteLLM's own cache has answered: the success event, which says so too, comes after the answer."""
    return (field(response, "_hidden_params") or {}).get("cache_hit") is True


def report_success(exchange: Exchange, kwargs: Mapping[str, Any], response: Any) -> None:
    """Note what a success event says: usage, cost, the model that served."""
    payload = kwargs.get("standard_logging_object") or {}
    usage = usage_of(response)
    if usage is None:
        usage = usage_from(payload.get("prompt_tokens"), payload.get("completion_tokens"))
    exchange.usage = usage or exchange.usage
    exchange.cost_nano_usd = nano_usd(payload.get("response_cost"))
    exchange.served_model = payload.get("model_group") or exchange.served_model
    exchange.cache_hit = payload.get("cache_hit") is True
    exchange.reported.set()


def failure_of(error: Any) -> Failure:
    """A failed attempt, from LiteLLM's exception."""
    status = getattr(error, "status_code", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return Failure(
        status=status if isinstance(status, int) else None,
        kind=type(error).__name__,
        message=str(getattr(error, "message", "") or error),
        retry_after_s=seconds(headers.get("retry-after")),
    )


def nano_usd(cost_usd: object) -> int | None:
    """LiteLLM's cost (a float of dollars) in nano-dollars, rounded; `None` if it has none."""
    if isinstance(cost_usd, bool) or not isinstance(cost_usd, int | float) or not 0 <= cost_usd < 1e6:
        return None
    return round(cost_usd * NANO)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def seconds(retry_after: object) -> int | None:
    """A `Retry-After` (seconds or a date) in seconds from now, rounded up, at most a day."""
    text = str(retry_after or "").strip()
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(math.ceil(wait_s), 86_400) if 0 <= wait_s < math.inf else None
