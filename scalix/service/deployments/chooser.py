"""Chooses the deployment of a model that is asked next, by what this worker knows: it never waits for the store."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from scalix.domain.deployments import Deployment, next_by_weight
from scalix.domain.policy import Model
from scalix.service.exchange.cooldowns import Cooldowns

Narrow = Callable[[Sequence[Deployment]], Sequence[Deployment]]
"""Of those that may be asked, the ones to choose among: all, or those that somebody prefers."""


def all_of(deployments: Sequence[Deployment]) -> Sequence[Deployment]:
    """No preference."""
    return deployments


class Chooser:
    """Chooses for one worker. `draw` gives a number from 0 to 1: with it workers begin their rounds at different
    places."""

    def __init__(self, cooldowns: Cooldowns, draw: Callable[[], float] = random.random) -> None:
        self.cooldowns = cooldowns
        self._draw = draw
        self._credit: dict[str, dict[str, float]] = {}  # by model, and by deployment

    def fit(self, model: Model, subject: str, tried: Collection[str] = ()) -> list[Deployment]:
        """The deployments of a model that may be asked: neither `tried` nor at rest for `subject`."""
        return [one for one in model.deployments if one.id not in tried and self.cooldowns.wait_s(one.id, subject) <= 0]

    def choose(
        self, model: Model, subject: str, tried: Collection[str] = (), narrow: Narrow = all_of
    ) -> Deployment | None:
        """The deployment that is asked next; `None` if there is none left, or the model has no several."""
        fit = self.fit(model, subject, tried)
        if not fit:
            return None
        first = min(one.order for one in fit)
        fit = [one for one in fit if one.order == first]
        fit = list(narrow(fit)) or fit
        return fit[0] if len(fit) == 1 else next_by_weight(fit, self._credit_of(model))

    def _credit_of(self, model: Model) -> dict[str, float]:
        credit = self._credit.get(model.name)
        if credit is None or not credit.keys() <= {one.id for one in model.deployments}:
            credit = {one.id: self._draw() * one.weight for one in model.deployments}
            self._credit[model.name] = credit
        return credit

    def wait_s(self, model: Model, subject: str) -> float:
        """How long a model rests yet for `subject`, in seconds: until the first of its deployments does not."""
        return min(self.cooldowns.wait_s(key, subject) for key in keys_of(model))

    def probe(self, model: Model, subject: str) -> Model | None:
        """A model that rests, with the deployment on which one request may be tried; `None` if none may."""
        for key in keys_of(model):
            if self.cooldowns.may_probe(key, subject):
                return with_only(model, key)
        return None


def keys_of(model: Model) -> list[str]:
    """By what cooldowns know a model: its deployments, or its own name."""
    return [one.id for one in model.deployments] or [model.name]


def with_only(model: Model, ident: str) -> Model:
    """The model with one of its deployments, if it has several."""
    found = model.deployment(ident)
    return model if found is None else replace(model, deployments=(found,))
