"""Has LiteLLM's router ask the one of several deployments that the edge has chosen, and notes which one was asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from scalix.litellm_adapter.model_options import infos_of
from scalix.service.exchange.exchanges import CURRENT


def only_the_chosen(deployments: Sequence[Any]) -> Sequence[Any]:
    """Of the router's `deployments` the one that is chosen for the running request; all of them if none is."""
    exchange = CURRENT.get()
    chosen = exchange.attempt.deployment_id if exchange is not None else ""
    if not chosen:
        return deployments
    return [one for one in deployments if (one.get("model_info") or {}).get("id") == chosen] or deployments


def note_deployment(kwargs: Mapping[str, Any]) -> None:
    """Note whom a call is for: where LiteLLM has chosen, nobody else knows. `kwargs` are the call's arguments."""
    exchange = CURRENT.get()
    if exchange is None:
        return
    attempt, admission = exchange.attempt, exchange.admission
    model = admission.offer.models.get(attempt.model or admission.model)
    if model is None or not model.deployments:
        return
    for info in infos_of(kwargs):
        ident = info.get("id")
        if isinstance(ident, str) and model.deployment(ident) is not None:
            attempt.deployment_id = ident
            return
