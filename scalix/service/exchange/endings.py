"""From an exchange that is over to what is charged for it, and what the ledger says of it."""

from dataclasses import replace

from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.outcomes import Ending
from scalix.domain.limits.quota import Outcome
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.exchanges import Exchange

# Of these nobody has answered.
_UNSERVED = (Outcome.PROVIDER_FAILED, Outcome.PROVIDER_REFUSED)


def ending_of(exchange: Exchange, outcome: Outcome, delivered_tokens: int, now_s: float) -> Ending:
    """How `exchange` ended, by the prices of the model that served it as they were when it was admitted. `now_s` is of
    the clock by which it began."""
    receipt = exchange.admitted.receipt
    served = exchange.attempt.served_model or exchange.model
    model = exchange.models.get(served) or exchange.models.get(exchange.model)
    tier = exchange.caller.tier
    return Ending(
        outcome,
        _usage_of(exchange),
        receipt.prompt_tokens if exchange.attempt.prompt_tokens is None else exchange.attempt.prompt_tokens,
        delivered_tokens,
        price=model.price_at(receipt.admitted_ms) if model else None,
        at_ms=receipt.admitted_ms,
        reported_nano_usd=exchange.attempt.cost_nano_usd,
        markup_ppm=tier.markup_ppm if tier else PPM,
        detail=Detail(
            tier=tier.name if tier else "",
            model=exchange.model,
            among_others=exchange.among_others,
            served="" if outcome in _UNSERVED else served,
            provider=model.provider if model else "",
            latency_ms=_ms_since(exchange.began_s, now_s),
            first_token_ms=None
            if exchange.first_token_s is None
            else _ms_since(exchange.began_s, exchange.first_token_s),
            streamed=exchange.streamed,
            cache_hit=outcome is Outcome.CACHE_HIT,
            error=exchange.error_class or "",
            fallbacks=tuple(exchange.tried),
        ),
    )


def _usage_of(exchange: Exchange) -> Usage | None:
    """LiteLLM's report, with the parts that the provider itself has stated: LiteLLM knows some of them by no name.
    Where the two differ, the larger: LiteLLM leaves something out, or has asked several times."""
    reported, stated = exchange.attempt.usage, exchange.attempt.seen.usage
    if reported is None or stated is None or reported.total_tokens > stated.total_tokens:
        return reported
    return replace(
        stated,
        service_tier=stated.service_tier or reported.service_tier,
        has_extras=reported.has_extras or stated.has_extras,
    )


def _ms_since(began_s: float, now_s: float) -> int:
    """Whole milliseconds; 0 for an exchange that nobody has timed."""
    return max(0, round((now_s - began_s) * 1000)) if began_s else 0
