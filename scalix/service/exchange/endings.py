"""How a request ended, and what is charged for that."""

from dataclasses import dataclass, replace

from scalix.domain.failures import ErrorClass
from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.outcomes import Billable
from scalix.domain.limits.quota import Outcome
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.admission import Admission

UNSERVED = (Outcome.PROVIDER_FAILED, Outcome.PROVIDER_REFUSED)
"""Of these nobody has answered."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a request is believed to have used.

    usage: `None`: the provider gave none that can be true, and these two stand in for it:
    prompt_tokens: counted afterwards; `None`: as estimated when it was admitted.
    delivered_tokens: our count of what went out.
    reported_nano_usd: the cost that LiteLLM has reckoned.
    """

    usage: Usage | None = None
    prompt_tokens: int | None = None
    delivered_tokens: int = 0
    reported_nano_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What has become of an admitted request. Made once, when it is over.

    served: the model that has answered, or was asked.
    error: what it has failed of.
    tried: the models that failed before.
    first_token_s: when the client had the first byte of a stream, by the monotonic clock.
    deployment_id: which deployment of the model that was, if it has several.
    deployment, engine: the one that has answered, or the name of a model that has no several, and what has asked it.
    failed: the attempts that have failed, as `name:engine:class`.
    """

    outcome: Outcome
    use: Use = Use()
    served: str = ""
    error: ErrorClass | None = None
    tried: tuple[str, ...] = ()
    first_token_s: float | None = None
    deployment_id: str = ""
    deployment: str = ""
    engine: str = ""
    failed: tuple[str, ...] = ()


def billable_of(admission: Admission, ending: Ending, now_s: float) -> Billable:
    """What is charged for a request that has ended so, by the prices of the deployment or model that served it as they
    were when it was admitted. `now_s` is of the clock by which it began."""
    receipt, use = admission.receipt, ending.use
    models = admission.offer.models
    model = models.get(ending.served) or models.get(admission.model)
    deployment = model.deployment(ending.deployment_id) if model else None
    price = deployment.price_at(receipt.admitted_ms) if deployment else None
    if price is None and model is not None:
        price = model.price_at(receipt.admitted_ms)
    tier = admission.caller.tier
    first_s, began_s = ending.first_token_s, admission.began_s
    return Billable(
        ending.outcome,
        use.usage,
        receipt.prompt_tokens if use.prompt_tokens is None else use.prompt_tokens,
        use.delivered_tokens,
        price=price,
        at_ms=receipt.admitted_ms,
        reported_nano_usd=use.reported_nano_usd,
        markup_ppm=tier.markup_ppm if tier else PPM,
        detail=Detail(
            tier=tier.name if tier else "",
            model=admission.model,
            among_others=admission.reservation.ask.among_others,
            served="" if ending.outcome in UNSERVED else ending.served,
            provider=(deployment or model).provider if model else "",
            latency_ms=_ms_since(began_s, now_s),
            first_token_ms=None if first_s is None else _ms_since(began_s, first_s),
            streamed=admission.streamed,
            cache_hit=ending.outcome is Outcome.CACHE_HIT,
            error=ending.error or "",
            fallbacks=ending.tried,
            deployment=ending.deployment,
            engine=ending.engine,
            failed_deployments=ending.failed,
            **admission.reservation.ask.later,
        ),
    )


def with_stated(reported: Usage | None, stated: Usage | None) -> Usage | None:
    """LiteLLM's report, with the parts that the provider itself has stated: LiteLLM knows some of them by no name.
    Where the two differ, the larger: LiteLLM leaves something out, or has asked several times."""
    if reported is None or stated is None or reported.total_tokens > stated.total_tokens:
        return reported
    return replace(
        stated,
        service_tier=stated.service_tier or reported.service_tier,
        has_extras=reported.has_extras or stated.has_extras,
    )


def _ms_since(began_s: float, now_s: float) -> int:
    """Whole milliseconds; 0 for a request that nobody has timed."""
    return max(0, round((now_s - began_s) * 1000)) if began_s else 0
