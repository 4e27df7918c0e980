"""Fills in tiers that the config leaves open: their models by the tiers that models name, or the product's own
tiers."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from scalix.domain.model_names import NOT, fits
from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step
from scalix.launch.problems import fix_for, nearest

_TIER = "tier"
_FEATURES = ["lazy_edits", "smart_context", "advanced_reasoning"]
# As in the litellm_proxy_config.yaml that is delivered, which the operator may have changed.
SHIPPED: Mapping[str, Any] = {
    "default_tier": "free",
    "upgrade_url": "https://scalix.world/pricing",
    "tiers": {
        "free": {
            "requests": {"hour": 10, "day": 50},
            "tokens": {"day": 10_000},
            "max_output_tokens": 2048,
            "models": ["free-*"],
            "priority": "low",
            "on_store_failure": "deny",
        },
        "pro": {
            "requests": {"hour": 100},
            "tokens": {"day": 100_000},
            "max_output_tokens": 8192,
            "models": ["free-*", "scalix-engine", "scalix-gateway"],
            "features": _FEATURES,
            "on_store_failure": "allow",
        },
        "premium": {"models": ["*"], "features": _FEATURES, "priority": "high", "on_store_failure": "allow"},
    },
    "prices": {"markup": {"free": 0, "pro": 0, "premium": 1}},
}


def complete_tiers(findings: Findings) -> list[str]:
    """Complete the tiers in the file's data. Returns lines for the operator.

    A model that names a tier (`tier` in its `metadata` or `model_info`) is in that tier and those after it. Other
    models are in the tiers whose patterns match them. Where no model names a tier, every open tier has all
    models.
    """
    source = findings.source
    # A misspelt section may be meant for ours: what it says must not be passed over.
    section = source.data.get("scalix", {} if nearest("scalix", source.names()) is None else None)
    if not isinstance(section, dict):
        return []
    if "tiers" in section:
        written = section["tiers"]
        if not isinstance(written, dict) or not all(isinstance(tier, dict) for tier in written.values()):
            return []
        tiers = dict(written)
        patterns: dict[Any, list[str]] = {name: [] for name, tier in tiers.items() if "models" not in tier}
        if not patterns:
            return []
        last = next(reversed(tiers))
        if last in patterns:
            patterns[last] = ["*"]
    else:
        section = _over_shipped(section)
        tiers = section["tiers"]
        patterns = {name: tier["models"] for name, tier in tiers.items()}
    named, notes = _named_tiers(findings, list(map(str, tiers)))
    for index, name in enumerate(tiers):
        if name in patterns:
            tiers[name] = {**tiers[name], "models": _models_of(index, patterns[name], named)}
    source.data["scalix"] = {**section, "tiers": tiers}
    return notes


def _over_shipped(section: Mapping[str, Any]) -> dict[str, Any]:
    shipped = deepcopy(dict(SHIPPED))
    if isinstance(section.get("prices"), dict):
        shipped["prices"] |= section["prices"]
    return {**shipped, **{name: value for name, value in section.items() if name != "prices" or not value}}


def _models_of(index: int, patterns: list[str], named: Mapping[str, int | None]) -> list[str]:
    """Return the models of the tier at `index`. `named` has every model of the file, with the index of the tier
    it names."""
    if not any(tier is not None for tier in named.values()):
        return ["*"]
    if "*" in patterns and all(tier is None or tier <= index for tier in named.values()):
        return ["*"]
    had = [
        model
        for model, tier in named.items()
        if (tier <= index if tier is not None else any(fits(pattern, model) for pattern in patterns))
    ]
    # A wildcard would bring in what another line of the file puts into a dearer tier.
    wild = [model for model in had if "*" in model]
    others = [model for model in named if model not in had and ("*" in model or any(fits(w, model) for w in wild))]
    return [*had, *(NOT + model for model in others)] if wild else had


def _named_tiers(findings: Findings, tiers: list[str]) -> tuple[dict[str, int | None], list[str]]:
    """Return each model with the index of the tier that it names, of several the dearest, and notes about those."""
    source = findings.source
    found: dict[str, int | None] = {}
    notes: dict[str, str] = {}
    for number, model in enumerate(source.listed("model_list")):
        if not isinstance(model, dict) or not isinstance(model.get("model_name"), str):
            continue
        name = model["model_name"]
        found.setdefault(name, None)
        for place in (("litellm_params", "metadata"), ("model_info",)):
            holder: tuple[Step, ...] = ("model_list", number, *place)
            for slip in _slips(source.mapping(*holder), tiers):
                findings.wrong((*holder, slip), f"'{name}' has no '{slip}'", "write tier, with the name of one tier")
            steps = (*holder, _TIER)
            tier = source.at(steps)
            if tier is None:
                continue
            if tier not in tiers:
                what = f"'{name}' is in the tier '{tier}', which is none"
                findings.wrong(steps, what, fix_for(str(tier), tiers, "tier: "))
                continue
            before, index = found[name], tiers.index(tier)
            found[name] = index if before is None else max(before, index)
            if before is not None and before != index:
                dearest = tiers[max(before, index)]
                notes[name] = f"{source.where(steps)}: '{name}' is put into several tiers; it counts as {dearest}"
    return found, list(notes.values())


def _slips(holder: Mapping[Any, Any], tiers: list[str]) -> list[str]:
    """Return the fields that were probably meant to be `tier`."""
    return [
        field
        for field, value in holder.items()
        if field != _TIER and isinstance(field, str) and nearest(field, [_TIER]) is not None
        if any(word in tiers for word in (value if isinstance(value, list) else [value]))
    ]
