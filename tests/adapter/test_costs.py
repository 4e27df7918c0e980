"""Our calculation against LiteLLM's: the same usage and price give the same cost, to the nano-dollar."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm._internal_context import pinned_billing_time
from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import VertexGeminiConfig
from litellm.responses.utils import ResponseAPILoggingUtils

from scalix.domain.prices.pricing import Price, calculate
from scalix.domain.tokens.usage import Usage
from scalix.domain.tokens.usage_reading import read_usage
from scalix.launch.config.config_file import read_config
from scalix.litellm_adapter.reports import usage_of
from tests.adapter.usage_shapes import CHAT, GEMINI, MESSAGES, RESPONSES, SHAPES, Shape

MONDAY_NOON_MS = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()) * 1000


def price_of(folder: Path, shape: Shape) -> Price:
    """What a gateway has for the model, from the files that it reads."""
    info = "".join(f"\n      {name}: {Decimal(repr(value)):f}" for name, value in shape.info.items())
    path = folder / "config.yaml"
    path.write_text(
        f"""
model_list:
  - model_name: m
    litellm_params: {{model: {shape.model}, api_base: "http://provider", api_key: none}}
    model_info:{info or " {}"}
scalix: {{default_tier: t, tiers: {{t: {{models: [m]}}}}}}
""",
        encoding="utf-8",
    )
    (price,) = read_config(path, {}).policy.models["m"].prices
    return price


def litellms_usage(shape: Shape) -> Any:
    """What LiteLLM makes of the provider's usage."""
    if shape.api == MESSAGES:
        return litellm.AnthropicConfig().calculate_usage(usage_object=shape.usage, reasoning_content=None)
    if shape.api == GEMINI:
        return VertexGeminiConfig._calculate_usage(completion_response={"usageMetadata": shape.usage})
    if shape.api == RESPONSES:
        return ResponseAPILoggingUtils.transform_response_api_usage_to_chat_usage(shape.usage)
    assert shape.api == CHAT
    return litellm.Usage(**shape.usage)


def litellms_cost(shape: Shape, at_ms: int) -> Decimal:
    """In nano-dollars."""
    model, provider = shape.model, shape.model.partition("/")[0]
    if shape.info:
        # As the router does for a deployment with a price of its own.
        litellm.register_model({model: {**shape.info, "litellm_provider": provider, "mode": "chat"}})
    response = litellm.ModelResponse(model=model.partition("/")[2], usage=litellms_usage(shape))
    with pinned_billing_time(datetime.fromtimestamp(at_ms / 1000, UTC)):
        usd = litellm.completion_cost(
            response, model=model, custom_llm_provider=provider, service_tier=shape.service_tier, call_type="completion"
        )
    return Decimal(usd) * 10**9


def nearest(nano_usd: Decimal) -> int:
    # LiteLLM's binary fractions are off in the 16th digit, which may hide a half.
    return int(nano_usd.quantize(Decimal("0.000001")).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_usage_costs_what_litellm_says(tmp_path: Path, shape: Shape) -> None:
    price = price_of(tmp_path, shape)
    expected = nearest(litellms_cost(shape, MONDAY_NOON_MS))
    answer = {"usage": shape.usage} if shape.api != GEMINI else {"usageMetadata": shape.usage}
    seen = usage_of(answer, shape.service_tier)
    reported = usage_of({"usage": litellms_usage(shape)}, shape.service_tier)

    assert seen is not None
    assert reported is not None
    # LiteLLM's object is read the same inside an answer of its own.
    assert usage_of(litellm.ModelResponse(usage=litellms_usage(shape)), shape.service_tier) == reported
    # Both what the provider was seen to say and what LiteLLM reports of it.
    assert calculate(price, seen, MONDAY_NOON_MS) == expected
    assert calculate(price, reported, MONDAY_NOON_MS) == expected


def test_there_are_thirty_shapes_and_more() -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 30
    assert {shape.api for shape in SHAPES} == {CHAT, RESPONSES, MESSAGES, GEMINI}


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 23, 0, 59, 59, tzinfo=UTC),  # a Monday
        datetime(2026, 11, 23, 1, tzinfo=UTC),
        datetime(2026, 11, 23, 5, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 23, 6, tzinfo=UTC),
        datetime(2026, 11, 23, 23, 59, tzinfo=UTC),
        datetime(2026, 11, 27, 7, tzinfo=UTC),
        datetime(2026, 11, 28, 7, tzinfo=UTC),
        datetime(2026, 11, 29, 23, tzinfo=UTC),
    ],
    ids=str,
)
def test_off_peak_hours_are_litellms(tmp_path: Path, at: datetime) -> None:
    shape = Shape("off peak", CHAT, "deepseek/deepseek-v4-flash", {"prompt_tokens": 1_000, "completion_tokens": 500})
    at_ms = int(at.timestamp() * 1000)
    expected = nearest(litellms_cost(shape, at_ms))
    usage = read_usage(shape.usage)
    assert usage is not None
    assert calculate(price_of(tmp_path, shape), usage, at_ms) == expected


def test_the_price_of_a_request_is_ours_because_litellm_leaves_it_out(tmp_path: Path) -> None:
    """docs/prices.md says so."""
    shape = Shape("by request", CHAT, "perplexity/sonar-small-online", {"prompt_tokens": 10, "completion_tokens": 5})
    ours = calculate(price_of(tmp_path, shape), Usage(10, 5), MONDAY_NOON_MS)
    assert ours - nearest(litellms_cost(shape, MONDAY_NOON_MS)) == 5_000_000
