"""Which model a request names, and whether its caller may use it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scalix.domain.errors import BadRequest, ModelNotFound
from scalix.domain.policy import Model, Policy
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.domain.requests.model_names import did_you_mean
from scalix.service.exchange.not_allowed import missing_feature, not_allowed
from scalix.service.exchange.outage import store_is_down
from scalix.service.identity.callers import Caller
from scalix.store.base import StoreUnavailable

ModelFacts = Callable[[Model], Model]


class ModelAccess:
    """Judges model and features of a request. `facts` completes a configured model with what else is known of it."""

    def __init__(self, facts: ModelFacts = lambda model: model) -> None:
        self._facts = facts

    def model(self, policy: Policy, caller: Caller, body: Mapping[str, Any]) -> Model:
        """The model that a body names. Raises `BadRequest`, `ModelNotFound`."""
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise BadRequest("'model' is missing: name one of the models that GET /v1/models lists.", param="model")
        model = policy.models_with(name).get(name)
        if model is None:
            meant = did_you_mean(name, filter(caller.allows, policy.models))
            message = f"The model '{shown_text(name)}' does not exist here. {meant}GET /v1/models lists those that do."
            raise ModelNotFound(message, param="model")
        return self._facts(model)

    async def allowed(self, policy: Policy, caller: Caller, model: Model, wants: Sequence[str]) -> Caller:
        """The caller, read anew if that is what it takes to let them use `model` and the features that they want.

        Raises `ModelNotAllowed`, `FeatureNotAllowed`.
        """
        if not caller.allows(model.name) or missing_feature(policy, caller, wants):
            caller = await self.reread(caller)
        if not caller.allows(model.name):
            raise not_allowed(policy, caller, model.name)
        missing = missing_feature(policy, caller, wants)
        if missing is not None:
            raise missing
        return caller

    async def reread(self, caller: Caller) -> Caller:
        """The caller by the store's record of now. Raises `StoreIsDown`."""
        if caller.reread is None:
            return caller
        try:
            return await caller.reread()
        except StoreUnavailable as fault:
            raise store_is_down(fault) from None
