"""The outcome table as a function."""

import pytest

from scalix.domain.outcomes import Ending, Usage, charge_for, usage_from
from scalix.domain.quota import Outcome, Prices

PRICES = Prices(1_000_000, 2_000_000)  # 1,000 and 2,000 nano-dollars a token


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
    charge = charge_for(Ending(outcome, Usage(10, 20), 40, 7, None, PRICES))
    assert (charge.requests, charge.tokens, charge.nano_usd) == expected
    assert not charge.estimated


def test_without_a_usage_it_is_the_prompt_and_what_was_delivered() -> None:
    charge = charge_for(Ending(Outcome.CLIENT_CUT, None, 40, 7, 999, PRICES))
    assert (charge.requests, charge.tokens, charge.nano_usd, charge.estimated) == (1, 47, 54_000, True)


@pytest.mark.parametrize(("cost", "charged"), [(None, 50_000), (0, 50_000), (123, 123)])
def test_a_cost_that_is_not_known_is_reckoned_from_the_prices(cost: int | None, charged: int) -> None:
    assert charge_for(Ending(Outcome.SUCCESS, Usage(10, 20), 40, 0, cost, PRICES)).nano_usd == charged


@pytest.mark.parametrize("wrong", [-1, 10**12, "5", 1.0, True, None, [1]])
def test_only_whole_numbers_that_can_be_are_a_usage(wrong: object) -> None:
    assert usage_from(wrong, 5) is None
    assert usage_from(5, wrong) is None
    assert usage_from(0, 5) is None
    assert usage_from(5, 0) == Usage(5, 0)
