"""The dearest that a request may come to: never below what it costs in the end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.limits.quota import Prices
from scalix.domain.prices.off_peak import OffPeak, OffPeakWindow
from scalix.domain.prices.peak_prices import PPM, dearest, marked_up, one_price
from scalix.domain.prices.plain_requests import has_plain_price
from scalix.domain.prices.price_map import read_price
from scalix.domain.prices.pricing import calculate
from scalix.domain.tokens.usage import Usage, usage_from

OPUS = read_price(
    {
        "input_cost_per_token": 4e-6,
        "output_cost_per_token": 2e-5,
        "cache_read_input_token_cost": 4e-7,
        "cache_creation_input_token_cost": 5e-6,
        "cache_creation_input_token_cost_above_1hr": 8e-6,
    },
    "map",
)
LONG = read_price(
    {
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_above_200k_tokens": 3e-6,
        "input_cost_per_token_priority": 2e-6,
        "input_cost_per_audio_token": 7e-6,
        "output_cost_per_token": 5e-6,
        "output_cost_per_token_above_200k_tokens": 6e-6,
        "output_cost_per_reasoning_token": 5.5e-6,
        "output_cost_per_audio_token": 9e-6,
        "input_cost_per_request": 0.001,
    },
    "map",
)
RANGES = read_price(
    {
        "tiered_pricing": [
            {"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            {"range": [1000, 2000], "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6},
        ]
    },
    "map",
)
NIGHT = OffPeak((OffPeakWindow(0, 60),), (("input_cost_per_token", 5 * 10**12),))


def pico(prices: Prices) -> tuple[int, int, int]:
    return prices.input_pico_usd_per_token, prices.output_pico_usd_per_token, prices.request_nano_usd


def test_writing_to_a_cache_may_be_dearer_than_input() -> None:
    assert pico(dearest([OPUS], 10, plain=True)) == (5_000_000, 20_000_000, 0)
    assert pico(dearest([OPUS], 10, plain=False)) == (8_000_000, 20_000_000, 0)


def test_rates_beyond_a_size_count_when_the_prompt_may_get_there() -> None:
    assert pico(dearest([LONG], 200_000, plain=True)) == (1_000_000, 5_500_000, 1_000_000)
    assert pico(dearest([LONG], 200_001, plain=True)) == (3_000_000, 6_000_000, 1_000_000)
    assert pico(dearest([LONG], 1, plain=False)) == (7_000_000, 9_000_000, 1_000_000)
    assert pico(dearest([RANGES], 1_000, plain=True)) == (1_000_000, 2_000_000, 0)
    assert pico(dearest([RANGES], 1_001, plain=True)) == (3_000_000, 4_000_000, 0)


def test_of_several_models_each_component_is_the_dearest_and_the_markup_rounds_up() -> None:
    assert pico(dearest([OPUS, LONG], 10, plain=True)) == (5_000_000, 20_000_000, 1_000_000)
    assert pico(dearest([OPUS], 10, plain=True, markup_ppm=1_200_001)) == (6_000_005, 24_000_020, 0)
    assert pico(dearest([], 10, plain=True)) == (0, 0, 0)
    assert marked_up(10, 1_000_001) == 11
    assert marked_up(0, PPM) == 0


def test_of_several_deployments_each_rate_is_the_dearest() -> None:
    cheap = read_price({"input_cost_per_token": 2e-6, "output_cost_per_token": 9e-6}, "info")
    both = one_price([cheap, LONG])
    for usage in (Usage(100, 10), Usage(300_000, 10), Usage(100, 10, cached_tokens=50, audio_prompt_tokens=20)):
        assert calculate(both, usage, 0) >= max(calculate(cheap, usage, 0), calculate(LONG, usage, 0))
    assert one_price([LONG, LONG]) == LONG


@pytest.mark.parametrize("price", [OPUS, LONG, RANGES], ids=["opus", "long", "ranges"])
@pytest.mark.parametrize("off_peak", [None, NIGHT])
@given(data=st.data())
def test_no_usage_costs_more_than_is_reserved(price: Any, off_peak: OffPeak | None, data: st.DataObject) -> None:
    from dataclasses import replace

    price = replace(price, off_peak=off_peak)
    prompt, completion = data.draw(st.integers(1, 400_000)), data.draw(st.integers(0, 10_000))
    part = st.integers(0, 10_000)
    plain = data.draw(st.booleans())
    details: dict[str, Any] = {"cached_tokens": data.draw(part), "cache_write_tokens": data.draw(part)}
    details["reasoning_tokens"] = data.draw(part)
    if not plain:
        details |= {
            "cache_write_1h_tokens": data.draw(part),
            "audio_prompt_tokens": data.draw(part),
            "audio_completion_tokens": data.draw(part),
            "service_tier": data.draw(st.sampled_from(["", "priority", "flex", "fast"])),
        }
    usage = usage_from(prompt, completion, **details)
    assert usage is not None
    estimate = prompt + data.draw(st.integers(0, 1_000))
    reserved = dearest([price], estimate, plain=plain).cost_nano_usd(estimate, completion)
    assert calculate(price, usage, 0) <= reserved + 1


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "service_tier": "default"},
        {"input": "hi"},
        {"input": ["a", "b"]},
        {"input": [[1, 2], [3]]},
        {"input": [1, 2]},
        {"prompt": "hi", "service_tier": "flex"},
        {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]},
        {"system": "be nice", "messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
    ],
)
def test_text_at_the_usual_speed_is_plain(body: dict[str, Any]) -> None:
    assert has_plain_price(body)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"input": [{"type": "input_image"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
        {"messages": [], "modalities": ["text", "audio"]},
        {"messages": [], "service_tier": "priority"},
        {"messages": [], "service_tier": "auto"},
        {"messages": [], "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]},
        {"messages": {"role": "user"}},
        {"messages": [{"role": "user", "content": {"type": "text"}}]},
        {"input": [{"type": "something_new"}]},
    ],
)
def test_what_may_have_other_rates_or_is_not_understood_is_not(body: dict[str, Any]) -> None:
    assert not has_plain_price(body)
