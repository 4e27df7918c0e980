"""The tiers of the `scalix:` section: what they give, and what is said of a wrong line."""

import textwrap
from pathlib import Path

import pytest

from scalix.domain.limits.limits import Limit, Metric, Window
from scalix.domain.policy import Tier
from scalix.launch.problems import Problem
from tests.launch.config_text import MODELS, TIERS, problem_of, problems_of, read


def tier_of(tmp_path: Path, yaml: str) -> Tier:
    text = MODELS + "scalix:\n  default_tier: t\n  upgrade_url: https://scalix.world/pricing\n  tiers:\n    t:\n"
    return read(
        tmp_path, text + "      models: ['*']\n" + textwrap.indent(textwrap.dedent(yaml), " " * 6)
    ).policy.tiers["t"]


def tier_problem(tmp_path: Path, line: str) -> Problem:
    """The one problem with `line` in a tier; it must be said to stand on line 5."""
    text = f"scalix:\n  default_tier: t\n  tiers:\n    t:\n      {line}\n      models: ['*']\n" + MODELS
    problem = problem_of(tmp_path, text)
    assert problem.where.endswith("config.yaml:5")
    return problem


def test_every_kind_of_limit_is_read(tmp_path: Path) -> None:
    tier = tier_of(
        tmp_path,
        """
        requests: {month: 4, minute: 1, day: 3, hour: {limit: 2, enforce: false}}
        tokens: {day: 10}
        spend_usd: {day: 0.1, month: 25}
        concurrent: 3
        upgrade_url: https://scalix.world/more
        features: [a_b]
        priority: low
        on_store_failure: allow
        allow_foreign_ids: true
        self_service_keys: 3
        """,
    )
    assert tier.limits.windows == (
        Limit(Metric.REQUESTS, Window.MINUTE, 1),
        Limit(Metric.REQUESTS, Window.HOUR, 2, enforce=False),
        Limit(Metric.REQUESTS, Window.DAY, 3),
        Limit(Metric.REQUESTS, Window.MONTH, 4),
        Limit(Metric.TOKENS, Window.DAY, 10),
        Limit(Metric.SPEND, Window.DAY, 100_000_000),
        Limit(Metric.SPEND, Window.MONTH, 25_000_000_000),
    )
    assert (tier.limits.concurrent, tier.limits.enforce_concurrent) == (3, True)
    assert tier.allow_foreign_ids
    assert tier.self_service_keys == 3
    assert (tier.upgrade_url, tier.priority, tier.on_store_failure) == ("https://scalix.world/more", "low", "allow")


def test_a_tier_that_does_not_enforce_only_counts(tmp_path: Path) -> None:
    limits = tier_of(
        tmp_path, "enforce: false\nrequests: {day: 1}\nspend_usd: {day: {limit: 1.5}}\nconcurrent: 2"
    ).limits
    assert [limit.enforce for limit in limits.windows] == [False, False]
    assert not limits.enforce_concurrent
    only = tier_of(tmp_path, "concurrent: {limit: 2, enforce: false}\nrequests: {day: 1}").limits
    assert (only.concurrent, only.enforce_concurrent, only.windows[0].enforce) == (2, False, True)


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        ("reqests: {hour: 1}", "unknown key 'reqests' in scalix.tiers.t", "write 'requests'"),
        ("requests: {hours: 1}", "unknown key 'hours' in scalix.tiers.t.requests", "write 'hour'"),
        ("requests: {hour: {limit: 1, enforced: false}}", "unknown key 'enforced'", "write 'enforce'"),
        ("colour: red", "unknown key 'colour' in scalix.tiers.t", "concurrent, "),
        (
            "requests: {hour: -1}",
            "scalix.tiers.t.requests.hour is not 0 or a positive whole number",
            "remove the key for no limit",
        ),
        ("requests: {hour: -5}", "not 0 or a positive whole number", "100"),
        ("requests: {hour: true}", "not 0 or a positive whole number", "100"),
        ("requests: {hour: '10'}", "not 0 or a positive whole number", "100"),
        ("requests: {hour: 1.5}", "not 0 or a positive whole number", "100"),
        ("requests: {hour: 9007199254740993}", "not 0 or a positive whole number", "100"),
        ("requests: {hour: {enforce: false}}", "'limit' is missing in scalix.tiers.t.requests.hour", "limit: 100"),
        ("requests: {hour: {limit: 1, enforce: 0}}", "neither true nor false", "true or false"),
        ("requests: {hour: }", "scalix.tiers.t.requests.hour has no value", "remove the key"),
        ("requests:", "scalix.tiers.t.requests has no value", "remove the key"),
        ("requests: 10", "names no window", "{hour: 10, day: 50}"),
        ("requests: {}", "names no window", "{hour: 10, day: 50}"),
        ("tokens: [1]", "names no window", "{hour: 10, day: 50}"),
        ("spend_usd: {day: -1}", "not 0 or a positive amount in US dollars", "2.50"),
        ("spend_usd: {day: -0.5}", "not 0 or a positive amount in US dollars", "2.50"),
        ("spend_usd: {day: true}", "not 0 or a positive amount in US dollars", "2.50"),
        ("spend_usd: {day: '5'}", "not 0 or a positive amount in US dollars", "2.50"),
        ("spend_usd: {day: .inf}", "not 0 or a positive amount in US dollars", "2.50"),
        ("spend_usd: {day: .nan}", "not 0 or a positive amount in US dollars", "2.50"),
        ("spend_usd: {day: 0.0000000001}", "finer than a nano-dollar", "2.50"),
        ("concurrent: -1", "scalix.tiers.t.concurrent is not 0 or a positive whole number", "100"),
        ("max_output_tokens: 0", "scalix.tiers.t.max_output_tokens is not a positive", "100"),
        ("priority: urgent", "scalix.tiers.t.priority", "low, normal or high"),
        ("on_store_failure: maybe", "scalix.tiers.t.on_store_failure", "deny or allow"),
        ("allow_foreign_ids: 'yes'", "scalix.tiers.t.allow_foreign_ids is neither true nor false", "true or false"),
        ("self_service_keys: -1", "scalix.tiers.t.self_service_keys is not a whole number from 0 to 100", "such as 3"),
        ("self_service_keys: 101", "scalix.tiers.t.self_service_keys is not a whole number from 0 to 100", "such as 3"),
        (
            "self_service_keys: true",
            "scalix.tiers.t.self_service_keys is not a whole number from 0 to 100",
            "such as 3",
        ),
        (
            "self_service_keys: many",
            "scalix.tiers.t.self_service_keys is not a whole number from 0 to 100",
            "such as 3",
        ),
        ("upgrade_url: scalix.world", "scalix.tiers.t.upgrade_url is not a web address", "https://"),
        ("upgrade_url: '${URL}'", "scalix.tiers.t.upgrade_url is not a web address", "https://"),
        ("features: lazy_edits", "scalix.tiers.t.features is not a list", "[first, second]"),
        ("features: ['a b']", "scalix.tiers.t.features[0] is not a plain name", "letters"),
        ("enforce: 'no'", "scalix.tiers.t.enforce is neither true nor false", "true or false"),
    ],
)
def test_a_wrong_line_in_a_tier_is_named_with_what_to_write(tmp_path: Path, line: str, what: str, fix: str) -> None:
    problem = tier_problem(tmp_path, line)
    assert what in problem.what
    assert fix in problem.fix


def test_models_that_a_tier_names_must_exist(tmp_path: Path) -> None:
    text = (
        MODELS
        + """
scalix:
  default_tier: fre
  tiers:
    free:
      models:
        - free-a
        - gpt4
        - paid-*
    pro: {models: [Free-A]}
"""
    )
    default, exact, pattern, case = (str(problem) for problem in problems_of(tmp_path, text))
    assert default.endswith(":9: there is no tier 'fre'; write default_tier: free")
    assert ":14: tier 'free' names the model 'gpt4', which model_list does not have; write gpt-4" in exact
    assert ":15: no model in model_list matches 'paid-*' of tier 'free'" in pattern
    assert ":16: tier 'pro' names the model 'Free-A'" in case


def test_a_tier_may_name_a_model_that_has_no_key_today(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS.replace("free-*", "free-a"), {}).policy.tiers["free"].models == ("free-a",)


def test_anchors_and_merges_are_followed(tmp_path: Path) -> None:
    text = """
base: &base
  models: ["*"]
  requests: {hour: -1}
scalix:
  default_tier: t
  tiers:
    t:
      <<: *base
      tokens: {day: 1}
"""
    assert "requests.hour is not 0 or a positive whole number" in problem_of(tmp_path, text + MODELS).what
    tier = read(tmp_path, text.replace("hour: -1", "hour: 7") + MODELS).policy.tiers["t"]
    assert [limit.value for limit in tier.limits.windows] == [7, 1]
