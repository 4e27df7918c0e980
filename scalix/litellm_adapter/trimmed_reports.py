"""What LiteLLM works out for its log viewers and its own spend, after each answer, and nobody reads behind the edge.

The gateway charges by prices of its own, and its callbacks read the answer itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scalix.litellm_adapter.reports import usage_of
from scalix.litellm_adapter.seam_checks import replace, stand
from scalix.service.exchange.exchanges import CURRENT, Exchange

Method = Callable[..., Any]
_LOGGING = "litellm.litellm_core_utils.litellm_logging:Logging"


def leave_out_cost() -> None:
    """LiteLLM's cost of an answer, where the charge is reckoned by a price of ours and nothing was used beyond it."""
    if stand(f"{_LOGGING}.litellm_params"):
        for name in ("response_cost_calculator", "_response_cost_calculator"):
            replace(f"{_LOGGING}.{name}", _cost_if_needed)


def leave_out_logging_payload() -> None:
    """The record of a call, some sixty fields, of which our callback reads three."""
    if stand(f"{_LOGGING}.model_call_details"):
        replace(f"{_LOGGING}._build_standard_logging_payload", _short_payload)


def _cost_if_needed(own: Method) -> Method:
    def response_cost_calculator(self: Any, result: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = CURRENT.get()
        if exchange is not None and is_priced_by_us(exchange, model_group(self.litellm_params), result):
            return None
        return own(self, result, *args, **kwargs)

    return response_cost_calculator


def is_priced_by_us(exchange: Exchange, name: str | None, answer: Any) -> bool:
    """Whether what LiteLLM takes for the cost of an `answer` of the model `name` has no part in the charge."""
    # The charge is by the price of the model that was asked, whichever LiteLLM's own fallbacks have put in its place.
    price = exchange.admission.price_of(name) if name == exchange.attempt.model else None
    if price is None or price.reported:
        return False
    stated = exchange.attempt.seen.usage
    usage = usage_of(answer)
    return usage is not None and not usage.has_extras and (stated is None or not stated.has_extras)


def _short_payload(own: Method) -> Method:
    def _build_standard_logging_payload(self: Any, init_response_obj: Any, *args: Any, **kwargs: Any) -> Any:
        if CURRENT.get() is None or usage_of(init_response_obj) is None:
            return own(self, init_response_obj, *args, **kwargs)
        details = self.model_call_details
        return {
            "model_group": model_group(details.get("litellm_params")),
            "response_cost": details.get("response_cost"),
            "cache_hit": details.get("cache_hit"),
        }

    return _build_standard_logging_payload


def model_group(params: Mapping[str, Any] | None) -> str | None:
    """The public name of the model that a call is for, from LiteLLM's parameters of it."""
    for place in ("metadata", "litellm_metadata"):
        name = ((params or {}).get(place) or {}).get("model_group")
        if isinstance(name, str) and name:
            return name
    return None
