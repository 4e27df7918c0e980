"""What a caller reads who asks for a model or a feature of another tier."""

from collections.abc import Sequence
from typing import Any

from scalix.domain.errors import FeatureNotAllowed, GatewayError, ModelNotAllowed
from scalix.domain.policy import Policy
from scalix.domain.requests.features import FIELD as OPTIONS
from scalix.service.identity.callers import Caller


def missing_feature(policy: Policy, caller: Caller, wanted: Sequence[str]) -> GatewayError | None:
    """The refusal of the first feature that the caller's tier does not have; `None`: it has them all."""
    for feature in wanted:
        if caller.tier is not None and feature not in caller.tier.features:
            having = [tier.name for tier in policy.tiers.values() if feature in tier.features]
            message, details = _belongs_to(f"The feature '{feature}'", having, caller)
            return FeatureNotAllowed(message, param=f"{OPTIONS}.enable_{feature}", details=details)
    return None


def not_allowed(policy: Policy, caller: Caller, model: str) -> GatewayError:
    """The refusal of a model that the caller's key or tier does not have."""
    if caller.key is not None and not caller.key.allows(model):
        message = f"This API key may not use the model '{model}'. GET /v1/models lists those that it may."
        return ModelNotAllowed(message, param="model", details={"key_models": list(caller.key.models)})
    message, details = _belongs_to(f"The model '{model}'", [tier.name for tier in policy.tiers_with(model)], caller)
    return ModelNotAllowed(message, param="model", details=details)


def _belongs_to(what: str, having: list[str], caller: Caller) -> tuple[str, dict[str, Any]]:
    """The message and the details for something that other tiers have."""
    mine = caller.tier.name if caller.tier else "this"
    where = f"It is in the {_listed(having)} tier{'s' if len(having) > 1 else ''}." if having else "No tier has it."
    upgrade = caller.tier.upgrade_url if caller.tier else None
    message = f"{what} is not in the {mine} tier. {where}" + (f" Upgrade at {upgrade}." if upgrade else "")
    details: dict[str, Any] = {"tier": mine, "available_in": having}
    if upgrade:
        details["upgrade_url"] = upgrade
    return message, details


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
