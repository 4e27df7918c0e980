"""The most that a request may cost, which is what is reserved for it."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from scalix.domain.limits.quota import Prices
from scalix.domain.prices import rate_names as rates
from scalix.domain.prices.pricing import ATTO_PER_NANO, ATTO_PER_PICO, Price, is_crossed, threshold_tokens
from scalix.domain.prices.rate_names import SERVICE_TIERS, Rates

PPM = 1_000_000
"""Parts per million: a markup of 1 is this many."""

_OF_TEXT = (rates.INPUT, rates.CACHE_READ, rates.CACHE_WRITE, rates.OUTPUT, rates.REASONING)
_OF_PROMPTS = ("input_cost_per_", "cache_")
_OF_ANSWERS = ("output_cost_per_",)
_BY_THE_PIECE = (rates.IMAGE, rates.REQUEST)


def dearest(prices: Iterable[Price], prompt_tokens: int, *, plain: bool, markup_ppm: int = PPM) -> Prices:
    """The dearest rate of each component among `prices`, times the markup, rounded up.

    `prompt_tokens` is an upper bound on the prompt. `plain`: the request is text at the usual speed, to which no rate
    for other kinds of content, longer caches or faster service applies.
    """
    known = tuple(prices)
    return _dearest(known, tuple([_size(price, prompt_tokens) for price in known]), plain, markup_ppm)


@lru_cache(maxsize=4_096)
def _dearest(prices: tuple[Price, ...], sizes: tuple[int, ...], plain: bool, markup_ppm: int) -> Prices:
    peaks = [_peak(price, size, plain) for price, size in zip(prices, sizes, strict=True)]
    prompt, answer, request = (max(column) * markup_ppm for column in zip((0, 0, 0), *peaks, strict=True))
    return Prices(_up(prompt, ATTO_PER_PICO), _up(answer, ATTO_PER_PICO), _up(request, ATTO_PER_NANO))


def marked_up(nano_usd: int, markup_ppm: int) -> int:
    """`nano_usd` times a markup, rounded up to a nano-dollar."""
    return -(-nano_usd * markup_ppm // PPM)


def _up(atto_ppm: int, unit: int) -> int:
    return -(-atto_ppm // (unit * PPM))


def _size(price: Price, prompt_tokens: int) -> int:
    """The size of the prompt as far as the price depends on it, so that the cache of `_dearest` needs few entries."""
    if not price.thresholds and not price.ranges:
        return 0
    sizes = [threshold_tokens(word) - price.at_threshold for word in price.thresholds]
    sizes += [part.above_tokens for part in price.ranges]
    return max((size + 1 for size in sizes if size < prompt_tokens), default=0)


def _peak(price: Price, prompt_tokens: int, plain: bool) -> tuple[int, int, int]:
    """The dearest rates of a prompt's and an answer's tokens, and of the request, in atto-dollars."""
    inputs, outputs, request = [0], [0], [0]
    tables: list[Rates] = [price.rates, *(part.rates for part in price.ranges if part.above_tokens < prompt_tokens)]
    tables += [price.off_peak.rates] if price.off_peak else []
    for name, rate in (item for table in tables for item in table):
        if name in _BY_THE_PIECE:
            request += [rate] if name == rates.REQUEST else []
        elif plain and not _is_plain(price, name, prompt_tokens):
            continue
        elif name.startswith(_OF_PROMPTS):
            inputs.append(rate)
        elif name.startswith(_OF_ANSWERS):
            outputs.append(rate)
    if len(outputs) == 1:
        outputs += [rate for name, rate in price.rates if name == rates.IMAGE_OUTPUT]
    return max(inputs), max(outputs), max(request)


def _is_plain(price: Price, name: str, prompt_tokens: int) -> bool:
    base, above, rest = name.partition("_above_")
    if base not in _OF_TEXT:
        return False
    word, tokens, service = rest.partition("_tokens")
    if not above:
        return True
    # An hour's cache, here "1hr", is only used by a request that asks for it.
    return bool(tokens) and not service and "1hr" not in word and is_crossed(price, word, prompt_tokens)


def one_price(prices: Sequence[Price]) -> Price:
    """The price of a model whose deployments have several: of each rate the dearest."""
    first = prices[0]
    if all(price == first for price in prices):
        return first
    if any(price.ranges for price in prices):
        return max(prices, key=lambda price: _peak(price, sys.maxsize, plain=True)[0])
    tables = [dict(price.rates) for price in prices]
    names = sorted(set[str]().union(*tables))
    highest = tuple((name, max(_rate(table, name) for table in tables)) for name in names)
    words = {word for price in prices for word in price.thresholds}
    return replace(
        first,
        rates=highest,
        thresholds=tuple(sorted(words, key=threshold_tokens)),
        at_threshold=any(price.at_threshold for price in prices),
        off_peak=None,
        reported=any(price.reported for price in prices),
    )


def _rate(table: dict[str, int], name: str) -> int:
    """The rate `name`, or the one that is billed in its place if the price has none of this name."""
    if name in table:
        return table[name]
    usual = next((name.removesuffix(end) for end in SERVICE_TIERS.values() if name.endswith(end)), name)
    if usual != name:
        return _rate(table, usual)
    if name.endswith("_tokens"):
        return _rate(table, name.rpartition("_above_")[0])
    if name == rates.CACHE_WRITE_1H:
        return _rate(table, rates.CACHE_WRITE)
    if name in (rates.INPUT, rates.OUTPUT, *_BY_THE_PIECE):
        return 0
    return _rate(table, rates.OUTPUT if name.startswith(_OF_ANSWERS) else rates.INPUT)
