"""Reads a price from an entry of LiteLLM's price map, or from one that uses its names."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from scalix.domain.prices.off_peak import read_off_peak
from scalix.domain.prices.pricing import ATTO_PER_USD, Price, RangeRates, threshold_tokens
from scalix.domain.prices.rate_names import ALL, INPUT, SERVICE_TIERS, Rates

_NAME = re.compile(
    rf"(?:{'|'.join(ALL)})(?:_above_(\d+k?)_tokens)?(?:{'|'.join(sorted(set(SERVICE_TIERS.values())))})?"
)
# Prices by time or by characters, and providers with billing rules of their own.
_NOT_BY_TOKENS = ("input_cost_per_second", "output_cost_per_second", "cost_per_second", "input_cost_per_character")
_OWN_RULES = frozenset(
    {"azure_ai", "databricks", "fireworks_ai", "lemonade", "perplexity", "tencent", "vertex_ai", "xai"}
)
# At xAI the higher rates apply from the threshold on.
_AT_THRESHOLD = frozenset({"xai"})
_MOST_USD = 10**6


def is_price_name(name: str) -> bool:
    """Whether `name` is a rate that `pricing` understands."""
    return _NAME.fullmatch(name) is not None


def rates_in(entry: Mapping[str, object]) -> Rates:
    """The rates among the members of `entry`, in atto-dollars, except those that are no amount of money."""
    found = ((name, atto_usd(value)) for name, value in entry.items() if is_price_name(name))
    return tuple((name, rate) for name, rate in found if rate is not None)


def read_price(
    entry: Mapping[str, object], version: str, *, provider: str = "", regional: bool = False, from_ms: int = 0
) -> Price:
    """The price that `entry` states. `provider` is LiteLLM's name for it; `regional`: the model is served from a region
    that may cost more; `from_ms` is the Unix time from which the price applies."""
    rates = rates_in(entry)
    words = {match[1] for name, _ in rates if (match := _NAME.fullmatch(name)) and match[1]}
    off_peak_entry = entry.get("off_peak_pricing")
    off_peak = read_off_peak(off_peak_entry, rates_in(off_peak_entry)) if isinstance(off_peak_entry, dict) else None
    not_understood = any(entry.get(name) is not None for name in _NOT_BY_TOKENS) or (
        off_peak_entry is not None and off_peak is None
    )
    return Price(
        version=version,
        rates=rates,
        from_ms=from_ms,
        thresholds=tuple(sorted(words, key=threshold_tokens)),
        at_threshold=provider in _AT_THRESHOLD,
        ranges=tuple(_ranges(entry.get("tiered_pricing"))),
        off_peak=off_peak,
        reported=not_understood or provider in _OWN_RULES or (regional and any("uplift" in name for name in entry)),
    )


def _ranges(tiers: object) -> Iterable[RangeRates]:
    """The rates by size of the prompt, ascending; the last ones apply to all larger prompts."""
    rows = [tier for tier in tiers if isinstance(tier, dict)] if isinstance(tiers, list) else []
    starts = [(tier["range"][0], tier) for tier in rows if isinstance(tier.get("range"), list) and tier["range"]]
    for start, tier in sorted(starts, key=lambda pair: pair[0]):
        if INPUT in tier:
            yield RangeRates(int(start), rates_in(tier))


def atto_usd(usd: object) -> int | None:
    """An amount of dollars in atto-dollars, rounded to the nearest; `None` if it is no such amount."""
    if isinstance(usd, bool) or not isinstance(usd, int | float | str | Decimal):
        return None
    try:
        exact = Decimal(repr(usd) if isinstance(usd, float) else usd)
    except InvalidOperation:
        return None
    if not exact.is_finite() or not 0 <= exact < _MOST_USD:
        return None
    return int((exact * ATTO_PER_USD).to_integral_value())
