"""`scalix.prices`: what models cost, from where, from when on; and models whose price nobody knows."""

import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from scalix.domain.policy import Model
from scalix.domain.prices.pricing import calculate
from scalix.domain.tokens.usage import Usage
from scalix.launch.config.config_file import read_config
from scalix.launch.problems import LaunchError
from tests.launch.config_text import problem_of, problems_of, read

MAP = f"map:{version('litellm')}"
ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "litellm_proxy_config.yaml"
MODELS = """
model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4, api_key: os.environ/OPENAI_API_KEY}
  - model_name: own
    litellm_params: {model: openai/own, api_base: "http://x", api_key: none}
    model_info: {input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
"""
TIERS = """
scalix:
  default_tier: free
  tiers:
    free: {models: ["*"]}
    premium: {models: ["*"]}
"""
_NAMES = ("GEMINI", "DEEPSEEK", "OPENROUTER", "SCALIX_ENGINE", "SCALIX_GATEWAY", "OPENAI", "ANTHROPIC")
ALL_KEYS = {f"{name}_API_KEY": "canary" for name in _NAMES}
ALL_KEYS |= {"SCALIX_ENGINE_BASE_URL": "http://x/v1", "SCALIX_GATEWAY_BASE_URL": "http://x/v1"}


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type, misc]


NOW_MS = ms(2026, 11, 23)


def priced(folder: Path, prices: str) -> dict[str, Model]:
    return dict(read(folder, f"{MODELS}{TIERS}  prices:\n{prices}").policy.models)


def cost(model: Model, at_ms: int = NOW_MS, usage: Usage = Usage(1_000, 100)) -> tuple[int, str]:  # noqa: B008
    price = model.price_at(at_ms)
    assert price is not None
    return calculate(price, usage, at_ms), price.version


def test_litellms_map_then_model_info_then_the_section(tmp_path: Path) -> None:
    plain = read(tmp_path, MODELS + TIERS).policy.models
    assert cost(plain["gpt-4"]) == (1_000 * 30_000 + 100 * 60_000, MAP)
    assert cost(plain["own"]) == (1_000 * 1_000 + 100 * 2_000, "info")
    over = priced(tmp_path, "    models: {own: {input_usd_per_million: 5}, gpt-4: {output_usd_per_million: 7}}\n")
    assert cost(over["own"]) == (1_000 * 5_000 + 100 * 2_000, "config")
    assert cost(over["gpt-4"]) == (1_000 * 30_000 + 100 * 7_000, "config")


def test_every_kind_of_price(tmp_path: Path) -> None:
    text = """
    models:
      own:
        input_usd_per_million: 4
        output_usd_per_million: 8.5
        cached_input_usd_per_million: 0.25
        cache_write_usd_per_million: "5"
        request_usd: 0.001
"""
    usage = Usage(1_000, 100, cached_tokens=400, cache_write_tokens=100)
    expected = 500 * 4_000 + 400 * 250 + 100 * 5_000 + 100 * 8_500 + 1_000_000
    assert cost(priced(tmp_path, text)["own"], usage=usage) == (expected, "config")


def test_a_price_holds_from_its_day_on_and_what_was_before_keeps_its_own(tmp_path: Path) -> None:
    text = """
    models:
      own:
        - {from: 2026-12-01T12:30, input_usd_per_million: 3, output_usd_per_million: 3}
        - {from: 2026-11-01, input_usd_per_million: 2, output_usd_per_million: 2}
"""
    own = priced(tmp_path, text)["own"]
    assert cost(own, ms(2026, 10, 31, 23, 59, 59)) == (1_200_000, "info")
    assert cost(own, ms(2026, 11, 1)) == (2_200_000, "2026-11-01")
    assert cost(own, ms(2026, 12, 1, 12, 29, 59)) == (2_200_000, "2026-11-01")
    assert cost(own, ms(2026, 12, 1, 12, 30)) == (3_300_000, "2026-12-01T12:30")
    assert all(len(price.version) <= 16 for price in own.prices)


def test_a_stated_price_takes_the_place_of_all_finer_ones_of_its_kind(tmp_path: Path) -> None:
    models = MODELS.replace("openai/gpt-4,", "openai/gpt-5.6-sol,")
    text = f"{models}{TIERS}  prices: {{models: {{gpt-4: {{input_usd_per_million: 1}}}}}}\n"
    model = read(tmp_path, text).policy.models["gpt-4"]
    # No dearer beyond 272,000 tokens, no cheaper from the cache; answers cost what the map says.
    usage = Usage(300_000, 100, cached_tokens=1_000)
    assert cost(model, usage=usage)[0] == 300_000 * 1_000 + 100 * 30_000


def test_markups_are_exact_and_one_where_they_are_not_stated(tmp_path: Path) -> None:
    text = f"{MODELS}{TIERS}  prices: {{markup: {{premium: 1.2}}}}\n"
    tiers = read(tmp_path, text).policy.tiers
    assert (tiers["free"].markup_ppm, tiers["premium"].markup_ppm) == (1_000_000, 1_200_000)
    shipped = read_config(SHIPPED, {}).policy.tiers
    assert {name: tier.markup_ppm for name, tier in shipped.items()} == {"free": 0, "pro": 0, "premium": 1_000_000}


def test_all_that_is_wrong_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        MODELS
        + TIERS.replace('premium: {models: ["*"]}', 'premium: {models: ["*"], prepaid: true}')
        + """\
  prices:
    markup:
      premum: 1
      free: much
      premium: 0
    models:
      gpt4: {input_usd_per_million: 1}
      gpt-4:
        - {from: someday, input_usd_per_million: 1}
        - {input_usd_per_million: -1}
        - {from: 2026-12-01, inptu_usd_per_million: 1}
      own: {from: 2026-11-01}
"""
    ).replace("output_cost_per_token: 0.000002}", "output_cost_per_token: 0.000002, cache_read_input_token_cost: none}")
    told = [str(problem).rpartition("config.yaml:")[2] for problem in problems_of(tmp_path, text)]
    expected = [
        ("7:", "cache_read_input_token_cost is not a price", "write a number"),
        ("13:", "tier 'premium' is prepaid and its markup is 0", "give it a markup"),
        ("16:", "names the tier 'premum', which is not in scalix.tiers", "write premium"),
        ("17:", "scalix.prices.markup.free is not a number from 0 to 1000", "write 1.2"),
        ("20:", "names the model 'gpt4', which is not in model_list", "write gpt-4"),
        ("22:", "is not a day or a minute (UTC)", "write one such as 2026-11-01"),
        ("23:", "is not a price from 0 to 100000 US dollars", "write a number"),
        ("24:", "unknown key 'inptu_usd_per_million'", "write 'input_usd_per_million'"),
        ("25:", "states no price", "write for example"),
    ]
    for line, (number, what, fix) in zip(told, expected, strict=True):
        assert line.startswith(number), line
        assert what in line
        assert fix in line


def test_two_prices_from_one_day_on_are_a_mistake(tmp_path: Path) -> None:
    entry = "{from: 2026-11-01, input_usd_per_million: 1}"
    text = f"{MODELS}{TIERS}  prices: {{models: {{own: [{entry}, {entry}]}}}}\n"
    assert "two prices of 'own' hold from 2026-11-01" in problem_of(tmp_path, text).what


UNPRICED = (
    MODELS
    + '  - {model_name: new, litellm_params: {model: openai/nobody-knows, api_base: "http://x", api_key: none}}\n'
    + TIERS
)


def test_a_model_without_a_price_is_refused_in_production_and_warned_of_elsewhere(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, UNPRICED).warnings
    assert "config.yaml:8: the model 'new' has no price; write one under scalix.prices.models.new" in warning
    with pytest.raises(LaunchError) as caught:
        read_config(tmp_path / "config.yaml", {"OPENAI_API_KEY": "x"}, production=True)
    assert [str(problem) for problem in caught.value.problems] == [warning]
    priced_text = UNPRICED + "  prices: {models: {new: {input_usd_per_million: 0, output_usd_per_million: 0}}}\n"
    assert read(tmp_path, priced_text).warnings == ()


def test_half_a_price_and_one_that_begins_later_are_none(tmp_path: Path) -> None:
    half = UNPRICED + "  prices: {models: {new: {input_usd_per_million: 1}}}\n"
    assert "does not say what answers cost" in read(tmp_path, half).warnings[0]
    later = (
        UNPRICED
        + "  prices: {models: {new: {from: 2999-01-01, input_usd_per_million: 1, output_usd_per_million: 1}}}\n"
    )
    assert "has no price before 2999-01-01" in read(tmp_path, later).warnings[0]


def test_every_model_that_is_shipped_has_a_price_with_the_demo_provider_too() -> None:
    for demo in (False, True):
        config = read_config(SHIPPED, ALL_KEYS, demo=demo, production=not demo)
        assert (config.warnings, len(config.policy.models)) == ((), 9)
    assert cost(config.policy.models["gpt-4"]) == (1_000 * 4_000 + 100 * 20_000, MAP)


def test_prices_are_read_without_litellm(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from scalix.launch.config.config_file import read_config;"
        f"read_config(Path({str(SHIPPED)!r}), {{'OPENAI_API_KEY': 'x'}}).policy.models['gpt-4'].prices[0];"
        "sys.exit('litellm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
