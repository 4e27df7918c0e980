"""Finds the price of each model: in LiteLLM's price map, overridden by the deployment, overridden by
`scalix.prices`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import re2

from scalix.domain.prices.peak_prices import one_price
from scalix.domain.prices.price_map import is_price_name, read_price
from scalix.domain.prices.pricing import Price
from scalix.domain.prices.rate_names import CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, INPUT, OUTPUT, REQUEST
from scalix.launch.config.config_schema import Deployment, ScalixSection
from scalix.launch.config.price_map_file import Entry, map_entry, map_version

INFO_VERSION, CONFIG_VERSION = "info", "config"
# What a deployment that states its own price still has from the map, as in LiteLLM.
_FROM_MAP = (CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H)
_TABLES = ("tiered_pricing", "off_peak_pricing")
# How Bedrock is called may stand in a model's name; the map leaves it out.
_BEDROCK = re2.compile("^bedrock/(converse|converse_like|invoke)/")
_MILLION = 1_000_000
_STATED = {
    "input_usd_per_million": INPUT,
    "output_usd_per_million": OUTPUT,
    "cached_input_usd_per_million": CACHE_READ,
    "cache_write_usd_per_million": CACHE_WRITE,
}
# A price for prompts or for answers takes the place of all finer ones of its kind.
_FINER = {
    "input_usd_per_million": ("input_cost_per_", "cache_", *_TABLES),
    "output_usd_per_million": ("output_cost_per_", *_TABLES),
}


def map_names(deployments: Iterable[Deployment]) -> frozenset[str]:
    """Return every name under which the price map may have one of `deployments`."""
    return frozenset(name for deployment in deployments for name in _names(deployment))


def known_entry(deployment: Deployment, names: frozenset[str]) -> Entry:
    """Return the price map's entry for a deployment; empty if it has none."""
    return map_entry(names, *_names(deployment))


def prices_of(
    name: str, deployments: Sequence[Deployment], section: ScalixSection, names: frozenset[str]
) -> tuple[Price, ...]:
    """Return the prices of a public model, the oldest first. Of several deployments the dearest counts, for each
    rate."""
    found = [_deployment_entry(deployment, names) for deployment in deployments]
    prices = [
        read_price(entry, version, provider=_provider(deployment), regional=_is_regional(deployment))
        for deployment, (entry, version) in zip(deployments, found, strict=True)
        if version
    ]
    base = [one_price(prices)] if prices else []
    entry = found[0][0] if found else {}
    for stated in section.prices.models.get(name, []):
        written = _laid_over(entry, stated.model_dump(exclude_none=True, exclude={"since"}))
        price = read_price(written, stated.since or CONFIG_VERSION, from_ms=moment_ms(stated.since))
        base = [*(other for other in base if other.from_ms != price.from_ms), price]
    return tuple(sorted(base, key=lambda price: price.from_ms))


def moment_ms(moment: str | None) -> int:
    """Return a price's `from` (UTC) as Unix time in milliseconds; 0 without one."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000 if moment else 0


def _laid_over(entry: Entry, written: Mapping[str, Decimal]) -> dict[str, Any]:
    replaced = tuple(prefix for key in written for prefix in _FINER.get(key, ()))
    kept = {name: value for name, value in entry.items() if not (replaced and name.startswith(replaced))}
    for key, usd in written.items():
        kept[_STATED.get(key, REQUEST)] = usd / _MILLION if key in _STATED else usd
    return kept


def _deployment_entry(deployment: Deployment, names: frozenset[str]) -> tuple[dict[str, Any], str]:
    """Return a deployment's price in LiteLLM's words, and the price's version; both empty if nobody knows it."""
    params = deployment.litellm_params
    known = dict(known_entry(deployment, names))
    stated: dict[str, Any] = {}
    for part in (params.metadata, deployment.model_info, params):
        if part is not None:
            members = {**part.model_dump(exclude_none=True), **part.extra}
            stated |= {key: value for key, value in members.items() if is_price_name(key) or key in _TABLES}
    if not stated:
        return (known, map_version()) if known else ({}, "")
    if INPUT in stated or OUTPUT in stated:
        known = {key: known[key] for key in (*_FROM_MAP, INPUT, OUTPUT) if known.get(key) is not None}
    return {**known, **stated}, INFO_VERSION


def _names(deployment: Deployment) -> tuple[str, ...]:
    params = deployment.litellm_params
    own, model = params.extra.get("custom_llm_provider"), params.model
    ours = f"{own}/{model}" if own else None
    names = (base_model_of(deployment), ours, model, model.partition("/")[2], _BEDROCK.sub("", model))
    return tuple(name for name in names if name)


def base_model_of(deployment: Deployment) -> str | None:
    """Return the model behind a deployment of a free name (Azure): `base_model`, in either place where LiteLLM
    reads it."""
    found = (place.extra.get("base_model") for place in (deployment.model_info, deployment.litellm_params))
    return next((name for name in found if isinstance(name, str) and name), None)


def _provider(deployment: Deployment) -> str:
    own = deployment.litellm_params.extra.get("custom_llm_provider")
    return str(own or deployment.litellm_params.model.partition("/")[0])


def _is_regional(deployment: Deployment) -> bool:
    """Whether a deployment may be served from a region that costs more. Only LiteLLM knows which region it is."""
    extra = deployment.litellm_params.extra
    address = str(extra.get("api_base") or extra.get("base_url") or "")
    named = any(extra.get(name) for name in ("vertex_location", "vertex_ai_location"))
    return named or "api.openai.com" in address or address.startswith(("${", "os.environ/"))
