"""The shape of the config file as pydantic models: the `scalix:` section in full, of LiteLLM's part what we rely on."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from scalix.domain.limits import limit_amounts
from scalix.domain.limits.limit_amounts import WrongAmount
from scalix.launch.config.failover_schema import Chain, CooldownSection, RetriesSection
from scalix.launch.config.guard_schema import (
    CorsSection,
    FieldName,
    HostName,
    IpRulesSection,
    OverloadSection,
    RouteName,
)
from scalix.launch.config.identity_schema import AnonymousSection, Cidr, JwtSection
from scalix.launch.config.pricing_schema import PricesSection
from scalix.launch.config.retention_schema import PrivacySection, RetentionSection
from scalix.launch.config.schema_base import Name, Section, usd_of, wrong

# No model costs a cent per token; a price above it is one per thousand or per million tokens.
HIGHEST_USD_PER_TOKEN = Decimal("0.01")


def _count(value: Any) -> Any:
    try:
        return limit_amounts.count(value)
    except WrongAmount as error:
        raise wrong(error.what, f"{error.fix}, or remove the key for no limit") from None


def _size(value: Any) -> Any:
    try:
        return limit_amounts.positive_count(value)
    except WrongAmount as error:
        raise wrong(error.what, f"{error.fix}, or remove the key for no limit") from None


def _dollars_to_nano(value: Any) -> Any:
    try:
        return limit_amounts.nano_usd(value)
    except WrongAmount as error:
        raise wrong(error.what, f"{error.fix}, or remove the key for no limit") from None


def _usd_per_token(value: Any) -> Decimal:
    usd = usd_of(value)
    if usd is None:
        raise wrong("is not a price in US dollars per token", "write a number such as 0.0000025")
    if usd >= HIGHEST_USD_PER_TOKEN:
        raise wrong(f"is {value} US dollars per single token", "divide a price per million tokens by 1000000")
    return usd


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")) or len(value.split()) != 1 or not value.isascii():
        raise wrong("is not a web address", "write one that starts with https://")
    return value


def _model_name(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise wrong("is not a usable model name", "write a name such as gpt-4")
    if any(character in value for character in ",?"):
        raise wrong(f"holds a character of ',?' in the model name '{value}'", "give each model one exact name")
    if value.count("*") > 1:
        raise wrong(f"holds more than one * in the model name '{value}'", "write a wildcard with one, such as openai/*")
    return value


Count = Annotated[int, BeforeValidator(_count)]
Size = Annotated[int, BeforeValidator(_size)]
NanoUsd = Annotated[int, BeforeValidator(_dollars_to_nano)]
UsdPerToken = Annotated[Decimal, BeforeValidator(_usd_per_token)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
ModelName = Annotated[str, AfterValidator(_model_name)]


class _Limited(Section):
    """A limit, written as its number or as `{limit: number, enforce: false}`."""

    enforce: bool = True

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"limit": value}


class CountLimit(_Limited):
    """At most `limit` requests or tokens, or requests at once."""

    limit: Count


class SpendLimit(_Limited):
    """At most `limit` nano-dollars, written in dollars."""

    limit: NanoUsd


class _Windows(Section):
    @model_validator(mode="before")
    @classmethod
    def _at_least_one(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not value:
            raise wrong("names no window", "write for example {hour: 10, day: 50}, or remove the key for no limit")
        return value


class CountWindows(_Windows):
    """Limits on requests or tokens by calendar window."""

    minute: CountLimit | None = None
    hour: CountLimit | None = None
    day: CountLimit | None = None
    month: CountLimit | None = None


class SpendWindows(_Windows):
    """Limits on spend by calendar window."""

    minute: SpendLimit | None = None
    hour: SpendLimit | None = None
    day: SpendLimit | None = None
    month: SpendLimit | None = None


class TierSection(Section):
    """One tier. An absent limit means unlimited."""

    models: list[str]
    requests: CountWindows | None = None
    tokens: CountWindows | None = None
    spend_usd: SpendWindows | None = None
    concurrent: CountLimit | None = None
    max_output_tokens: Size | None = None
    features: list[Name] = Field(default_factory=list)
    priority: Literal["low", "normal", "high"] = "normal"
    on_store_failure: Literal["deny", "allow"] = "deny"
    upgrade_url: WebAddress | None = None
    prepaid: bool = False
    allow_foreign_ids: bool = False
    enforce: bool = True


class ScalixSection(Section):
    """The whole `scalix:` section."""

    default_tier: str
    tiers: Annotated[dict[Name, TierSection], Field(min_length=1)]
    upgrade_url: WebAddress | None = None
    jwt: JwtSection | None = None
    anonymous: AnonymousSection | None = None
    trusted_proxies: list[Cidr] = Field(default_factory=list)
    allowed_hosts: list[HostName] = Field(default_factory=list)
    ip_rules: IpRulesSection = Field(default_factory=IpRulesSection)
    overload: OverloadSection = Field(default_factory=OverloadSection)
    extra_body_fields: dict[RouteName, list[FieldName]] = Field(default_factory=dict)
    strict_bodies: bool = False
    cors: CorsSection = Field(default_factory=CorsSection)
    retention: RetentionSection = Field(default_factory=RetentionSection)
    prices: PricesSection = Field(default_factory=PricesSection)
    privacy: PrivacySection = Field(default_factory=PrivacySection)
    fallbacks: dict[str, Chain] = Field(default_factory=dict)
    retries: RetriesSection = Field(default_factory=RetriesSection)
    cooldown: CooldownSection = Field(default_factory=CooldownSection)


class _LiteLlmSection(BaseModel):
    """A part of LiteLLM's own: what we rely on is checked, the rest is LiteLLM's business."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, protected_namespaces=())


class ModelInfo(_LiteLlmSection):
    """What is known about a deployment. Prices are in US dollars."""

    max_output_tokens: Size | None = None
    max_input_tokens: Size | None = None
    max_tokens: Size | None = None
    supports_reasoning: bool | None = None
    input_cost_per_token: UsdPerToken | None = None
    output_cost_per_token: UsdPerToken | None = None


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
    """The whole file."""

    model_list: Annotated[list[Deployment], Field(min_length=1)]
    scalix: ScalixSection
    litellm_settings: dict[Any, Any] | None = None
    general_settings: dict[Any, Any] | None = None
    router_settings: dict[Any, Any] | None = None
