"""What LiteLLM's map adds to a model, which a reload may have given other prices."""

from dataclasses import replace

from scalix.domain.policy import Model
from scalix.domain.prices.pricing import Price
from scalix.litellm_adapter.app import model_facts


def test_a_model_is_completed_once_and_again_when_its_prices_are_new() -> None:
    complete = model_facts()
    before = Model("m", "openai/gpt-4", prices=(Price("old", ()),))
    after = replace(before, prices=(Price("new", ()),))
    completed = complete(before)
    assert (completed.max_output_tokens, completed.prices) == (4096, before.prices)
    assert complete(before) is completed
    assert complete(after).prices == after.prices
