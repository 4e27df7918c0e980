"""What the operator has configured: tiers, models, and who may use which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from scalix.domain.guard import GuardSettings
from scalix.domain.limits import UNLIMITED, Limits
from scalix.domain.retention import Retention

OnStoreFailure = Literal["deny", "allow"]
Priority = Literal["low", "normal", "high"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One plan. `models` holds exact names or `*` patterns; `max_output_tokens` of `None` leaves it to the model."""

    name: str
    limits: Limits = UNLIMITED
    max_output_tokens: int | None = None
    models: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    priority: Priority = "normal"
    on_store_failure: OnStoreFailure = "deny"
    upgrade_url: str | None = None

    def allows(self, model: str) -> bool:
        """Whether `model`, an exact configured name, is in this tier."""
        return _matches(self.models, model)


@lru_cache(maxsize=4_096)
def _matches(patterns: tuple[str, ...], model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Model:
    """One public model name. Prices are pico-dollars per token, so that cached fractions stay whole numbers.

    `None` for a maximum or a price means that the configuration does not say.
    """

    name: str
    provider_model: str
    max_output_tokens: int | None = None
    input_pico_usd_per_token: int | None = None
    output_pico_usd_per_token: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The `scalix:` section and the models in service, both in the order of the file (cheapest tier first)."""

    tiers: Mapping[str, Tier]
    default_tier: str
    models: Mapping[str, Model] = field(default_factory=dict)
    guard: GuardSettings = field(default_factory=GuardSettings)
    retention: Retention = field(default_factory=Retention)

    def tier_or_default(self, name: str | None) -> Tier:
        """The tier called `name`; the default one for `None` and for a name that is no longer configured."""
        return self.tiers.get(name or self.default_tier) or self.tiers[self.default_tier]

    @property
    def features(self) -> frozenset[str]:
        """The features that some tier has."""
        return frozenset[str]().union(*(tier.features for tier in self.tiers.values()))

    def tiers_with(self, model: str) -> tuple[Tier, ...]:
        """The tiers whose callers may use `model`, in the order of the file."""
        return tuple(tier for tier in self.tiers.values() if tier.allows(model))
