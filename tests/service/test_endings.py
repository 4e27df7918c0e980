"""What the ledger is told of an exchange that is over."""

from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.failures import ErrorClass
from scalix.domain.identity.subjects import Subject
from scalix.domain.ledger.outcomes import Billable, charge_for
from scalix.domain.limits.limits import UNLIMITED
from scalix.domain.limits.quota import Outcome, Receipt
from scalix.domain.policy import Model, Tier
from scalix.domain.prices.pricing import Price
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.attempts import Attempt, Seen
from scalix.service.exchange.endings import billable_of
from scalix.service.exchange.exchanges import Exchange
from scalix.service.identity.callers import THE_OPERATOR, Caller
from tests.exchanges import made_exchange


def priced(name: str, provider: str, *nano_usd_and_from_ms: tuple[int, int]) -> Model:
    """A model at so many nano-dollars a token."""
    prices = tuple(
        Price(f"{name}@{at}", (("input_cost_per_token", nano * 10**9), ("output_cost_per_token", nano * 10**9)), at)
        for nano, at in nano_usd_and_from_ms
    )
    return Model(name, f"{provider}/{name}-1", prices=prices)


MODELS = {"asked": priced("asked", "openai", (1, 0), (10, 5_000)), "next": priced("next", "anthropic", (100, 0))}
ALICE = Caller(Subject("user", "alice"), Tier("premium", markup_ppm=1_500_000), UNLIMITED)


_OF_THE_ATTEMPT = {field.name for field in dataclass_fields(Attempt)}


def exchange(**fields: Any) -> Exchange:
    usual: dict[str, Any] = {
        "caller": ALICE,
        "model": "asked",
        "receipt": Receipt("r1", "user:alice", 4_999, 40, 100, False),
        "models": MODELS,
        "began_s": 10.0,
        "first_token_s": 10.25,
    }
    reported: dict[str, Any] = {"usage": Usage(7, 3, cached_tokens=2, reasoning_tokens=1)}
    reported |= {name: fields.pop(name) for name in _OF_THE_ATTEMPT & fields.keys()}
    return made_exchange(**{**usual, **fields}, attempt=Attempt(**reported))


def billable(
    ended: Exchange, outcome: Outcome = Outcome.SUCCESS, now_s: float = 11.5, error: ErrorClass | None = None
) -> Billable:
    return billable_of(ended.admission, ended.ended(outcome, error=error), now_s)


def test_an_answer_of_the_model_that_was_asked_for() -> None:
    charge = charge_for(billable(exchange(), Outcome.SUCCESS, 11.5))
    detail = charge.detail
    assert (charge.nano_usd, detail.cost_nano_usd, detail.charge_nano_usd) == (15, 10, 15)
    assert (detail.tier, detail.model, detail.served, detail.provider) == ("premium", "asked", "asked", "openai")
    assert (detail.prompt_tokens, detail.completion_tokens, detail.cached_tokens, detail.reasoning_tokens) == (
        7,
        3,
        2,
        1,
    )
    assert (detail.latency_ms, detail.first_token_ms, detail.streamed, detail.cache_hit) == (1_500, 250, True, False)
    assert (detail.price_version, detail.error, detail.fallbacks) == ("asked@0", "", ())


def test_a_fallback_is_charged_once_at_its_own_price() -> None:
    served = exchange(served_model="next", tried=["asked"])
    detail = charge_for(billable(served, Outcome.SUCCESS, 11.5)).detail
    assert (detail.cost_nano_usd, detail.price_version) == (1_000, "next@0")
    assert (detail.model, detail.served, detail.provider, detail.fallbacks) == (
        "asked",
        "next",
        "anthropic",
        ("asked",),
    )


def test_the_price_is_that_of_the_time_of_admission() -> None:
    later = replace(exchange().admission.receipt, admitted_ms=5_000)
    detail = charge_for(billable(exchange(receipt=later), Outcome.SUCCESS, 11.5)).detail
    assert (detail.cost_nano_usd, detail.price_version) == (100, "asked@5000")


@pytest.mark.parametrize("outcome", [Outcome.PROVIDER_FAILED, Outcome.PROVIDER_REFUSED])
def test_what_nobody_served_costs_nothing_and_is_recorded_with_its_error(outcome: Outcome) -> None:
    failed = exchange(first_token_s=None, tried=["asked"], cost_nano_usd=99)
    charge = charge_for(billable(failed, outcome, 12.0, ErrorClass.TIMEOUT))
    detail = charge.detail
    assert (charge.nano_usd, charge.tokens, detail.cost_nano_usd, detail.charge_nano_usd) == (0, 0, 0, 0)
    assert (detail.model, detail.served, detail.error, detail.fallbacks) == ("asked", "", "timeout", ("asked",))
    assert (detail.latency_ms, detail.first_token_ms) == (2_000, None)


def test_an_answer_from_the_cache_costs_nothing() -> None:
    charge = charge_for(billable(exchange(), Outcome.CACHE_HIT, 11.0))
    assert (charge.requests, charge.nano_usd, charge.detail.cache_hit, charge.detail.served) == (1, 0, True, "asked")


def test_the_operator_has_no_tier_and_the_price_as_it_is() -> None:
    charge = charge_for(billable(exchange(caller=THE_OPERATOR), Outcome.SUCCESS, 11.0))
    assert (charge.detail.tier, charge.nano_usd, charge.detail.charge_nano_usd) == ("", 10, 10)


def test_the_parts_of_a_usage_are_the_providers_own_where_the_wholes_agree() -> None:
    stated = Usage(7, 3, cached_tokens=5, audio_prompt_tokens=2)
    ended = billable(exchange(seen=Seen(usage=stated)), Outcome.SUCCESS, 11.0)
    assert ended.usage == stated
    other = billable(exchange(seen=Seen(usage=Usage(7, 2, cached_tokens=5))))
    assert other.usage == exchange().attempt.usage


def test_an_exchange_that_nobody_has_timed_took_no_time() -> None:
    assert billable(exchange(began_s=0.0, first_token_s=None), Outcome.SUCCESS, 99.0).detail.latency_ms == 0
