"""What is asked of the store for one request: its size, its caps, its price."""

from collections.abc import Sequence

from scalix.domain.errors import BadRequest
from scalix.domain.ledger.outcomes import UNPRICED
from scalix.domain.limits.quota import Ask
from scalix.domain.policy import Model
from scalix.domain.prices.peak_prices import PPM, marked_up
from scalix.domain.prices.pricing import calculate
from scalix.domain.tokens.output_cap import FLOOR_TOKENS, OutputRequest
from scalix.domain.tokens.prompt_size import PromptSize
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.asked_prices import dearest_prices
from scalix.service.exchange.calls import Call
from scalix.service.identity.callers import Caller

DEFAULT_MAX_OUTPUT_TOKENS = 4_096


def asked(
    caller: Caller,
    call: Call,
    serving: Sequence[Model],
    wanted: OutputRequest,
    size: PromptSize,
    *,
    among_others: bool,
    now_ms: int,
) -> Ask:
    """What is reserved for a call that any of `serving` may answer, the model asked for first; `now_ms` is Unix time.
    Raises `BadRequest`."""
    model = serving[0]
    cap = model.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS
    if caller.tier and caller.tier.max_output_tokens is not None:
        cap = min(cap, caller.tier.max_output_tokens)
    if wanted.cap_tokens is not None:
        cap = min(cap, wanted.cap_tokens)
    if wanted.min_tokens > FLOOR_TOKENS and cap < wanted.min_tokens:
        message = (
            f"Thinking takes {wanted.min_tokens - 1} tokens of the answer, and one of '{model.name}' may have "
            f"{cap} here. Ask for a smaller thinking budget."
        )
        raise BadRequest(message, param="thinking")
    tier = caller.tier
    prompt_tokens = size.tokens
    price = model.price_at(now_ms)
    prompt_cost_nano_usd = calculate(price, Usage(prompt_tokens, 0), now_ms) if price else 0
    return Ask(
        request_id=call.request_id,
        subject=str(caller.subject),
        limits=caller.limits,
        prompt_tokens=prompt_tokens,
        output_cap_tokens=cap,
        min_output_tokens=min(cap, wanted.min_tokens),
        choices=wanted.choices,
        prices=dearest_prices(serving, call.body, prompt_tokens, tier, now_ms),
        user_version=caller.version,
        tier=tier.name if tier else "",
        key=caller.key.scope if caller.key else None,
        model=model.name,
        among_others=among_others,
        is_billed=tier is not None and tier.markup_ppm > 0,
        prepaid=tier is not None and tier.prepaid,
        prompt_cost_nano_usd=prompt_cost_nano_usd,
        prompt_charge_nano_usd=marked_up(prompt_cost_nano_usd, (tier.markup_ppm or PPM) if tier else PPM),
        price_version=price.version if price else UNPRICED,
        least_prompt_tokens=size.least_tokens,
    )
