"""The ways to reach a model of several deployments, and how their shares are dealt."""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from scalix.domain.engines import LITELLM, Engine
from scalix.domain.prices.pricing import Price, price_at


class Served:
    """What is served under LiteLLM's name `provider_model`, at `prices`. `rpm` and `tpm` are the requests and
    tokens that it takes each minute."""

    __slots__ = ()
    provider_model: str
    prices: tuple[Price, ...]
    rpm: int | None
    tpm: int | None

    def price_at(self, at_ms: int) -> Price | None:
        """The price that applies at `at_ms` (Unix time); `None` if it is unknown."""
        return price_at(self.prices, at_ms)

    @property
    def provider(self) -> str:
        """LiteLLM's name of the provider; empty if the model's name has none."""
        return self.provider_model.partition("/")[0] if "/" in self.provider_model else ""

    @property
    def is_limited(self) -> bool:
        """Whether there is a most that it takes each minute."""
        return self.rpm is not None or self.tpm is not None

    def has_room(self, requests: int, tokens: int, prompt_tokens: int) -> bool:
        """Whether it takes one more request, after so many `requests` and `tokens` of this minute. A prompt that is
        larger than what it takes in a whole minute is as good as any other, in a minute without others."""
        if self.rpm is not None and requests >= self.rpm:
            return False
        return self.tpm is None or tokens + max(prompt_tokens, 1) <= self.tpm or not tokens


@dataclass(frozen=True, slots=True)
class Deployment(Served):
    """One of several ways to reach a model. `id` is LiteLLM's name of it too. Of those that can be asked, those with
    the least `order` are, by shares of `weight`. `engine` is what asks its provider."""

    id: str
    provider_model: str
    prices: tuple[Price, ...] = ()
    weight: float = 1.0
    order: int = 0
    rpm: int | None = None
    tpm: int | None = None
    engine: Engine = LITELLM


WEIGHTS, LEAST_BUSY, LATENCY, COST = "simple-shuffle", "least-busy", "latency-based-routing", "cost-based-routing"
USAGE = ("usage-based-routing", "usage-based-routing-v2")
STRATEGIES = (WEIGHTS, LEAST_BUSY, LATENCY, COST, *USAGE)
"""How a deployment is chosen, by LiteLLM's names."""


def weights_of(deployments: Sequence[Deployment]) -> dict[str, float]:
    """Their weights, by id. Where none of them has one, all have the same."""
    is_weighted = any(one.weight > 0 for one in deployments)
    return {one.id: one.weight if is_weighted else 1.0 for one in deployments}


def next_by_weight(deployments: Sequence[Deployment], credit: MutableMapping[str, float]) -> Deployment:
    """The one whose turn it is: a smooth weighted round robin, exact over each round and without bursts. `credit` is
    kept by the caller from one turn to the next."""
    weights = weights_of(deployments)
    for name, weight in weights.items():
        credit[name] = credit.get(name, 0.0) + weight
    due = max((one for one in deployments if weights[one.id] > 0), key=lambda one: credit[one.id])
    credit[due.id] -= sum(weights.values())
    return due
