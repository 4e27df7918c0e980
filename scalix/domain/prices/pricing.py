"""Calculates what a request costs at its provider: a model's price and a usage give nano-dollars, in integers only.

Rates count atto-dollars (10^-18), in which even the cheapest rate of LiteLLM's map is whole. The rules are those of
`completion_cost` in LiteLLM 1.106.12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scalix.domain.prices import rate_names as rates
from scalix.domain.prices.off_peak import OffPeak
from scalix.domain.prices.rate_names import SERVICE_TIERS, Rates
from scalix.domain.tokens.usage import Usage

ATTO_PER_USD = 10**18
ATTO_PER_NANO, ATTO_PER_PICO = 10**9, 10**6
MOST_VERSION_CHARS = 16
_OF_PROMPTS, _OF_ANSWERS = {rates.INPUT, rates.REQUEST}, {rates.OUTPUT, rates.IMAGE_OUTPUT, rates.REQUEST}


@dataclass(frozen=True, slots=True)
class RangeRates:
    """The rates of all tokens of a request whose prompt has more than `above_tokens`."""

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from `from_ms` (Unix time) on. `version` names the source, in at most 16 characters.

    `thresholds` are prompt sizes as they stand in the names of rates (`200k`), ascending: other rates apply above
    them, with `at_threshold` also at exactly that size. `reported`: the source has rules that are not implemented here,
    so the cost that LiteLLM reports takes precedence.
    """

    version: str
    rates: Rates
    from_ms: int = 0
    thresholds: tuple[str, ...] = ()
    at_threshold: bool = False
    ranges: tuple[RangeRates, ...] = ()
    off_peak: OffPeak | None = None
    reported: bool = False

    def __hash__(self) -> int:
        # Prices are looked up several times in each request, and have many rates.
        return hash((self.version, self.from_ms, self.rates[:2]))

    @property
    def has_input(self) -> bool:
        """Whether it says what a prompt costs."""
        return self.reported or self.has_rates(answers=False)

    def has_rates(self, *, answers: bool) -> bool:
        """Whether it says beforehand what a prompt may cost, with `answers` what an answer may cost too."""
        names = _table(self).keys()
        return bool(self.ranges) or (bool(names & _OF_PROMPTS) and (not answers or bool(names & _OF_ANSWERS)))


def price_at(prices: Sequence[Price], at_ms: int) -> Price | None:
    """The one of `prices`, the oldest first, that applies at `at_ms` (Unix time); `None` if there is none."""
    return next((price for price in reversed(prices) if price.from_ms <= at_ms), None)


def calculate(price: Price, usage: Usage, at_ms: int) -> int:
    """The provider's cost of `usage` at `at_ms` (Unix time) in nano-dollars, rounded to the nearest, halves up."""
    table, service = _table(price), SERVICE_TIERS.get(usage.service_tier, "")
    base = _base_rates(price, usage.prompt_tokens, service, at_ms)
    text_tokens, audio_tokens, image_tokens = _uncached_tokens(usage)

    def own(name: str, else_rate: int) -> int:
        return table.get(name + service, table.get(name, else_rate))

    per_image = table.get(rates.IMAGE) if usage.images else None
    images = image_tokens * own(rates.IMAGE_INPUT, base[rates.INPUT]) if per_image is None else usage.images * per_image
    said = usage.completion_tokens - usage.reasoning_tokens
    said -= usage.audio_completion_tokens + usage.image_completion_tokens
    atto = (
        table.get(rates.REQUEST, 0)
        + text_tokens * base[rates.INPUT]
        + (usage.cached_tokens - usage.cached_audio_tokens) * base[rates.CACHE_READ]
        + usage.cached_audio_tokens * own(rates.CACHE_READ_AUDIO, base[rates.CACHE_READ])
        + (usage.cache_write_tokens - usage.cache_write_1h_tokens) * base[rates.CACHE_WRITE]
        + usage.cache_write_1h_tokens * base[rates.CACHE_WRITE_1H]
        + audio_tokens * own(rates.AUDIO_INPUT, base[rates.INPUT])
        + images
        + said * base[rates.OUTPUT]
        + usage.reasoning_tokens * base[rates.REASONING]
        + usage.audio_completion_tokens * table.get(rates.AUDIO_OUTPUT, base[rates.OUTPUT])
        + usage.image_completion_tokens * table.get(rates.IMAGE_OUTPUT, base[rates.OUTPUT])
    )
    return (2 * atto + ATTO_PER_NANO) // (2 * ATTO_PER_NANO)


def _uncached_tokens(usage: Usage) -> tuple[int, int, int]:
    """A prompt's tokens of text, audio and images that were neither read from a cache nor written to one. Cached audio
    is not counted as audio once more."""
    fresh = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
    audio = min(max(usage.audio_prompt_tokens - usage.cached_audio_tokens, 0), fresh)
    image = min(usage.image_prompt_tokens, fresh - audio)
    return fresh - audio - image, audio, image


def _base_rates(price: Price, prompt_tokens: int, service: str, at_ms: int) -> dict[str, int]:
    table = _table(price)
    for part in reversed(price.ranges):
        if prompt_tokens > part.above_tokens:
            table, service = {rates.OUTPUT: table.get(rates.OUTPUT, 0), **dict(part.rates)}, ""
            break
    crossed = [word for word in price.thresholds if is_crossed(price, word, prompt_tokens)] if table else []

    def rate(name: str, else_rate: int) -> int:
        found = table.get(name + service, table.get(name))
        for word in crossed:
            above = f"{name}_above_{word}_tokens"
            found = table.get(above + service, table.get(above, found))
        return else_rate if found is None else found

    base = dict(price.off_peak.rates) if price.off_peak and price.off_peak.is_open(at_ms) else {}
    prompt = base.setdefault(rates.INPUT, rate(rates.INPUT, 0))
    answer = base.setdefault(rates.OUTPUT, rate(rates.OUTPUT, 0) or table.get(rates.IMAGE_OUTPUT, 0))
    base.setdefault(rates.CACHE_READ, rate(rates.CACHE_READ, prompt))
    cache_write = base.setdefault(rates.CACHE_WRITE, rate(rates.CACHE_WRITE, prompt))
    base[rates.CACHE_WRITE_1H] = rate(rates.CACHE_WRITE_1H, cache_write)
    if not service or rates.REASONING + service in table or rates.OUTPUT + service not in table:
        thinking = table.get(rates.REASONING + service, table.get(rates.REASONING, answer))
    else:
        thinking = answer
    base.setdefault(rates.REASONING, thinking)
    return base


def threshold_tokens(word: str) -> int:
    """200,000 for `200k`."""
    return int(word[:-1]) * 1_000 if word.endswith("k") else int(word)


def is_crossed(price: Price, word: str, prompt_tokens: int) -> bool:
    """Whether the rates beyond the threshold `word` apply to a prompt of this size."""
    threshold = threshold_tokens(word)
    return prompt_tokens > threshold or (price.at_threshold and prompt_tokens == threshold)


@lru_cache(maxsize=4_096)
def _table(price: Price) -> dict[str, int]:
    return dict(price.rates)
