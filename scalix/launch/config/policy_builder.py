"""Builds the domain's `Policy` from what the config file says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.prices.pricing import Price
from scalix.domain.requests.guard import GuardSettings
from scalix.launch.config.config_schema import Deployment, ScalixSection, TierSection
from scalix.launch.config.offered import mode_of
from scalix.launch.config.price_map_file import Entry
from scalix.launch.config.schema_base import Section
from scalix.launch.litellm.taken import Taken

_OF_A_TIER = ("models", "features", "max_output_tokens", "priority", "on_store_failure", "prepaid", "allow_foreign_ids")


def build_policy(
    section: ScalixSection,
    models: Mapping[str, Model],
    wildcards: Mapping[str, Model] | None = None,
    taken: Taken | None = None,
) -> Policy:
    """The policy with `models` in service. Its names must have been checked with `config_names`."""
    taken = taken or Taken()
    markup = section.prices.markup
    tiers = {
        name: _tier(name, tier, section.upgrade_url, markup.get(name, PPM)) for name, tier in section.tiers.items()
    }
    return Policy(
        tiers=tiers,
        default_tier=section.default_tier,
        models=dict(models),
        wildcards=dict(wildcards or {}),
        aliases={alias: model for alias, model in taken.aliases.items() if model in models},
        guard=GuardSettings(
            ip_allow=section.ip_rules.allow,
            ip_deny=section.ip_rules.deny,
            user_header=taken.user_header,
            cors_origins=section.cors.origins,
            **_as_written(section, "allowed_hosts", "overload", "extra_body_fields", "strict_bodies"),
        ),
        key_defaults=taken.key_defaults,
        key_bounds=taken.key_bounds,
        **_as_written(section, "retention", "privacy", "fallbacks", "retries", "cooldown"),
    )


def _as_written(section: Section, *names: str) -> dict[str, Any]:
    """Settings that the domain has under the same name and in the same shape."""
    return {name: getattr(section, name) for name in names}


def build_model(
    name: str,
    deployments: Sequence[Deployment],
    provider_model: str,
    prices: tuple[Price, ...] = (),
    known: Sequence[Entry] = (),
) -> Model:
    """The public model over `deployments`: the least maximum that each can do. `known` is what LiteLLM's map says of
    them, which counts where they say nothing themselves."""
    maxima, prompts, thinks = set[int](), set[int](), set[bool]()
    for deployment in deployments:
        for info in (deployment.model_info, deployment.litellm_params.metadata):
            if info is not None:
                maxima.update(value for value in (info.max_output_tokens or info.max_tokens,) if value is not None)
                prompts.update(value for value in (info.max_input_tokens,) if value is not None)
                thinks.update(value for value in (info.supports_reasoning,) if value is not None)
    modes = [mode_of(item.model_info.model_extra or {}, entry) for item, entry in zip(deployments, known, strict=False)]
    if not thinks and known and all(known):
        thinks = {bool(entry.get("supports_reasoning")) for entry in known}
    return Model(
        name=name,
        provider_model=provider_model,
        max_output_tokens=min(maxima or _said(known, "max_output_tokens"), default=None),
        max_input_tokens=min(prompts or _said(known, "max_input_tokens"), default=None),
        prices=prices,
        thinks=any(thinks) if thinks else None,
        mode=next((mode for mode in modes if mode is not None), None),
    )


def _said(known: Sequence[Entry], name: str) -> set[int]:
    return {entry[name] for entry in known if isinstance(entry.get(name), int) and entry[name] > 0}


def _tier(name: str, section: TierSection, upgrade_url: str | None, markup_ppm: int) -> Tier:
    concurrent = section.concurrent
    return Tier(
        name=name,
        limits=Limits(
            windows=tuple(_limits(section)),
            concurrent=concurrent.limit if concurrent else None,
            enforce_concurrent=section.enforce and (concurrent is None or concurrent.enforce),
        ),
        upgrade_url=section.upgrade_url or upgrade_url,
        markup_ppm=markup_ppm,
        **_as_written(section, *_OF_A_TIER),
    )


def _limits(section: TierSection) -> Iterator[Limit]:
    """A tier's limits by metric, of each the shortest window first."""
    for metric in Metric:
        for window in Window:
            written = getattr(getattr(section, metric.value), window.value, None)
            if written is not None:
                yield Limit(metric, window, written.limit, section.enforce and written.enforce)
