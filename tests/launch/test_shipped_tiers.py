"""Tiers of a config that does not say which models they have."""

from pathlib import Path

import pytest

from scalix.domain.policy import Tier
from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.config.shipped_tiers import SHIPPED
from scalix.launch.config.yaml_source import load_yaml
from tests.launch.config_text import TIERS, problem_of, problems_of, read

ROOT = Path(__file__).resolve().parent.parent.parent
REQUEST = ROOT / "tests/cases/configs/01-request.yaml"
NAMED = """
model_list:
  - {model_name: cheap, litellm_params: {model: gemini/a, api_key: x, metadata: {tier: free}}}
  - {model_name: own, litellm_params: {model: gemini/b, api_key: x}, model_info: {tier: pro}}
  - {model_name: dear, litellm_params: {model: gemini/c, api_key: x, metadata: {tier: premium}}}
  - {model_name: other, litellm_params: {model: gemini/d, api_key: x}}
"""
UNNAMED = """
model_list:
  - {model_name: one, litellm_params: {model: gemini/a, api_key: x}}
  - {model_name: two, litellm_params: {model: gemini/b, api_key: x}}
"""


def tiers_of(config: GatewayConfig) -> dict[str, list[str]]:
    models = config.policy.models
    return {name: [model for model in models if tier.allows(model)] for name, tier in config.policy.tiers.items()}


def test_the_shipped_tiers_are_those_of_the_file_that_is_delivered() -> None:
    section = load_yaml(ROOT / "litellm_proxy_config.yaml").data["scalix"]
    assert {name: section[name] for name in SHIPPED} == SHIPPED


def test_the_products_own_config_serves_the_three_tiers() -> None:
    config = read_config(REQUEST, {}, demo=True)
    free = ["free-gemini-flash", "free-deepseek-chat"]
    assert tiers_of(config) == {
        "free": free,
        "pro": [*free, "scalix-engine"],
        "premium": [*free, "scalix-engine", "gpt-4"],
    }
    tier = config.policy.tiers["free"]
    assert [limit.value for limit in tier.limits.windows] == [10, 50, 10_000]
    assert (config.policy.default_tier, tier.upgrade_url) == ("free", "https://scalix.world/pricing")


def test_a_model_is_in_the_tier_that_it_names_and_those_above(tmp_path: Path) -> None:
    assert tiers_of(read(tmp_path, NAMED)) == {
        "free": ["cheap"],
        "pro": ["cheap", "own"],
        "premium": ["cheap", "own", "dear", "other"],
    }


def test_where_no_model_names_a_tier_every_tier_has_all(tmp_path: Path) -> None:
    assert tiers_of(read(tmp_path, UNNAMED)) == {name: ["one", "two"] for name in ("free", "pro", "premium")}


def test_a_named_tier_is_stronger_than_a_shipped_pattern(tmp_path: Path) -> None:
    text = NAMED.replace("model_name: dear", "model_name: free-but-dear").replace("other", "free-other")
    assert tiers_of(read(tmp_path, text)) == {
        "free": ["cheap", "free-other"],
        "pro": ["cheap", "own", "free-other"],
        "premium": ["cheap", "own", "free-but-dear", "free-other"],
    }


@pytest.mark.parametrize(("word", "fix"), [("premum", "write tier: premium"), ("gold", "write free, pro or premium")])
def test_an_unknown_tier_is_a_problem_with_the_nearest(tmp_path: Path, word: str, fix: str) -> None:
    problem = problem_of(tmp_path, NAMED.replace("premium", word))
    assert (problem.what, problem.fix) == (f"'dear' is in the tier '{word}', which is none", fix)
    assert problem.where.endswith("config.yaml:5")


@pytest.mark.parametrize("field", ["teir: premium", "Tier: premium", "tiers: [premium]", "_tier: premium"])
def test_a_slip_that_would_give_a_model_to_every_tier_is_a_problem(tmp_path: Path, field: str) -> None:
    text = UNNAMED.replace("model_name: two,", f"model_name: two, model_info: {{note: premium, {field}}},")
    problem = problem_of(tmp_path, text)
    assert problem.what == f"'two' has no '{field.partition(':')[0]}'"
    assert problem.where.endswith("config.yaml:4")


def test_where_the_tiers_have_models_a_named_tier_changes_nothing(tmp_path: Path) -> None:
    section = 'scalix: {default_tier: a, tiers: {a: {models: [dear]}, b: {models: ["*"]}}}\n'
    assert tiers_of(read(tmp_path, NAMED + section)) == {"a": ["dear"], "b": ["cheap", "own", "dear", "other"]}


def test_tiers_of_the_file_without_models_take_those_that_name_them(tmp_path: Path) -> None:
    section = "scalix: {default_tier: free, tiers: {free: {requests: {hour: 1}}, pro: {}, premium: {models: [dear]}}}\n"
    assert tiers_of(read(tmp_path, NAMED + section)) == {
        "free": ["cheap"],
        "pro": ["cheap", "own"],
        "premium": ["dear"],
    }


def test_a_section_without_tiers_keeps_the_shipped_ones_under_what_it_says(tmp_path: Path) -> None:
    section = "scalix: {default_tier: pro, prices: {models: {cheap: [{input_usd_per_million: 1}]}}}\n"
    policy = read(tmp_path, NAMED + section).policy
    assert (list(policy.tiers), policy.default_tier) == (["free", "pro", "premium"], "pro")
    assert (policy.tiers["free"].markup_ppm, policy.tiers["premium"].markup_ppm) == (0, 1_000_000)


def test_deployments_of_one_name_in_several_tiers_count_as_the_dearest_and_it_is_said(tmp_path: Path) -> None:
    config = read(tmp_path, NAMED.replace("model_name: dear", "model_name: cheap"))
    assert tiers_of(config)["free"] == []
    assert any("'cheap' is put into several tiers; it counts as premium" in line for line in config.warnings)


def test_a_misspelt_section_is_not_passed_over(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, NAMED + TIERS.replace("scalix:", "scalx:"))
    assert any("unknown section 'scalx'" in problem.what for problem in problems)


def test_a_name_that_holds_what_means_something_in_a_pattern_is_itself() -> None:
    tier = Tier("t", models=("opus[1m]",))
    assert tier.allows("opus[1m]")
    assert not any(map(tier.allows, ("opus1", "opusm", "opus2")))
    assert Tier("t", models=("a?b*",)).allows("a?bc")
    assert not Tier("t", models=("a?b*",)).allows("axbc")


WILD = """
model_list:
  - {model_name: own/*, litellm_params: {model: openai/*, api_base: "http://127.0.0.1:1/v1", api_key: x}, model_info: {tier: free}}
  - {model_name: own/gold, litellm_params: {model: openai/gold, api_key: x}, model_info: {tier: premium}}
  - {model_name: own/dear-*, litellm_params: {model: openai/*, api_base: "http://127.0.0.1:1/v1", api_key: x}, model_info: {tier: pro}}
  - {model_name: own/dear-but-free, litellm_params: {model: openai/m, api_key: x}, model_info: {tier: free}}
  - {model_name: own/unsaid, litellm_params: {model: openai/u, api_key: x}}
"""  # noqa: E501


@pytest.mark.parametrize(
    ("name", "tiers"),
    [
        ("own/any", ["free", "pro", "premium"]),
        ("own/gold", ["premium"]),
        ("own/dear-one", ["pro", "premium"]),
        ("own/dear-but-free", ["free", "pro", "premium"]),
        ("own/unsaid", ["premium"]),
    ],
)
def test_a_wildcard_brings_no_model_into_a_tier_that_another_line_keeps_out(
    tmp_path: Path, name: str, tiers: list[str]
) -> None:
    policy = read(tmp_path, WILD).policy
    assert [tier.name for tier in policy.tiers_with(name)] == tiers


def test_the_most_exact_of_a_tiers_patterns_decides() -> None:
    tier = Tier("t", models=("*", "!gpt-*", "gpt-4", "!gpt-4-turbo", "gpt-4-mini*"))
    allowed = ["claude", "gpt-4", "gpt-4-mini-2"]
    assert [name for name in (*allowed, "gpt-5", "gpt-4-turbo", "gpt-4-max") if tier.allows(name)] == allowed


# ---- priority -----------------------------------------------------------------------------------------------------

TWO_OF_ONE = """
model_list:
  - {model_name: m, litellm_params: {model: openai/second, api_key: x, metadata: {priority: 2}}}
  - {model_name: m, litellm_params: {model: openai/first, api_key: x}, model_info: {priority: 1}}
"""


def test_priority_orders_the_deployments_of_one_name(tmp_path: Path) -> None:
    config = read(tmp_path, TWO_OF_ONE)
    assert [entry["model_info"]["order"] for entry in config.litellm["model_list"]] == [2, 1]
    assert not [line for line in config.warnings if line.startswith("priority")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "m, litellm_params: {model: openai/f",
            "n, litellm_params: {model: openai/f",
            "priority of m, n has no effect",
        ),
        ("priority: 2", "priority: high", "priority of m has no effect: it orders the deployments of one name"),
    ],
)
def test_a_priority_that_orders_nothing_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    config = read(tmp_path, TWO_OF_ONE.replace(old, new))
    assert [line for line in config.warnings if line.startswith(said)]
