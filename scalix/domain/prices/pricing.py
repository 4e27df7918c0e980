"""What a request costs at its provider: a model's price and a usage give nano-dollars, in whole numbers all the way.

Rates have the names of LiteLLM's price map (`model_prices_and_context_window.json`), and count atto-dollars (10^-18):
the cheapest rate of that map is whole in them. The rules are those of LiteLLM 1.106.12's `completion_cost`.
"""

from dataclasses import dataclass
from functools import lru_cache

from scalix.domain.prices.off_peak import OffPeak
from scalix.domain.tokens.usage import Usage

ATTO_PER_USD = 10**18
ATTO_PER_NANO, ATTO_PER_PICO = 10**9, 10**6
MOST_VERSION_CHARS = 16

INPUT, OUTPUT = "input_cost_per_token", "output_cost_per_token"
CACHE_READ, CACHE_WRITE = "cache_read_input_token_cost", "cache_creation_input_token_cost"
CACHE_WRITE_1H = "cache_creation_input_token_cost_above_1hr"
CACHE_READ_AUDIO = "cache_read_input_audio_token_cost"
REASONING = "output_cost_per_reasoning_token"
AUDIO_INPUT, AUDIO_OUTPUT = "input_cost_per_audio_token", "output_cost_per_audio_token"
IMAGE_INPUT, IMAGE_OUTPUT = "input_cost_per_image_token", "output_cost_per_image_token"
IMAGE, REQUEST = "input_cost_per_image", "input_cost_per_request"

# Of the words that providers use for how fast they serve, those with rates of their own.
SERVICE_TIERS = {
    "flex": "_flex",
    "balanced": "_balanced",
    "priority": "_priority",
    "fast": "_priority",
    "ultrafast": "_ultrafast",
}

Rates = tuple[tuple[str, int], ...]
"""Names and atto-dollars."""


@dataclass(frozen=True, slots=True)
class RangeRates:
    """The rates of all tokens of a request whose prompt has more than `above_tokens`."""

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from `from_ms` (Unix time) on. `version` names the source, in at most 16 characters.

    `thresholds` are the prompts' sizes, as in the rates' names (`200k`), beyond which other rates hold, ascending; with
    `at_threshold` they hold for just that size too. `reported`: the source prices by more than is understood here, so
    what LiteLLM makes of it comes first.
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
        # Looked up several times in each request, and the rates are many.
        return hash((self.version, self.from_ms, self.rates[:2]))

    @property
    def has_input(self) -> bool:
        """Whether it says what a prompt costs."""
        return self.reported or bool(self.ranges) or _table(self).keys() & {INPUT, REQUEST} != set()

    def has_rates(self, *, answers: bool) -> bool:
        """Whether it says beforehand what a prompt may cost, with `answers` what an answer may cost too."""
        names = _table(self).keys()
        return bool(self.ranges or names & {INPUT, REQUEST}) and (
            not answers or bool(self.ranges) or bool(names & {OUTPUT, IMAGE_OUTPUT, REQUEST})
        )


def calculate(price: Price, usage: Usage, at_ms: int) -> int:
    """The provider's cost of `usage` at `at_ms` (Unix time) in nano-dollars, rounded to the nearest, halves up."""
    table, service = _table(price), SERVICE_TIERS.get(usage.service_tier, "")
    base = _base_rates(price, usage.prompt_tokens, service, at_ms)
    parts = prompt_parts(usage)

    def own(name: str, else_rate: int) -> int:
        return table.get(name + service, table.get(name, else_rate))

    per_image = table.get(IMAGE) if usage.images else None
    atto = (
        parts.text_tokens * base.input
        + (usage.cached_tokens - usage.cached_audio_tokens) * base.cache_read
        + usage.cached_audio_tokens * own(CACHE_READ_AUDIO, base.cache_read)
        + (usage.cache_write_tokens - usage.cache_write_1h_tokens) * base.cache_write
        + usage.cache_write_1h_tokens * base.cache_write_1h
        + parts.audio_tokens * own(AUDIO_INPUT, base.input)
        + (parts.image_tokens * own(IMAGE_INPUT, base.input) if per_image is None else usage.images * per_image)
        + table.get(REQUEST, 0)
    )
    said = usage.completion_tokens - usage.reasoning_tokens
    said -= usage.audio_completion_tokens + usage.image_completion_tokens
    atto += (
        said * base.output
        + usage.reasoning_tokens * base.reasoning
        + usage.audio_completion_tokens * table.get(AUDIO_OUTPUT, base.output)
        + usage.image_completion_tokens * table.get(IMAGE_OUTPUT, base.output)
    )
    return (2 * atto + ATTO_PER_NANO) // (2 * ATTO_PER_NANO)


@dataclass(frozen=True, slots=True)
class PromptParts:
    """A prompt's tokens that came neither from a cache nor went into one."""

    text_tokens: int
    audio_tokens: int
    image_tokens: int


def prompt_parts(usage: Usage) -> PromptParts:
    """Cached tokens and tokens of a kind overlap; what was cached is not counted under its kind once more."""
    fresh = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
    audio = min(max(usage.audio_prompt_tokens - usage.cached_audio_tokens, 0), fresh)
    image = min(usage.image_prompt_tokens, fresh - audio)
    return PromptParts(fresh - audio - image, audio, image)


@dataclass(frozen=True, slots=True)
class _Base:
    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int


def _base_rates(price: Price, prompt_tokens: int, service: str, at_ms: int) -> _Base:
    table = _table(price)
    for part in reversed(price.ranges):
        if prompt_tokens > part.above_tokens:
            table, service = {OUTPUT: table.get(OUTPUT, 0), **dict(part.rates)}, ""
            break
    crossed = [word for word in price.thresholds if is_crossed(price, word, prompt_tokens)] if table else []

    def rate(name: str) -> int | None:
        found = table.get(name + service, table.get(name))
        for word in crossed:
            above = f"{name}_above_{word}_tokens"
            found = table.get(above + service, table.get(above, found))
        return found

    off_peak = dict(price.off_peak.rates) if price.off_peak and price.off_peak.is_open(at_ms) else {}
    prompt = off_peak.get(INPUT, rate(INPUT) or 0)
    answer = off_peak.get(OUTPUT, rate(OUTPUT) or table.get(IMAGE_OUTPUT, 0))
    cache_write = off_peak.get(CACHE_WRITE, _either(rate(CACHE_WRITE), prompt))
    if REASONING in off_peak:
        reasoning = off_peak[REASONING]
    elif service and REASONING + service not in table and OUTPUT + service in table:
        reasoning = answer
    else:
        reasoning = table.get(REASONING + service, table.get(REASONING, answer))
    return _Base(
        input=prompt,
        output=answer,
        cache_read=off_peak.get(CACHE_READ, _either(rate(CACHE_READ), prompt)),
        cache_write=cache_write,
        cache_write_1h=_either(rate(CACHE_WRITE_1H), cache_write),
        reasoning=reasoning,
    )


def threshold_tokens(word: str) -> int:
    """200,000 for `200k`."""
    return int(word[:-1]) * 1_000 if word.endswith("k") else int(word)


def is_crossed(price: Price, word: str, prompt_tokens: int) -> bool:
    """Whether a prompt of this size has the rates beyond the threshold `word`."""
    threshold = threshold_tokens(word)
    return prompt_tokens > threshold or (price.at_threshold and prompt_tokens == threshold)


def _either(rate: int | None, else_rate: int) -> int:
    return else_rate if rate is None else rate


@lru_cache(maxsize=4_096)
def _table(price: Price) -> dict[str, int]:
    return dict(price.rates)
