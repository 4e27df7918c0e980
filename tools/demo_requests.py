"""The requests of `make demo-data`: what they ask, how they end and what they cost; and a provider that fails."""

from dataclasses import dataclass, replace
from random import Random

from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.outcomes import Billable, charge_for
from scalix.domain.limits.key_limits import KeyScope
from scalix.domain.limits.quota import Ask, Charge, Outcome, Receipt
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.requests.request_ids import request_id
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.asked_prices import dearest_prices

_ENDS = {
    Outcome.SUCCESS: 961,
    Outcome.CLIENT_CUT: 22,
    Outcome.CACHE_HIT: 9,
    Outcome.PROVIDER_REFUSED: 5,
    Outcome.PROVIDER_BROKE: 3,
}
_OFTEN = (6, 4, 3, 2)  # the models of a tier, the first ones more often
_ERRORS = ("timeout", "provider_rate_limit", "provider_down", "network")
_FAILS, _FAILS_WHEN_DOWN = 0.006, 0.93
_MOST_MODELS = 3


@dataclass(frozen=True, slots=True)
class Outage:
    """A provider that fails, from when to when."""

    provider: str
    from_ms: int
    to_ms: int

    def is_at(self, model: Model, at_ms: int) -> bool:
        """Whether the model's provider fails then."""
        return model.provider == self.provider and self.from_ms <= at_ms < self.to_ms


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and the model that it is for."""

    ask: Ask
    model: Model
    tier: Tier


class Requests:
    """Makes requests, and ends them as the models of a policy would."""

    def __init__(self, policy: Policy, outage: Outage) -> None:
        self._policy = policy
        self._outage = outage
        texts = [model for model in policy.models.values() if model.mode in (None, "chat")]
        self._models = {tier.name: [m for m in texts if tier.allows(m.name)] for tier in policy.tiers.values()}

    def ask(self, random: Random, tier: Tier, subject: str, at_ms: int, key: KeyScope | None = None) -> Asked | None:
        """One request for a model that the tier has; `None` where it has none."""
        models = self._models[tier.name]
        if not models:
            return None
        cheaper = self._models[self._policy.default_tier] if tier.name != self._policy.default_tier else []
        own = [model for model in models if model not in cheaper] or models
        some = own if random.random() < 0.8 else models
        model = random.choices(some, [_OFTEN[min(place, 3)] for place in range(len(some))])[0]
        is_free = tier.name == self._policy.default_tier
        prompt = int(random.lognormvariate(5.2 if is_free else 7.3, 0.8)) + 12
        ask = Ask(
            request_id=request_id(None, lambda size: random.randbytes(size).hex(), at_ms),
            subject=subject,
            limits=tier.limits,
            prompt_tokens=prompt,
            output_cap_tokens=min(tier.max_output_tokens or 4_096, 2_048),
            min_output_tokens=16,
            prices=dearest_prices([model], {}, prompt, tier, at_ms),
            tier=tier.name,
            key=key,
            model=model.name,
            is_billed=tier.markup_ppm > 0,
        )
        return Asked(ask, model, tier)

    def end(self, random: Random, asked: Asked, receipt: Receipt) -> Charge:
        """How it ended, after models that failed on the way."""
        at_ms, failed, tried = receipt.admitted_ms, list[str](), list[str]()
        others = [self._policy.models[name] for name in self._policy.fallbacks.get(asked.model.name, ())]
        ways = [asked.model, *(model for model in others if asked.tier.allows(model.name))][:_MOST_MODELS]
        for place, model in enumerate(ways):
            error = self._error(random, model, at_ms)
            if error is None:
                return self._answered(random, asked, receipt, model, (tuple(failed), tuple(tried)))
            failed.append(f"{model.name}:{_engine(model)}:{error}")
            if place < len(ways) - 1:
                tried.append(model.name)
        last = failed.pop().rsplit(":", 1)[1]
        model = ways[-1]
        detail = self._detail(random, asked, model, (tuple(failed), tuple(tried)))
        detail = replace(detail, served="", error=last, first_token_ms=None, latency_ms=random.randint(800, 31_000))
        return charge_for(self._billable(Outcome.PROVIDER_FAILED, None, asked, model, detail, at_ms))

    def _error(self, random: Random, model: Model, at_ms: int) -> str | None:
        if self._outage.is_at(model, at_ms):
            return (
                random.choices(("provider_down", "timeout"), (4, 1))[0] if random.random() < _FAILS_WHEN_DOWN else None
            )
        return random.choice(_ERRORS) if random.random() < _FAILS else None

    def _answered(
        self,
        random: Random,
        asked: Asked,
        receipt: Receipt,
        model: Model,
        before: tuple[tuple[str, ...], tuple[str, ...]],
    ) -> Charge:
        outcome = random.choices([*_ENDS], [*_ENDS.values()])[0]
        detail = self._detail(random, asked, model, before)
        usage = None
        match outcome:
            case Outcome.CACHE_HIT:
                detail = replace(
                    detail, cache_hit=True, first_token_ms=random.randint(3, 12), latency_ms=random.randint(5, 20)
                )
            case Outcome.PROVIDER_REFUSED:
                detail = replace(detail, error="content_filter", served="", first_token_ms=None)
            case _:
                if outcome is Outcome.PROVIDER_BROKE:
                    detail = replace(detail, error="network")
                prompt = max(1, int(asked.ask.prompt_tokens * random.uniform(0.85, 1.0)))
                most = receipt.output_cap_tokens
                completion = min(most, int(random.lognormvariate(5.0, 0.8)) + 8)
                cached = int(prompt * random.uniform(0.4, 0.9)) if random.random() < 0.35 else 0
                usage = Usage(prompt, completion, cached_tokens=cached)
        return charge_for(self._billable(outcome, usage, asked, model, detail, receipt.admitted_ms))

    def _detail(
        self, random: Random, asked: Asked, model: Model, before: tuple[tuple[str, ...], tuple[str, ...]]
    ) -> Detail:
        failed, tried = before
        slow = 260 if "flash" in model.name else 520
        first_ms = int(random.lognormvariate(0, 0.45) * slow) + sum(random.randint(300, 4_000) for _ in failed)
        streamed = random.random() < 0.85
        return Detail(
            tier=asked.tier.name,
            model=asked.model.name,
            served=model.name,
            provider=model.provider,
            latency_ms=first_ms + int(random.lognormvariate(8.1, 0.6)),
            first_token_ms=first_ms if streamed else None,
            streamed=streamed,
            fallbacks=tried,
            deployment=model.name,
            engine=_engine(model),
            failed_deployments=failed,
        )

    def _billable(
        self, outcome: Outcome, usage: Usage | None, asked: Asked, model: Model, detail: Detail, at_ms: int
    ) -> Billable:
        return Billable(
            outcome,
            usage,
            asked.ask.prompt_tokens,
            0,
            price=model.price_at(at_ms),
            at_ms=at_ms,
            markup_ppm=asked.tier.markup_ppm,
            detail=detail,
        )


def _engine(model: Model) -> str:
    return "direct" if Route.CHAT in model.engine.direct else "litellm"
