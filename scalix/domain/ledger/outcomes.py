"""The outcome table: what each way for a request to end is charged."""

from dataclasses import dataclass, replace
from typing import Any

from scalix.domain.ledger.ledger import NO_DETAIL, Detail, Event
from scalix.domain.limits.quota import LATER_METRICS, Ask, Charge, Outcome, Receipt
from scalix.domain.prices.peak_prices import PPM, marked_up
from scalix.domain.prices.pricing import Price, calculate
from scalix.domain.tokens.usage import Usage

BY_LITELLM = "litellm"
"""The version of a cost that is what LiteLLM has reported."""
UNPRICED = "none"
"""The version of a cost that nobody knows the price for."""


@dataclass(frozen=True, slots=True)
class Billable:
    """How a request ended, and all that is known of its use.

    `usage` is `None` when the provider gave none that can be true; then `prompt_tokens` (our estimate) and
    `delivered_tokens` (our count of what went out) stand in for it. `price` is that of the model that served, as it was
    at `at_ms` (Unix time); `None`: nobody knows one. `reported_nano_usd` is the cost that LiteLLM has reckoned.
    `markup_ppm` is the tier's, in parts per million. `detail` is what else the ledger is to say.
    """

    outcome: Outcome
    usage: Usage | None
    prompt_tokens: int
    delivered_tokens: int
    price: Price | None
    at_ms: int = 0
    reported_nano_usd: int | None = None
    markup_ppm: int = PPM
    detail: Detail = NO_DETAIL


_NOTHING_LATER: dict[str, Any] = {metric.unit.field: 0 for metric in LATER_METRICS}
_UNCHARGED = {Outcome.PROVIDER_FAILED: 0, Outcome.PROVIDER_REFUSED: 1, Outcome.CACHE_HIT: 1}


def charge_for(billable: Billable) -> Charge:
    """The charge of an ended request. Never negative: a provider's nonsense gives nobody credit."""
    if billable.outcome in _UNCHARGED:
        detail = replace(billable.detail, **_NOTHING_LATER)
        return Charge(billable.outcome, _UNCHARGED[billable.outcome], 0, 0, detail=detail)
    usage = billable.usage or Usage(billable.prompt_tokens, billable.delivered_tokens)
    reported_nano_usd = billable.reported_nano_usd if billable.usage is not None else None
    cost_nano_usd, version = cost_of(billable.price, usage, billable.at_ms, reported_nano_usd)
    charge_nano_usd = marked_up(cost_nano_usd, billable.markup_ppm)
    return Charge(
        billable.outcome,
        1,
        usage.total_tokens,
        charge_nano_usd if billable.markup_ppm else cost_nano_usd,
        estimated=billable.usage is None,
        detail=replace(
            billable.detail,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cost_nano_usd=cost_nano_usd,
            charge_nano_usd=charge_nano_usd,
            price_version=version,
        ),
    )


def swept_charge(ask: Ask) -> Charge:
    """What is charged for an admitted request whose worker has died: the estimate of its prompt, as a sweep does."""
    cost_nano_usd, nano_usd = ask.prompt_cost_nano_usd, ask.prompt_charge_nano_usd
    at_most_nano_usd = ask.prices.cost_nano_usd(ask.prompt_tokens, 0)
    nano_usd = at_most_nano_usd if nano_usd is None else nano_usd
    detail = Detail(
        tier=ask.tier,
        model=ask.model,
        among_others=ask.among_others,
        prompt_tokens=ask.prompt_tokens,
        cost_nano_usd=at_most_nano_usd if cost_nano_usd is None else cost_nano_usd,
        charge_nano_usd=nano_usd if ask.is_billed else 0,
        price_version=ask.price_version,
        **ask.later,
    )
    return Charge(Outcome.SWEPT, 1, ask.prompt_tokens, nano_usd, estimated=True, detail=detail)


def event_of_charge(receipt: Receipt, charge: Charge) -> Event:
    """The event of a settled request."""
    return Event(
        request_id=receipt.request_id,
        subject=receipt.subject,
        admitted_ms=receipt.admitted_ms,
        key_id=receipt.key_id or "",
        outcome=charge.outcome.value,
        requests=charge.requests,
        tokens=charge.tokens,
        nano_usd=charge.nano_usd,
        estimated=charge.estimated,
        detail=charge.detail,
    )


def cost_of(price: Price | None, usage: Usage, at_ms: int, reported_nano_usd: int | None) -> tuple[int, str]:
    """The provider's cost in nano-dollars, and the version of the price that it comes from.

    It is our own calculation, but where the price, or what was used, goes beyond it: then what LiteLLM reports.
    """
    if price is None:
        return (0, UNPRICED) if reported_nano_usd is None else (reported_nano_usd, BY_LITELLM)
    own_nano_usd = calculate(price, usage, at_ms)
    if reported_nano_usd is not None:
        if price.reported:
            return reported_nano_usd, BY_LITELLM
        if usage.has_extras and reported_nano_usd > own_nano_usd:
            return reported_nano_usd, BY_LITELLM
    return own_nano_usd, price.version
