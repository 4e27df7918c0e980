"""Builds the domain's `Policy` from what the config file says."""

from collections.abc import Mapping, Sequence

from scalix.domain.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.retention import Retention
from scalix.launch.config_schema import CountWindows, Deployment, ScalixSection, SpendWindows, TierSection
from scalix.launch.guard_builder import build_guard


def build_policy(section: ScalixSection, models: Mapping[str, Model]) -> Policy:
    """The policy with `models` in service. Its names must have been checked with `scalix.launch.config_names`."""
    tiers = {name: _tier(name, tier, section.upgrade_url) for name, tier in section.tiers.items()}
    return Policy(
        tiers=tiers,
        default_tier=section.default_tier,
        models=dict(models),
        guard=build_guard(section),
        retention=Retention(**section.retention.model_dump()),
    )


def build_model(name: str, deployments: Sequence[Deployment], provider_model: str) -> Model:
    """The public model over `deployments`: the least maximum that each can do, the dearest price that each may cost."""
    maxima, inputs, outputs = set[int](), set[int](), set[int]()
    for deployment in deployments:
        params = deployment.litellm_params
        for info in (deployment.model_info, params.metadata):
            if info is not None:
                maxima.update(value for value in (info.max_output_tokens or info.max_tokens,) if value is not None)
        for prices in (deployment.model_info, params, params.metadata):
            if prices is not None:
                inputs.update(value for value in (prices.input_cost_per_token,) if value is not None)
                outputs.update(value for value in (prices.output_cost_per_token,) if value is not None)
    return Model(
        name=name,
        provider_model=provider_model,
        max_output_tokens=min(maxima, default=None),
        input_pico_usd_per_token=max(inputs, default=None),
        output_pico_usd_per_token=max(outputs, default=None),
    )


def _tier(name: str, section: TierSection, upgrade_url: str | None) -> Tier:
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
    )


def _limits(metric: Metric, windows: CountWindows | SpendWindows | None, enforce: bool) -> list[Limit]:
    """The limits of one metric, shortest window first."""
    found = []
    for window in Window:
        written = getattr(windows, window.value, None)
        if written is not None:
            found.append(Limit(metric, window, written.limit, enforce and written.enforce))
    return found
