"""Builds the domain's `Policy` from the validated config."""

from collections.abc import Iterator, Mapping, Sequence

from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.prices.pricing import Price
from scalix.domain.requests.guard import GuardSettings
from scalix.launch.config.config_schema import Deployment, ScalixSection, TierSection
from scalix.launch.config.offered import mode_of
from scalix.launch.config.price_map_file import Entry
from scalix.launch.config.schema_base import as_written
from scalix.launch.litellm.taken import Taken

_OF_A_TIER = (
    *("models", "features", "max_output_tokens", "priority", "on_store_failure", "prepaid", "allow_foreign_ids"),
    "self_service_keys",
)


def build_policy(
    section: ScalixSection,
    models: Mapping[str, Model],
    wildcards: Mapping[str, Model],
    taken: Taken,
) -> Policy:
    """Build the policy with `models` in service. `taken` is what LiteLLM's settings add to it."""
    markup = section.prices.markup
    tiers = {
        name: _tier(name, tier, section.upgrade_url, markup.get(name, PPM)) for name, tier in section.tiers.items()
    }
    return Policy(
        tiers=tiers,
        default_tier=section.default_tier,
        models=dict(models),
        wildcards=dict(wildcards),
        aliases={alias: model for alias, model in taken.aliases.items() if model in models},
        guard=GuardSettings(
            ip_allow=section.ip_rules.allow,
            ip_deny=section.ip_rules.deny,
            user_header=taken.user_header,
            cors_origins=section.cors.origins,
            **as_written(section, "allowed_hosts", "overload", "extra_body_fields", "strict_bodies"),
        ),
        key_defaults=taken.key_defaults,
        key_bounds=taken.key_bounds,
        routing_strategy=taken.routing_strategy,
        routes={
            name: {tier: tuple(rules) for tier, rules in by_tier.items()} for name, by_tier in section.routes.items()
        },
        **as_written(section, "retention", "backup", "privacy", "fallbacks", "retries", "cooldown", "ui"),
    )


def build_model(
    name: str,
    deployments: Sequence[Deployment],
    provider_model: str,
    prices: tuple[Price, ...] = (),
    known: Sequence[Entry] = (),
) -> Model:
    """Build the public model that `deployments` serve together, with the least of their maxima.

    `known` are their entries in the price map, which count where the deployments say nothing themselves.
    """
    infos = [info for item in deployments for info in (item.model_info, item.litellm_params.metadata) if info]
    maxima = {info.max_output_tokens or info.max_tokens for info in infos}
    prompts = {info.max_input_tokens for info in infos}
    thinks = {info.supports_reasoning for info in infos} - {None}
    modes = [mode_of(item.model_info.extra, entry) for item, entry in zip(deployments, known, strict=False)]
    if not thinks and known and all(known):
        thinks = {bool(entry.get("supports_reasoning")) for entry in known}
    return Model(
        name=name,
        provider_model=provider_model,
        max_output_tokens=_least(maxima, known, "max_output_tokens"),
        max_input_tokens=_least(prompts, known, "max_input_tokens"),
        prices=prices,
        thinks=any(thinks) if thinks else None,
        mode=next((mode for mode in modes if mode is not None), None),
    )


def _least(stated: set[int | None], known: Sequence[Entry], name: str) -> int | None:
    """Return the least number that is stated, else the least that the price map has under `name`."""
    of_map = {entry[name] for entry in known if isinstance(entry.get(name), int) and entry[name] > 0}
    return min({number for number in stated if number is not None} or of_map, default=None)


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
        **as_written(section, *_OF_A_TIER),
    )


def _limits(section: TierSection) -> Iterator[Limit]:
    """Yield a tier's limits, grouped by metric, the shortest window first."""
    for metric in Metric:
        for window in Window:
            written = getattr(getattr(section, metric.value), window.value, None)
            if written is not None:
                yield Limit(metric, window, written.limit, section.enforce and written.enforce)
