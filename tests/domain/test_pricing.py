"""Prices as they are written, and usages as they are told: what is understood of them, and what is left to LiteLLM."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from scalix.domain.policy import Model
from scalix.domain.prices.price_map import atto_usd, is_price_name, read_price
from scalix.domain.prices.pricing import Price, calculate
from scalix.domain.tokens.usage import Usage
from scalix.domain.tokens.usage_reading import read_usage, usage_in

PER_TOKEN = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


@pytest.mark.parametrize(
    ("written", "atto"),
    [
        (3e-06, 3 * 10**12),
        (1.25e-07, 125 * 10**9),
        (0, 0),
        (2, 2 * 10**18),
        ("4e-7", 4 * 10**11),
        (Decimal("0.000000000000000001"), 1),
    ],
)
def test_rates_keep_every_digit(written: object, atto: int) -> None:
    assert atto_usd(written) == atto


@pytest.mark.parametrize("wrong", [None, True, -1e-9, float("nan"), float("inf"), "much", [1], {}, 1e9])
def test_what_is_no_amount_is_no_rate(wrong: object) -> None:
    assert atto_usd(wrong) is None
    assert not read_price({**PER_TOKEN, "cache_read_input_token_cost": wrong}, "v").rates[2:]


def test_names_of_prices_are_told_from_others() -> None:
    known = ["input_cost_per_token", "output_cost_per_token_above_200k_tokens_priority", "input_cost_per_request"]
    known += ["cache_creation_input_token_cost_above_1hr_above_200k_tokens", "cache_read_input_token_cost_flex"]
    assert all(map(is_price_name, known))
    others = ["max_tokens", "input_cost_per_token_batches", "output_cost_per_second", "mode", "input_cost_per_token_"]
    assert not any(map(is_price_name, others))


def test_a_threshold_is_passed_beyond_it_and_at_xai_from_it_on() -> None:
    entry = {**PER_TOKEN, "input_cost_per_token_above_128k_tokens": 3e-6}
    assert calculate(read_price(entry, "v"), Usage(128_000, 0), 0) == 128_000_000
    assert calculate(read_price(entry, "v"), Usage(128_001, 0), 0) == 3 * 128_001_000
    assert calculate(read_price(entry, "v", provider="xai"), Usage(128_000, 0), 0) == 3 * 128_000_000


def test_images_by_the_piece_are_not_billed_by_tokens_too() -> None:
    price = read_price({**PER_TOKEN, "input_cost_per_image": 0.01}, "v")
    assert calculate(price, Usage(300, 0, image_prompt_tokens=258, images=2), 0) == 42_000 + 20_000_000
    assert calculate(price, Usage(300, 0, image_prompt_tokens=258), 0) == 300_000


@pytest.mark.parametrize(("tokens", "nano_usd"), [(1, 0), (4, 0), (5, 1), (14, 1), (15, 2)])
def test_a_cost_is_rounded_to_the_nearest_nano_dollar(tokens: int, nano_usd: int) -> None:
    assert calculate(read_price({"input_cost_per_token": 1e-10}, "v"), Usage(tokens, 0), 0) == nano_usd


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        ({"input_cost_per_second": 0.1}, {}),
        ({**PER_TOKEN, "input_cost_per_character": 1e-7}, {}),
        ({**PER_TOKEN, "off_peak_pricing": {"windows": "at night"}}, {}),
        ({**PER_TOKEN, "off_peak_pricing": {"hours_utc": "25:00-26:00", "input_cost_per_token": 1e-7}}, {}),
        ({**PER_TOKEN, "off_peak_pricing": {"hours_utc": "1:00-2:00", "weekday_timezone": "Asia/Shanghai"}}, {}),
        (PER_TOKEN, {"provider": "perplexity"}),
        ({**PER_TOKEN, "regional_processing_uplift_multiplier_eu": 1.1}, {"regional": True}),
    ],
)
def test_what_goes_beyond_our_rules_is_left_to_litellm(entry: dict[str, Any], options: dict[str, Any]) -> None:
    assert read_price(entry, "v", **options).reported


def test_what_we_understand_is_ours() -> None:
    entry = {**PER_TOKEN, "regional_processing_uplift_multiplier_eu": 1.1, "search_context_cost_per_query": {}}
    entry["off_peak_pricing"] = {"hours_utc": ["16:30-00:30"], "input_cost_per_token": 1e-7}
    price = read_price(entry, "v", provider="openai")
    assert not price.reported
    night, noon = (17 * 60) * 60_000, 12 * 3_600_000
    assert [calculate(price, Usage(10, 0), at) for at in (noon, night)] == [10_000, 1_000]


def test_a_price_says_what_it_covers() -> None:
    whole, prompts, nothing = (read_price(entry, "v") for entry in (PER_TOKEN, {"input_cost_per_token": 0}, {}))
    assert (whole.has_input, whole.has_rates(answers=True)) == (True, True)
    assert (prompts.has_input, prompts.has_rates(answers=True), prompts.has_rates(answers=False)) == (True, False, True)
    assert (nothing.has_input, nothing.has_rates(answers=False)) == (False, False)
    reported = Price("v", (), reported=True)
    assert (reported.has_input, reported.has_rates(answers=False)) == (True, False)


def test_the_price_of_a_moment_is_the_latest_that_has_begun() -> None:
    model = Model("m", "openai/m", prices=(Price("a", (), 100), Price("b", (), 200)))
    versions = [price.version if (price := model.price_at(at)) else None for at in (99, 100, 199, 200, 10**15)]
    assert versions == [None, "a", "a", "b", "b"]
    assert (model.provider, Model("m", "gpt-4").provider) == ("openai", "")


USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


@pytest.mark.parametrize(
    "usage",
    [
        {**USAGE, "server_tool_use": {"web_search_requests": 1}},
        {**USAGE, "prompt_tokens_details": {"web_search_requests": 2}},
        {**USAGE, "prompt_tokens_details": {"video_tokens": 5}},
        {**USAGE, "speed": "fast"},
        {**USAGE, "inference_geo": "us"},
        {"promptTokenCount": 100, "candidatesTokenCount": 10, "toolUsePromptTokenCount": 7},
        {"promptTokenCount": 9, "promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 5}]},
    ],
)
def test_what_is_billed_beside_tokens_is_noticed(usage: dict[str, Any]) -> None:
    read = read_usage(usage)
    assert read is not None
    assert read.has_extras


@pytest.mark.parametrize(
    "usage",
    [
        {**USAGE, "server_tool_use": {"web_search_requests": 0}, "inference_geo": "not_available", "speed": "standard"},
        {**USAGE, "prompt_tokens_details": None, "server_tool_use": None},
    ],
)
def test_what_is_not_is_not(usage: dict[str, Any]) -> None:
    assert read_usage(usage) == Usage(100, 10)


def test_what_tools_put_into_geminis_prompt_is_of_the_prompt() -> None:
    read = read_usage({"promptTokenCount": 100, "candidatesTokenCount": 10, "toolUsePromptTokenCount": 7})
    assert read == Usage(107, 10, has_extras=True)


def test_hosted_tools_are_seen_in_the_answer() -> None:
    usage = {"input_tokens": 5, "output_tokens": 5}
    for output, extras in (
        ([{"type": "message"}, {"type": "function_call"}], False),
        ([{"type": "web_search_call"}], True),
    ):
        read = usage_in({"output": output, "usage": usage})
        assert read == Usage(5, 5, has_extras=extras)
    cited = {"choices": [{"message": {"content": "x", "annotations": [{"type": "url_citation"}]}}], "usage": USAGE}
    assert usage_in(cited) == Usage(100, 10, has_extras=True)


def test_the_service_tier_is_the_answers_or_the_usages() -> None:
    assert usage_in({"service_tier": "Priority", "usage": USAGE}) == Usage(100, 10, service_tier="priority")
    assert usage_in({"usage": {**USAGE, "service_tier": "flex"}}) == Usage(100, 10, service_tier="flex")
    assert usage_in({"response": {"service_tier": "flex", "usage": USAGE}}) == Usage(100, 10, service_tier="flex")
    assert usage_in({"service_tier": 7, "usage": {**USAGE, "service_tier": ["x"]}}) == Usage(100, 10)


def test_objects_are_read_as_mappings_are_and_nonsense_is_no_usage() -> None:
    details = SimpleNamespace(cached_tokens=40, audio_tokens=None)
    usage = SimpleNamespace(prompt_tokens=100, completion_tokens=10, prompt_tokens_details=details)
    assert usage_in(SimpleNamespace(usage=usage)) == Usage(100, 10, cached_tokens=40)
    wrongs: list[Any] = [None, "x", 5, [], {}, {"usage": None}, {"usage": "x"}, {"usage": {"prompt_tokens": "x"}}]
    for wrong in wrongs:
        assert usage_in(wrong) is None
    strange = {**USAGE, "prompt_tokens_details": "x", "completion_tokens_details": [1], "cache_creation": 7}
    assert read_usage(strange) == Usage(100, 10)
