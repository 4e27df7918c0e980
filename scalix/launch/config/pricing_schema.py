"""The shape of `scalix.prices`."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, create_model, model_validator

from scalix.domain.prices.peak_prices import PPM
from scalix.launch.config.schema_base import Name, Section, usd_of, wrong

# No model costs ten cents for a thousand tokens; more than that is a price per token or per thousand, misplaced.
HIGHEST_USD_PER_MILLION = 100_000
HIGHEST_USD_PER_REQUEST = 1_000
HIGHEST_MARKUP = 1_000


def _usd(value: Any, most: int, example: str) -> Decimal:
    usd = usd_of(value)
    if usd is None or usd > most:
        raise wrong(f"is not a price from 0 to {most} US dollars", f"write a number such as {example}")
    return usd


def _per_million(value: Any) -> Decimal:
    return _usd(value, HIGHEST_USD_PER_MILLION, "2.50")


def _per_request(value: Any) -> Decimal:
    return _usd(value, HIGHEST_USD_PER_REQUEST, "0.001")


def _moment(value: Any) -> str:
    """As it is shown: a day, or a day and a minute, UTC."""
    try:
        at = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.second or at.microsecond or at.year < 1970:
        raise wrong("is not a day or a minute (UTC)", "write one such as 2026-11-01 or 2026-11-01T12:30")
    at = at.astimezone(UTC) if at.tzinfo else at
    return at.strftime("%Y-%m-%dT%H:%M").removesuffix("T00:00")


def _markup(value: Any) -> int:
    """In parts per million."""
    try:
        times = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        times = None
    if times is None or not times.is_finite() or not 0 <= times <= HIGHEST_MARKUP or times * PPM % 1:
        raise wrong(
            f"is not a number from 0 to {HIGHEST_MARKUP} of at most six decimals",
            "write 1.2 for a fifth on top of the provider's price, 1 for that price, 0 for no charge",
        )
    return int(times * PPM)


def _entries(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _states_a_price(value: Any) -> Any:
    if isinstance(value, dict) and not value.keys() - {"from"}:
        raise wrong("states no price", "write for example {input_usd_per_million: 2.5, output_usd_per_million: 10}")
    return value


class _Stated(Section):
    input_usd_per_million: Annotated[Decimal, BeforeValidator(_per_million)] | None = None
    output_usd_per_million: Annotated[Decimal, BeforeValidator(_per_million)] | None = None
    cached_input_usd_per_million: Annotated[Decimal, BeforeValidator(_per_million)] | None = None
    cache_write_usd_per_million: Annotated[Decimal, BeforeValidator(_per_million)] | None = None
    request_usd: Annotated[Decimal, BeforeValidator(_per_request)] | None = None

    _has_a_price = model_validator(mode="before")(_states_a_price)


# `from` is no name in Python.
PriceEntry: Any = create_model(
    "PriceEntry",
    __base__=_Stated,
    __doc__="A model's price. `from` (UTC) is when it begins to hold; absent: it always has.",
    **{"from": (Annotated[str, BeforeValidator(_moment)] | None, None)},  # type: ignore[call-overload]
)
PriceEntries = Annotated[list[PriceEntry], BeforeValidator(_entries), Field(min_length=1)]
Markup = Annotated[int, BeforeValidator(_markup)]


class PricesSection(Section):
    """Prices of models, by public name, and what tiers are billed on top of them."""

    models: dict[str, PriceEntries] = Field(default_factory=dict)
    markup: dict[Name, Markup] = Field(default_factory=dict)


def moment_ms(moment: str) -> int:
    """Unix time of a `from`."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000
