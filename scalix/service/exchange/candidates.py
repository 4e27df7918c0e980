"""Which models may serve a request: the one asked for, and its fallbacks, as far as they are in working order."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from scalix.domain.errors import GatewayError, ModelAtLimit, ProviderFailed
from scalix.domain.failures import ErrorClass
from scalix.domain.fallbacks import Retries, may_serve
from scalix.domain.limits.durations import in_words
from scalix.domain.policy import Model
from scalix.domain.requests.model_fields import EVERYTHING, KnownFields
from scalix.service.deployments.chooser import Chooser
from scalix.service.exchange.asked_prices import limited_money
from scalix.service.exchange.model_routing import ModelRouting
from scalix.service.identity.callers import Caller
from scalix.service.policy_source import PolicySource


@dataclass(frozen=True, slots=True)
class Candidates:
    """The models to try, in order. `is_probe`: the one that there is cools down, and is tried all the same."""

    models: tuple[Model, ...]
    is_probe: bool
    retries: Retries


class Fallbacks:
    """Finds the candidates for a request. `facts` completes a configured model with what else is known of it; `now_ms`
    gives Unix time; `routing` chooses the model of those that name none."""

    def __init__(
        self,
        policy: PolicySource,
        chooser: Chooser,
        routing: ModelRouting,
        *,
        facts: Callable[[Model], Model],
        now_ms: Callable[[], int],
        known: KnownFields = lambda model, route: EVERYTHING,
    ) -> None:
        self._policy = policy
        self._facts = facts
        self._now_ms = now_ms
        self.chooser = chooser
        self.routing = routing
        self.cooldowns = chooser.cooldowns
        self.known = known

    def named(self, body: dict[str, Any]) -> None:
        """Write the name of the model into a body that calls it by a second one."""
        aliases = self._policy.current.aliases
        if aliases and isinstance(body.get("model"), str):
            body["model"] = aliases.get(body["model"], body["model"])

    def candidates(self, caller: Caller, asked: object, *, answers: bool = True, alone: bool = False) -> Candidates:
        """The models that may serve a request of `caller` for `asked`, those that cool down left out. `answers`:
        whether it is for more than embeddings. `alone`: no other model knows what the request speaks of.

        Raises `ProviderFailed` if that leaves none. Of a model that the caller may not use there are no candidates:
        admission says why.
        """
        policy = self._policy.current
        known = policy.models_with(asked) if isinstance(asked, str) else {}
        if not isinstance(asked, str) or asked not in known or not caller.allows(asked):
            return Candidates((), False, policy.retries)
        subject = str(caller.subject)
        names = may_serve(asked, policy.fallbacks, known, caller.allows, 1 if alone else policy.retries.models)
        waits_s = {name: wait_s for name in names if (wait_s := self.chooser.wait_s(known[name], subject)) > 0}
        models = tuple(self._facts(known[name]) for name in names)
        if len(models) > 1 and limited_money(caller) is not None:
            models = (models[0], *(model for model in models[1:] if self._has_price(model, answers)))
        fit = tuple(model for model in models if model.name not in waits_s)
        if fit:
            return Candidates(fit, False, policy.retries)
        probe = self.chooser.probe(models[0], subject)
        if probe is None:
            wait_s = max(1, math.ceil(min(waits_s[model.name] for model in models)))
            raise at_limit(asked, wait_s) if self.chooser.is_full(models[0]) else _cools_down(asked, wait_s)
        return Candidates((probe,), True, policy.retries)

    def narrowed(
        self, candidates: Candidates, caller: Caller, serving: Collection[str], *, answers: bool = True
    ) -> Candidates:
        """Those of the candidates that are among `serving`, which were found later than they, for `caller` as the
        record was then."""
        is_limited = limited_money(caller) is not None
        models = tuple(
            model
            for model in candidates.models
            if model.name in serving and (not is_limited or self._has_price(model, answers))
        )
        return replace(candidates, models=models)

    def _has_price(self, model: Model, answers: bool) -> bool:
        price = model.price_at(self._now_ms())
        return price is not None and price.has_rates(answers=answers)


def at_limit(asked: str, wait_s: int) -> GatewayError:
    """The error where no deployment has room, and no other model can serve."""
    message = (
        f"The servers of '{asked}' have had all the requests or tokens of this minute that the gateway's operator lets "
        "them have. That is no limit of yours, and nothing was charged. "
        f"Try again {in_words(1000 * wait_s)}, or use another model."
    )
    return ModelAtLimit(message, details={"limit": "deployment-minute", "model": asked}, retry_after_s=wait_s)


def _cools_down(asked: str, wait_s: int) -> GatewayError:
    message = (
        f"The provider of '{asked}' has kept failing, so it is asked again {in_words(1000 * wait_s)}, and not before. "
        "Nothing was charged. Try again then, or use another model."
    )
    category = {"category": str(ErrorClass.PROVIDER_DOWN)}
    return ProviderFailed(message, details=category, retry_after_s=wait_s, reason="it rests after failures")
