"""Chooses the deployment of a model that is asked next, by what this worker knows: it never waits for the store."""

import hashlib
import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from scalix.domain.affinity import by_rendezvous, conversation_of, with_room
from scalix.domain.deployments import COST, LATENCY, LEAST_BUSY, USAGE, WEIGHTS, Deployment, next_by_weight
from scalix.domain.policy import Model
from scalix.domain.prices.rate_names import INPUT, OUTPUT
from scalix.service.deployments.load import Load
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.policy_source import PolicySource

Start = Callable[[], bytes]
"""What all turns of a request's conversation have in common; empty where no provider would have it in its cache."""


def no_conversation() -> bytes:
    """No turn of anything."""
    return b""


class Chooser:
    """Chooses for one worker. `now_ms` gives Unix time; `draw` a number from 0 to 1: with it workers begin their rounds
    at different places. `secret` is the same in all workers: with it conversations are dealt."""

    def __init__(
        self,
        cooldowns: Cooldowns,
        load: Load,
        policy: PolicySource,
        now_ms: Callable[[], int],
        draw: Callable[[], float] = random.random,
        secret: str = "",
    ) -> None:
        self.cooldowns = cooldowns
        self.load = load
        self._policy = policy
        self._now_ms = now_ms
        self._draw = draw
        self._key = hashlib.sha256(b"conversations " + secret.encode()).digest()
        self._credit: dict[str, dict[str, float]] = {}  # by model, and by deployment

    def fit(self, model: Model, subject: str, tried: Collection[str] = ()) -> list[Deployment]:
        """The deployments of a model that may be asked: neither `tried` nor at rest for `subject`, nor at their
        limits."""
        wait_s, has_room = self.cooldowns.wait_s, self.load.has_room
        return [
            one
            for one in model.deployments
            if one.id not in tried and wait_s(one.id, subject) <= 0 and (not one.is_limited or has_room(one))
        ]

    def choose(
        self,
        model: Model,
        subject: str,
        tried: Collection[str] = (),
        start: Start = no_conversation,
        prompt_tokens: int = 0,
    ) -> Deployment | None:
        """The deployment that is asked next; `None` if there is none left, or the model has no several."""
        fit = self.fit(model, subject, tried)
        if not fit:
            return None
        if prompt_tokens:
            fit = [one for one in fit if self.load.has_room(one, prompt_tokens)] or fit
        first = min(one.order for one in fit)
        fit = [one for one in fit if one.order == first]
        if len(fit) > 1 and self._policy.current.routing_strategy == WEIGHTS and (begins := start()):
            ranked = by_rendezvous(fit, conversation_of(self._key, subject, begins))
            return with_room(ranked, self.load.in_flight)
        best = fit if len(fit) == 1 else self._best(fit)
        return best[0] if len(best) == 1 else next_by_weight(best, self._credit_of(model))

    def _best(self, fit: list[Deployment]) -> list[Deployment]:
        """Those that `routing_strategy` prefers; their weights decide among them."""
        strategy, load = self._policy.current.routing_strategy, self.load
        if strategy == LEAST_BUSY:
            return least(fit, lambda one: load.busy(one.id))
        if strategy == LATENCY:
            return least(fit, lambda one: load.seconds(one.id))
        if strategy == COST:
            return least(fit, self._rate)
        return least(fit, lambda one: _share_used(one, *load.used(one.id))) if strategy in USAGE else fit

    def _rate(self, deployment: Deployment) -> float:
        """What a token of the prompt and one of the answer cost; more than anything where nobody knows."""
        price = deployment.price_at(self._now_ms())
        if price is None:
            return math.inf
        rates = dict(price.rates)
        return rates.get(INPUT, 0) + rates.get(OUTPUT, 0)

    async def publish(self) -> None:
        """Tell other workers what there is to do here, where anybody chooses by that."""
        policy = self._policy.current
        models = policy.models.values()
        is_chosen_by = policy.routing_strategy in (WEIGHTS, LEAST_BUSY, *USAGE)
        if any((is_chosen_by and one.deployments) or any(way.is_limited for way in one.ways) for one in models):
            await self.load.publish()

    def _credit_of(self, model: Model) -> dict[str, float]:
        credit = self._credit.get(model.name)
        if credit is None or not credit.keys() <= {one.id for one in model.deployments}:
            credit = {one.id: self._draw() * one.weight for one in model.deployments}
            self._credit[model.name] = credit
        return credit

    def wait_s(self, model: Model, subject: str) -> float:
        """How long a model rests yet for `subject`, or has no room, in seconds: until one of its deployments has."""
        return min(
            max(self.cooldowns.wait_s(one.id, subject), 0.0 if self.load.has_room(one) else self.load.minute_left_s())
            for one in model.ways
        )

    def is_full(self, model: Model) -> bool:
        """Whether a model, or all of its deployments, are at their limits."""
        return not any(map(self.load.has_room, model.ways))

    def probe(self, model: Model, subject: str) -> Model | None:
        """A model that rests, with the deployment on which one request may be tried; `None` if none may."""
        for one in model.ways:
            if self.cooldowns.may_probe(one.id, subject):
                return with_only(model, one.id)
        return None


def least(deployments: Sequence[Deployment], figure: Callable[[Deployment], float]) -> list[Deployment]:
    """Those with the least figure."""
    figures = [figure(one) for one in deployments]
    lowest = min(figures)
    return [one for one, found in zip(deployments, figures, strict=True) if found == lowest]


def _share_used(deployment: Deployment, requests: int, tokens: int) -> float:
    """How much of what it takes each minute a deployment has had. One without limits is as good as a new one."""
    shares = [used / most for used, most in ((requests, deployment.rpm), (tokens, deployment.tpm)) if most]
    return max(shares, default=0.0)


def with_only(model: Model, ident: str) -> Model:
    """The model with one of its deployments, if it has several."""
    found = model.deployment(ident)
    return model if found is None else replace(model, deployments=(found,))
