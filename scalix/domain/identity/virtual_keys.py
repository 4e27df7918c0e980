"""The record of a virtual key: its user, its rights and limits, and its validity."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scalix.domain.identity.addresses import Address
from scalix.domain.identity.ip_rules import rules_of
from scalix.domain.identity.subjects import user_subject
from scalix.domain.limits.key_limits import KeyLimit, KeyScope, KeyWindow, budget_start_ms
from scalix.domain.limits.limits import Metric
from scalix.domain.limits.quota import UNKNOWN_VERSION
from scalix.domain.model_names import permits


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is stored about a key, but never its secret: `digest` is the secret's SHA-256, `last_four` its end.

    `key_id` survives rotation, `digest` does not: `former` maps digests of replaced secrets to the Unix time in ms
    until which they still work. `models` are exact names or `*` patterns; none means all models of the user's tier.
    `allowed_ips` and `denied_ips` are networks in CIDR notation. `sealed_metadata` is encrypted metadata that can't be
    read here and is kept unchanged.
    """

    key_id: str
    user_id: str
    digest: str
    last_four: str
    version: str = UNKNOWN_VERSION
    alias: str | None = None
    models: tuple[str, ...] = ()
    max_budget_nano_usd: int | None = None
    budget_duration: str | None = None
    budget_period_ms: int = 0
    budget_anchor_ms: int = 0
    expires_ms: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    sealed_metadata: str | None = None
    blocked: bool = False
    allowed_ips: tuple[str, ...] = ()
    denied_ips: tuple[str, ...] = ()
    former: Mapping[str, int] = field(default_factory=dict)
    created_by: str = ""
    created_ms: int = 0
    updated_ms: int = 0

    def accepts(self, digest: str, now_ms: int) -> bool:
        """Whether the secret with this digest is the current one, or a replaced one that still works."""
        return digest == self.digest or self.former.get(digest, 0) > now_ms

    def has_expired(self, now_ms: int) -> bool:
        """Whether the key has expired."""
        return self.expires_ms is not None and self.expires_ms <= now_ms

    def permits(self, address: Address | None) -> bool:
        """Whether the key may be used from `address`; `None` is an unknown one."""
        if not self.allowed_ips and not self.denied_ips:
            return True
        return rules_of(self.allowed_ips, self.denied_ips).permits(address)

    @property
    def is_narrower(self) -> bool:
        """Whether it allows less than its user may, in any way."""
        limits = (self.max_budget_nano_usd, self.expires_ms, self.tpm_limit, self.rpm_limit, self.max_parallel_requests)
        return bool(self.models or self.allowed_ips or self.denied_ips) or any(limit is not None for limit in limits)

    @property
    def is_self_made(self) -> bool:
        """Whether its user has made it, and not an operator."""
        return self.created_by == user_subject(self.user_id)

    def allows(self, model: str) -> bool:
        """Whether the key allows `model`, an exact configured name."""
        return not self.models or permits(self.models, model)

    @property
    def scope(self) -> KeyScope:
        """The key as admission sees it."""
        return KeyScope(
            key_id=self.key_id,
            version=self.version,
            limits=self._limits(),
            concurrent=self.max_parallel_requests,
            budget_anchor_ms=self.budget_anchor_ms,
            budget_period_ms=self.budget_period_ms,
        )

    def budget_resets_ms(self, now_ms: int) -> int | None:
        """When the current budget period ends (Unix time); `None` without periods."""
        if not self.budget_period_ms:
            return None
        return budget_start_ms(self.budget_anchor_ms, self.budget_period_ms, now_ms) + self.budget_period_ms

    def _limits(self) -> tuple[KeyLimit, ...]:
        stated = (
            (Metric.REQUESTS, KeyWindow.MINUTE, self.rpm_limit),
            (Metric.TOKENS, KeyWindow.MINUTE, self.tpm_limit),
            (Metric.SPEND, KeyWindow.BUDGET if self.budget_period_ms else KeyWindow.TOTAL, self.max_budget_nano_usd),
        )
        return tuple(KeyLimit(metric, window, limit) for metric, window, limit in stated if limit is not None)
