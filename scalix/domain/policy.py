"""The operator's configuration: tiers, models, and which tier may use which models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from scalix.domain.backup import BackupSettings
from scalix.domain.deployments import WEIGHTS, Deployment, Served
from scalix.domain.engines import LITELLM, Engine
from scalix.domain.fallbacks import Cooldown, Retries
from scalix.domain.health_checks import HealthChecks
from scalix.domain.identity.addresses import Network
from scalix.domain.identity.identity import Issuer
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.limits import UNLIMITED, Limits
from scalix.domain.model_names import filled_in, is_servable, permits
from scalix.domain.model_routes import Rule
from scalix.domain.pages import PageSettings
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.prices.pricing import Price
from scalix.domain.privacy import PrivacySettings
from scalix.domain.requests.guard import GuardSettings

OnStoreFailure = Literal["deny", "allow"]
Priority = Literal["low", "normal", "high"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One plan. `models` are exact names or `*` patterns; those after a `!` are excluded. `max_output_tokens` of `None`
    leaves the cap to the model.

    Users are billed the provider's cost times `markup_ppm` parts per million; with `prepaid` their balance must cover
    it. `allow_foreign_ids`: they may use ids of a provider's objects that this gateway did not give to them, such as
    files that the operator has uploaded. `self_service_keys`: so many virtual keys they may make for themselves.
    """

    name: str
    limits: Limits = UNLIMITED
    max_output_tokens: int | None = None
    models: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    priority: Priority = "normal"
    on_store_failure: OnStoreFailure = "deny"
    upgrade_url: str | None = None
    markup_ppm: int = PPM
    prepaid: bool = False
    allow_foreign_ids: bool = False
    self_service_keys: int = 0

    def allows(self, model: str) -> bool:
        """Whether this tier may use `model`, an exact configured name."""
        return permits(self.models, model)


@dataclass(frozen=True, slots=True)
class Model(Served):
    """One public model name. `prices` are ordered by the time from which they apply, the oldest first. `thinks`: it may
    reason without showing it. `of_wildcard`: it was found by a wildcard and is not in the config itself. `mode` is
    LiteLLM's word for its kind, such as `embedding`. `None` means unknown. `engine` is what asks its provider.

    Where the config has several `deployments` of the name, the prices are the dearest and the maxima the least of
    theirs, and each has its engine and limits; where it has one, there are none here."""

    name: str
    provider_model: str
    max_output_tokens: int | None = None
    prices: tuple[Price, ...] = ()
    max_input_tokens: int | None = None
    thinks: bool | None = None
    of_wildcard: bool = False
    mode: str | None = None
    deployments: tuple[Deployment, ...] = ()
    engine: Engine = LITELLM
    rpm: int | None = None
    tpm: int | None = None

    @property
    def id(self) -> str:
        """What it is called where it has no several deployments."""
        return self.name

    @property
    def ways(self) -> "Sequence[Deployment | Model]":
        """The deployments, or the model itself where it has no several."""
        return self.deployments or (self,)

    def deployment(self, ident: str) -> Deployment | None:
        """The deployment with this id; `None` if there is none."""
        return next((one for one in self.deployments if one.id == ident), None)

    def unpriced(self) -> "Model":
        """The same without prices, which a reload may change, and without engines, which may depend on them."""
        unpriced = tuple(replace(one, prices=(), engine=LITELLM) for one in self.deployments)
        return replace(self, prices=(), engine=LITELLM, deployments=unpriced)


def served_by(wildcards: Mapping[str, Model], name: str) -> Model | None:
    """The model for `name` by the first wildcard that fits; `None` if none does."""
    if wildcards and is_servable(name):
        for pattern, model in wildcards.items():
            segment = filled_in(pattern, name)
            if segment is not None:
                return replace(model, name=name, provider_model=model.provider_model.replace("*", segment))
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """The `scalix:` section and the models in service, both in the order of the file (cheapest tier first).

    `wildcards` serve every name that fits and is no exact one; the `*` in their `provider_model` is filled in.
    `aliases` are second names of models, with the same rights. `fallbacks` lists for a model those that take over, in
    this order. `routes` are names that lead each tier to a model by rules of its own; `custom_routers` name for some of
    them a function of the operator's (`package.module:function`) that is asked first. `routing_strategy` says how one
    of several deployments is chosen. `key_defaults` and `key_bounds` are the defaults and upper bounds of virtual keys.
    `issuers` are those whose tokens count; `anonymous_tier` is `None` if nobody may call without a credential; by
    `trusted_proxies` clients' addresses are believed. `version` is that of the whole config: two gateways
    with the same one go by the same.
    """

    tiers: Mapping[str, Tier]
    default_tier: str
    models: Mapping[str, Model] = field(default_factory=dict)
    wildcards: Mapping[str, Model] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    key_bounds: Mapping[str, Any] = field(default_factory=dict)
    guard: GuardSettings = field(default_factory=GuardSettings)
    retention: Retention = field(default_factory=Retention)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    retries: Retries = field(default_factory=Retries)
    cooldown: Cooldown = field(default_factory=Cooldown)
    routing_strategy: str = WEIGHTS
    routes: Mapping[str, Mapping[str, tuple[Rule, ...]]] = field(default_factory=dict)
    custom_routers: Mapping[str, str] = field(default_factory=dict)
    health_checks: HealthChecks = field(default_factory=HealthChecks)
    backup: BackupSettings = field(default_factory=BackupSettings)
    ui: PageSettings = field(default_factory=PageSettings)
    issuers: tuple[Issuer, ...] = ()
    anonymous_tier: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    version: str = ""

    def tier_or_default(self, name: str | None) -> Tier:
        """The tier called `name`; the default tier for `None` and for a name that is not configured any more."""
        return self.tiers.get(name or self.default_tier) or self.tiers[self.default_tier]

    def models_with(self, name: str) -> Mapping[str, Model]:
        """The models in service, plus the one that a wildcard serves as `name`."""
        served = None if name in self.models else served_by(self.wildcards, name)
        return self.models if served is None else {**self.models, name: served}

    @property
    def features(self) -> frozenset[str]:
        """The features of all tiers."""
        return frozenset[str]().union(*(tier.features for tier in self.tiers.values()))

    def tiers_with(self, model: str) -> tuple[Tier, ...]:
        """The tiers whose callers may use `model`, in the order of the file."""
        return tuple(tier for tier in self.tiers.values() if tier.allows(model))
