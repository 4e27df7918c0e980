"""What a request may cost at most, and whether that is known."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from scalix.domain.errors import ModelNotAllowed
from scalix.domain.limits.limits import Metric
from scalix.domain.limits.quota import Prices
from scalix.domain.policy import Model, Tier
from scalix.domain.prices.peak_prices import PPM, dearest
from scalix.domain.prices.plain_requests import has_plain_price
from scalix.domain.prices.pricing import Price
from scalix.domain.requests.routes import Route
from scalix.service.identity.callers import Caller

CLOCKS_DIFFER_MS = 60_000

log = logging.getLogger("scalix.admission")


def dearest_prices(
    serving: Sequence[Model], body: Mapping[str, Any], prompt_tokens: int, tier: Tier | None, now_ms: int
) -> Prices:
    """The dearest among the models that may serve. What isn't billed is reserved at what it costs us."""
    # The store's clock, which the price is chosen by in the end, may differ from this one.
    prices: list[Price] = []
    for model in serving:
        for at_ms in (now_ms - CLOCKS_DIFFER_MS, now_ms + CLOCKS_DIFFER_MS) if len(model.prices) > 1 else (now_ms,):
            if (price := model.price_at(at_ms)) is not None:
                prices.append(price)
    return dearest(
        prices,
        prompt_tokens,
        plain=has_plain_price(body),
        markup_ppm=(tier.markup_ppm or PPM) if tier else PPM,
    )


def refuse_unpriced(caller: Caller, route: Route, model: Model, now_ms: int) -> None:
    """A limit of money can't hold for a model whose price nobody knows: it would be free."""
    whose = limited_money(caller)
    price = model.price_at(now_ms)
    if whose is not None and (price is None or not price.has_rates(answers=route.row.generates)):
        log.error("model %s has no price, so callers whose money is limited are refused it", model.name)
        message = (
            f"The model '{model.name}' has no price here, so a {whose} can't use it. "
            "Use another model, or ask the operator of this gateway."
        )
        raise ModelNotAllowed(message, param="model")


def limited_money(caller: Caller) -> str | None:
    """What limits the money that a caller may spend; `None`: nothing does. Nothing may be used then whose price nobody
    knows."""
    if caller.key is not None and caller.key.max_budget_nano_usd is not None:
        return "key with a budget"
    if caller.tier is not None and caller.tier.prepaid:
        return "prepaid tier"
    is_limited = any(limit.metric is Metric.SPEND and limit.enforce for limit in caller.limits.windows)
    return "tier with a spend limit" if is_limited else None
