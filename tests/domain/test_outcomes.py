"""The outcome table as a function."""

from dataclasses import replace

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.outcomes import Billable, charge_for, cost_of
from scalix.domain.limits.quota import Outcome
from scalix.domain.prices.pricing import Price
from scalix.domain.tokens.usage import Usage, usage_from

# 1,000 and 2,000 nano-dollars a token
PRICE = Price("info", (("input_cost_per_token", 10**12), ("output_cost_per_token", 2 * 10**12)))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.SUCCESS, (1, 30, 50_000)),
        (Outcome.CLIENT_CUT, (1, 30, 50_000)),
        (Outcome.PROVIDER_BROKE, (1, 30, 50_000)),
        (Outcome.CLIENT_LEFT, (1, 30, 50_000)),
        (Outcome.PROVIDER_FAILED, (0, 0, 0)),
        (Outcome.PROVIDER_REFUSED, (1, 0, 0)),
        (Outcome.CACHE_HIT, (1, 0, 0)),
    ],
)
def test_each_outcome_has_its_charge(outcome: Outcome, expected: tuple[int, int, int]) -> None:
    charge = charge_for(Billable(outcome, Usage(10, 20), 40, 7, PRICE, detail=Detail(model="m", error="timeout")))
    assert (charge.requests, charge.tokens, charge.nano_usd) == expected
    assert not charge.estimated
    detail = charge.detail
    assert (detail.prompt_tokens + detail.completion_tokens, detail.cost_nano_usd, detail.charge_nano_usd) == (
        charge.tokens,
        charge.nano_usd,
        charge.nano_usd,
    )
    assert (detail.model, detail.error) == ("m", "timeout")


def test_without_a_usage_it_is_the_prompt_and_what_was_delivered() -> None:
    charge = charge_for(Billable(Outcome.CLIENT_CUT, None, 40, 7, PRICE, reported_nano_usd=999))
    assert (charge.requests, charge.tokens, charge.nano_usd, charge.estimated) == (1, 47, 54_000, True)


@pytest.mark.parametrize(
    ("markup_ppm", "spend", "billed"),
    [(1_000_000, 50_000, 50_000), (0, 50_000, 0), (1_200_000, 60_000, 60_000), (1_000_001, 50_001, 50_001)],
)
def test_the_user_is_billed_the_cost_times_the_markup_and_what_is_not_billed_counts_at_cost(
    markup_ppm: int, spend: int, billed: int
) -> None:
    charge = charge_for(Billable(Outcome.SUCCESS, Usage(10, 20), 0, 0, PRICE, markup_ppm=markup_ppm))
    detail = charge.detail
    assert (charge.nano_usd, detail.charge_nano_usd, detail.cost_nano_usd) == (spend, billed, 50_000)


@pytest.mark.parametrize("reported", [None, 0, 123])
def test_the_cost_is_our_own_calculation(reported: int | None) -> None:
    charge = charge_for(Billable(Outcome.SUCCESS, Usage(10, 20), 40, 0, PRICE, reported_nano_usd=reported))
    assert (charge.detail.cost_nano_usd, charge.detail.price_version) == (50_000, "info")


@pytest.mark.parametrize(
    ("price", "usage", "reported", "expected"),
    [
        (replace(PRICE, reported=True), Usage(10, 20), 123, (123, "litellm")),
        (replace(PRICE, reported=True), Usage(10, 20), None, (50_000, "info")),
        (PRICE, Usage(10, 20, has_extras=True), 70_000, (70_000, "litellm")),
        (PRICE, Usage(10, 20, has_extras=True), 7, (50_000, "info")),
        (None, Usage(10, 20), 123, (123, "litellm")),
        (None, Usage(10, 20), None, (0, "none")),
    ],
)
def test_litellms_figure_stands_where_the_price_goes_beyond_what_we_understand(
    price: Price | None, usage: Usage, reported: int | None, expected: tuple[int, str]
) -> None:
    assert cost_of(price, usage, 0, reported) == expected


@pytest.mark.parametrize("wrong", [-1, 10**12, "5", 1.0, True, None, [1]])
def test_only_whole_numbers_that_can_be_are_a_usage(wrong: object) -> None:
    assert usage_from(wrong, 5) is None
    assert usage_from(5, wrong) is None
    assert usage_from(0, 5) is None
    assert usage_from(5, 0) == Usage(5, 0)


@pytest.mark.parametrize("wrong", [-1, 10**12, "5", 1.5, True, [1], 101])
def test_details_that_cant_be_true_count_as_none(wrong: object) -> None:
    whole = Usage(100, 100)
    for name in ("cached_tokens", "cache_write_tokens", "audio_prompt_tokens", "image_prompt_tokens"):
        assert usage_from(100, 100, **{name: wrong}) == whole  # type: ignore[arg-type]
    for name in ("reasoning_tokens", "audio_completion_tokens", "image_completion_tokens"):
        assert usage_from(100, 100, **{name: wrong}) == whole  # type: ignore[arg-type]


def test_parts_are_never_more_than_their_whole_together() -> None:
    assert usage_from(100, 10, cached_tokens=60, cache_write_tokens=60) == Usage(100, 10, cached_tokens=60)
    assert usage_from(100, 10, cache_write_tokens=5, cache_write_1h_tokens=6) == Usage(100, 10, cache_write_tokens=5)
    assert usage_from(100, 10, reasoning_tokens=8, audio_completion_tokens=3) == Usage(100, 10, reasoning_tokens=8)
