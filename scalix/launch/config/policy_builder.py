"""Builds the domain's `Policy` from what the config file says."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scalix.domain.fallbacks import Cooldown, Retries
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.prices.pricing import Price
from scalix.domain.privacy import PrivacySettings
from scalix.domain.requests.guard import LOOPBACK, GuardSettings, Overload
from scalix.launch.config.config_schema import CountWindows, Deployment, ScalixSection, SpendWindows, TierSection
from scalix.launch.config.offered import mode_of
from scalix.launch.config.price_map_file import Entry
from scalix.launch.litellm.taken import Taken


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
        guard=replace(_guard(section), user_header=taken.user_header),
        key_defaults=taken.key_defaults,
        key_bounds=taken.key_bounds,
        retention=Retention(**section.retention.model_dump()),
        privacy=PrivacySettings(**section.privacy.model_dump()),
        fallbacks={model: tuple(chain) for model, chain in section.fallbacks.items()},
        retries=Retries(**section.retries.model_dump(exclude_none=True)),
        cooldown=Cooldown(**section.cooldown.model_dump()),
    )


def _guard(section: ScalixSection) -> GuardSettings:
    """The settings of the front door, as plain data."""
    rules, overload = section.ip_rules, section.overload
    exempt = LOOPBACK if overload.exempt is None else tuple(map(str, overload.exempt))
    return GuardSettings(
        allowed_hosts=tuple(section.allowed_hosts),
        ip_allow=tuple(map(str, rules.allow)),
        ip_deny=tuple(map(str, rules.deny)),
        overload=Overload(**{**overload.model_dump(), "exempt": exempt}),
        extra_body_fields={name: tuple(fields) for name, fields in section.extra_body_fields.items()},
        strict_bodies=section.strict_bodies,
        cors_origins=tuple(section.cors.origins),
    )


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
    windows = (
        *_limits(Metric.REQUESTS, section.requests, section.enforce),
        *_limits(Metric.TOKENS, section.tokens, section.enforce),
        *_limits(Metric.SPEND, section.spend_usd, section.enforce),
    )
    concurrent = section.concurrent
    return Tier(
        name=name,
        limits=Limits(
            windows=windows,
            concurrent=concurrent.limit if concurrent else None,
            enforce_concurrent=section.enforce and (concurrent is None or concurrent.enforce),
        ),
        max_output_tokens=section.max_output_tokens,
        models=tuple(section.models),
        features=frozenset(section.features),
        priority=section.priority,
        on_store_failure=section.on_store_failure,
        upgrade_url=section.upgrade_url or upgrade_url,
        markup_ppm=markup_ppm,
        prepaid=section.prepaid,
        allow_foreign_ids=section.allow_foreign_ids,
    )


def _limits(metric: Metric, windows: CountWindows | SpendWindows | None, enforce: bool) -> list[Limit]:
    """The limits of one metric, shortest window first."""
    found = []
    for window in Window:
        written = getattr(windows, window.value, None)
        if written is not None:
            found.append(Limit(metric, window, written.limit, enforce and written.enforce))
    return found
