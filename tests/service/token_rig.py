"""The real identity, admission and revocation over the memory store, with tokens of two issuers, and a clock."""

from dataclasses import dataclass, field
from typing import Any

from scalix.domain.identity.identity import KEY_SET_ALGORITHMS, Issuer
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.service.administration.token_revocation import TokenRevocation
from scalix.service.administration.user_records import UserRecords
from scalix.service.audit.audit import Actor
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import AnonymousCallers, Credential, Identity, MasterKey
from scalix.service.identity.key_sets import KeySetKeys, SecretKey
from scalix.service.identity.tokens import JsonWebTokens
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.store.base import UserRecord
from scalix.store.key_set_sources import KeySetUnavailable, KeySetUrl
from tests.service.memory_trail import MemoryTrail
from tests.service.token_issuer import AUDIENCE, ISSUER, NOW_S, SECRET, TokenIssuer, key_set, public_jwk
from tests.store.memory.memory import MemoryStore

OTHER = "https://issuer-b.test"
MASTER = "sk-master-key-of-this-test-0123456789"
BY = Actor("operator:master")
TIERS = {
    "free": Tier("free", Limits((Limit(Metric.REQUESTS, Window.DAY, 2),)), models=("m",)),
    "pro": Tier("pro", models=("*",)),
}


class Publisher(KeySetUrl):
    """An issuer's key set, which tests change or take away."""

    def __init__(self, raw: bytes | None = None) -> None:
        super().__init__("https://issuer.example/jwks.json")
        self.raw, self.reads = raw, 0

    async def read(self) -> bytes:
        self.reads += 1
        if self.raw is None:
            raise KeySetUnavailable("the request failed: ConnectError")
        return self.raw


class CountingStore(MemoryStore):
    """Counts how often a user's record is read."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.reads = 0

    async def get(self, user_id: str) -> UserRecord:
        self.reads += 1
        return await super().get(user_id)


@dataclass
class TokenRig:
    store: Any = None
    now_ms: int = NOW_S * 1000
    publisher: Publisher = field(default_factory=lambda: Publisher(key_set(public_jwk("RS256", "one"))))
    issuer: TokenIssuer = field(default_factory=TokenIssuer)
    other: TokenIssuer = field(default_factory=lambda: TokenIssuer(OTHER, "RS256", "one"))

    def __post_init__(self) -> None:
        self.policy = PolicySource(Policy(TIERS, "free", {"m": Model("m", "openai/m")}))
        self.store = self.store or CountingStore(self.clock)
        self.users = UserDirectory(self.store, self.policy)
        self.tokens = JsonWebTokens(self.users, now_ms=self.clock, cached_tokens=50)
        self.keys = KeySetKeys(self.publisher, refresh_s=600, now_ms=self.clock, changed=self.tokens.forget)
        first = Issuer(ISSUER, (AUDIENCE,), ("HS256",), secret_variable="unused", user_prefix="a:")
        second = Issuer(OTHER, (AUDIENCE,), KEY_SET_ALGORITHMS, tier_claim="plan", user_prefix="b:")
        self.tokens.trust(first, SecretKey(SECRET.encode()))
        self.tokens.trust(second, self.keys)
        self.identity = Identity([MasterKey(MASTER), self.tokens], AnonymousCallers(self.policy), self.users)
        records = UserRecords(self.store, self.store, self.users, self.policy, MemoryTrail())
        self.revocation = TokenRevocation(records, self.clock)

    def clock(self) -> int:
        return self.now_ms

    async def caller(self, token: str) -> Caller:
        return await self.identity.authenticate(Credential(token))
