"""Describes the config file as pydantic models: the `scalix:` section in full, of LiteLLM's sections what we rely
on."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from scalix.domain.backup import BackupSettings
from scalix.domain.fallbacks import Cooldown, Retries
from scalix.domain.identity.identity import DEFAULT_LEEWAY_S, DEFAULT_REFRESH_S, KEY_SET_ALGORITHMS, SECRET_ALGORITHMS
from scalix.domain.ledger.retention import DEFAULT_AUDIT_DAYS, Retention
from scalix.domain.model_routes import Rule
from scalix.domain.pages import PageSettings
from scalix.domain.privacy import PrivacySettings
from scalix.domain.requests.guard import Overload, Queue
from scalix.launch.config.field_types import (
    BackupPlace,
    BodyField,
    Chain,
    Cidr,
    CidrText,
    Count,
    HostName,
    Hours,
    KeySetUrl,
    MarkupPpm,
    ModelName,
    Moment,
    NanoUsd,
    Origin,
    Plain,
    RouteName,
    Size,
    UsdPerMillion,
    UsdPerRequest,
    UsdPerToken,
    UserPrefix,
    WebAddress,
    Weights,
    one_or_more,
)
from scalix.launch.config.schema_base import Listed, Name, Section, section_of, whole, wrong

Amount = TypeVar("Amount")
Days = Annotated[int, whole(1, 3_650, DEFAULT_AUDIT_DAYS, "number of days")]


class LimitSection(Section, Generic[Amount]):
    """A limit, written as its number or as `{limit: number, enforce: false}`. Spend is in nano-dollars, and written in
    dollars."""

    limit: Amount
    enforce: bool = True

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"limit": value}


class WindowsSection(Section, Generic[Amount]):
    """Limits on requests, tokens or spend, by calendar window."""

    minute: LimitSection[Amount] | None = None
    hour: LimitSection[Amount] | None = None
    day: LimitSection[Amount] | None = None
    month: LimitSection[Amount] | None = None

    @model_validator(mode="before")
    @classmethod
    def _at_least_one(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not value:
            raise wrong("names no window", "write for example {hour: 10, day: 50}, or remove the key for no limit")
        return value


class TierSection(Section):
    """A tier: its limits, its models and its features. An absent limit means unlimited."""

    models: Listed[str]
    requests: WindowsSection[Count] | None = None
    tokens: WindowsSection[Count] | None = None
    spend_usd: WindowsSection[NanoUsd] | None = None
    concurrent: LimitSection[Count] | None = None
    max_output_tokens: Size | None = None
    features: Annotated[frozenset[Name], Field(strict=False)] = frozenset()
    priority: Literal["low", "normal", "high"] = "normal"
    on_store_failure: Literal["deny", "allow"] = "deny"
    upgrade_url: WebAddress | None = None
    prepaid: bool = False
    allow_foreign_ids: bool = False
    self_service_keys: Annotated[int, whole(0, 100, 3)] = 0
    enforce: bool = True


class IssuerSection(Section):
    """An issuer of JSON Web Tokens. `secret` is a reference to a variable."""

    issuer: Plain
    audience: Annotated[list[Plain], one_or_more(str), Field(min_length=1)]
    secret: Plain | None = None
    jwks_url: KeySetUrl | None = None
    jwks_file: Plain | None = None
    algorithms: Annotated[list[Literal["HS256", "RS256", "ES256", "EdDSA"]], Field(min_length=1)] | None = None
    user_claim: Plain = "sub"
    tier_claim: Plain | None = None
    trust_tier: bool = False
    user_prefix: UserPrefix = ""
    leeway_s: Annotated[int, whole(0, 300, 60, "number of seconds")] = DEFAULT_LEEWAY_S
    refresh_s: Annotated[int, whole(60, 86_400, 60, "number of seconds")] = DEFAULT_REFRESH_S
    operators: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> "IssuerSection":
        sources = [name for name in ("secret", "jwks_url", "jwks_file") if getattr(self, name) is not None]
        if len(sources) != 1:
            what = f"has both {' and '.join(sources)}" if sources else "says nothing of the key that signs its tokens"
            raise wrong(what, "write one of secret: ${SCALIX_JWT_SECRET}, jwks_url: https://… and jwks_file: keys.json")
        known = SECRET_ALGORITHMS if self.secret else KEY_SET_ALGORITHMS
        strange = [name for name in self.algorithms or () if name not in known]
        if strange:
            # A public key taken for a secret would let everybody sign.
            raise wrong(f"allows {strange[0]}, which does not go with {sources[0]}", f"write {', '.join(known)}")
        if self.trust_tier and self.tier_claim is None:
            raise wrong("has trust_tier, but no tier_claim", "add tier_claim: with the name of the claim")
        return self


class JwtSection(Section):
    """The issuers whose tokens are accepted."""

    issuers: Annotated[list[IssuerSection], Field(min_length=1)]


class AnonymousSection(Section):
    """Whether callers without a credential are served, and in which tier. They are known by their address."""

    enabled: bool = False
    tier: Name


class IpRulesSection(Section):
    """Which addresses may call. `deny` wins over `allow`."""

    allow: Listed[CidrText] = ()
    deny: Listed[CidrText] = ()


class CorsSection(Section):
    """Which websites may read answers in a browser."""

    origins: Listed[Origin] = ()


class PriceEntry(Section):
    """The price of a model. `since`, written `from`, is when it begins to hold (UTC); without it the price always
    held."""

    input_usd_per_million: UsdPerMillion | None = None
    output_usd_per_million: UsdPerMillion | None = None
    cached_input_usd_per_million: UsdPerMillion | None = None
    cache_write_usd_per_million: UsdPerMillion | None = None
    request_usd: UsdPerRequest | None = None
    since: Moment | None = Field(None, alias="from")

    @model_validator(mode="before")
    @classmethod
    def _has_a_price(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.keys() - {"from"}:
            raise wrong("states no price", "write for example {input_usd_per_million: 2.5, output_usd_per_million: 10}")
        return value


class PricesSection(Section):
    """Prices of models, by public name, and what tiers are billed on top of them."""

    models: dict[str, Annotated[list[PriceEntry], one_or_more(dict), Field(min_length=1)]] = Field(default_factory=dict)
    markup: dict[Name, MarkupPpm] = Field(default_factory=dict)


def _archived_before_it_is_removed(retention: Retention) -> Retention:
    archived, removed = retention.archive_after_days, retention.events_days
    if archived is not None and archived >= removed:
        what = f"archive_after_days is {archived}, and events are removed after {removed} days"
        raise wrong(what, f"write less than {removed}, or a greater events_days")
    return retention


_OVERLOAD = section_of(
    Overload,
    in_flight=(1, 100_000),
    in_flight_per_address=(1, 100_000),
    body_memory_mib=(32, 65_536),
    wrong_key_delay_s=(0, 30),
    exempt=Listed[CidrText],
    queue=Annotated[Queue, section_of(Queue, requests=(0, 10_000), wait_s=(1, 30))],
)
_RETENTION = section_of(
    Retention, **{**dict.fromkeys(Retention.__annotations__, Days), "archive_after_days": Days | None}
)
_PRIVACY = section_of(PrivacySettings, expired_keys_days=Days, set_aside_days=Days)
_RETRIES = section_of(Retries, same_model=(0, 10), models=(1, 10), first_byte_s=(1, 3600), whole_answer_s=(1, 3600))
_COOLDOWN = section_of(Cooldown, failures=(1, 1000), within_s=(1, 3600), seconds=(0, 3600), longest_s=(1, 86_400))
_BACKUP = section_of(
    BackupSettings,
    to=BackupPlace | None,
    endpoint=WebAddress | None,
    every_hours=(0, 8_760),
    keep=(1, 10_000),
    keep_days=Days,
)
_UI = section_of(PageSettings, port=(0, 65_535), allow=Listed[CidrText], url=WebAddress | None)
_RULE = section_of(
    Rule,
    models=Weights,
    prompt_tokens_over=Count | None,
    prompt_tokens_under=Count | None,
    hours_utc=Hours | None,
    tokens_day_left_percent_under=Annotated[int, whole(1, 100, 20, "number of percent")] | None,
)


class ScalixSection(Section):
    """The whole `scalix:` section."""

    default_tier: str
    tiers: Annotated[dict[Name, TierSection], Field(min_length=1)]
    upgrade_url: WebAddress | None = None
    jwt: JwtSection | None = None
    anonymous: AnonymousSection | None = None
    trusted_proxies: Listed[Cidr] = ()
    allowed_hosts: Listed[HostName] = ()
    ip_rules: IpRulesSection = IpRulesSection()
    overload: Annotated[Overload, _OVERLOAD] = Overload()
    extra_body_fields: dict[RouteName, Listed[BodyField]] = Field(default_factory=dict)
    strict_bodies: bool = False
    cors: CorsSection = CorsSection()
    retention: Annotated[Retention, _RETENTION, AfterValidator(_archived_before_it_is_removed)] = Retention()
    prices: PricesSection = PricesSection()
    privacy: Annotated[PrivacySettings, _PRIVACY] = PrivacySettings()
    backup: Annotated[BackupSettings, _BACKUP] = BackupSettings()
    ui: Annotated[PageSettings, _UI] = PageSettings()
    fallbacks: dict[str, Chain] = Field(default_factory=dict)
    retries: Annotated[Retries, _RETRIES] = Retries()
    cooldown: Annotated[Cooldown, _COOLDOWN] = Cooldown()
    engine: Literal["auto", "litellm"] = "auto"
    routes: dict[Name, dict[str, Annotated[list[Annotated[Rule, _RULE]], one_or_more(dict), Field(min_length=1)]]] = (
        Field(default_factory=dict)
    )


class _LiteLlmSection(BaseModel):
    """A part of LiteLLM's config. Only what we rely on is checked; other keys are allowed."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, protected_namespaces=())

    @property
    def extra(self) -> dict[str, Any]:
        """The keys that are not checked, with their values."""
        return self.model_extra or {}


class ModelInfo(_LiteLlmSection):
    """What is known about a deployment. Prices are in US dollars."""

    max_output_tokens: Size | None = None
    max_input_tokens: Size | None = None
    max_tokens: Size | None = None
    supports_reasoning: bool | None = None
    input_cost_per_token: UsdPerToken | None = None
    output_cost_per_token: UsdPerToken | None = None
    engine: Literal["direct", "litellm"] | None = None


class LiteLlmParams(_LiteLlmSection):
    """How a deployment is called."""

    model: Annotated[str, Field(min_length=1)]
    metadata: ModelInfo | None = None
    input_cost_per_token: UsdPerToken | None = None
    output_cost_per_token: UsdPerToken | None = None


class Deployment(_LiteLlmSection):
    """One way to reach a public model; several of one name share its load."""

    model_name: ModelName
    litellm_params: LiteLlmParams
    model_info: ModelInfo = ModelInfo()


class ConfigFile(_LiteLlmSection):
    """The whole config file."""

    model_list: Annotated[list[Deployment], Field(min_length=1)]
    scalix: ScalixSection
    litellm_settings: dict[Any, Any] | None = None
    general_settings: dict[Any, Any] | None = None
    router_settings: dict[Any, Any] | None = None
