"""`scalix_options` on their way to a provider: only deployments whose `model_info.features` name an option get it.

They are added when a deployment has been chosen, so that a fallback of another provider never sees them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.requests.features import FIELD, options_for
from scalix.service.exchange.exchanges import CURRENT


def with_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call to a deployment, with the options of the running request that it knows."""
    exchange = CURRENT.get()
    if exchange is None or not exchange.admission.offer.options:
        return kwargs
    features = _features(kwargs)
    known = options_for(exchange.admission.offer.options, features) if features else {}
    if not known:
        return kwargs
    return {**kwargs, "extra_body": {**(kwargs.get("extra_body") or {}), FIELD: known}}


def infos_of(kwargs: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The `model_info` of the deployment that a call is for, from each place where LiteLLM may have put it."""
    for place in (kwargs, kwargs.get("metadata"), kwargs.get("litellm_metadata")):
        info = place.get("model_info") if isinstance(place, Mapping) else None
        if isinstance(info, Mapping):
            yield info


def _features(kwargs: Mapping[str, Any]) -> list[str]:
    named = (info.get("features") for info in infos_of(kwargs))
    return next((features for features in named if isinstance(features, list)), [])
