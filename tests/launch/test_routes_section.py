"""`scalix.routes`: names that lead each tier to models of its own."""

from pathlib import Path

import pytest

from scalix.domain.model_routes import Rule
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import read_policy, write_policy
from scalix.launch.problems import LaunchError

CONFIG = """model_list:
  - {model_name: free-a, litellm_params: {model: openai/a, api_key: none}}
  - {model_name: pro-b, litellm_params: {model: openai/b, api_key: none}}
scalix:
  default_tier: free
  tiers:
    free: {models: ["free-*"]}
    pro: {models: ["*"]}
  routes:
"""


def _write(folder: Path, routes: str, before: str = CONFIG) -> Path:
    path = folder / "config.yaml"
    path.write_text(before + routes, encoding="utf-8")
    return path


def _problems(folder: Path, routes: str, before: str = CONFIG) -> list[tuple[str, str, str]]:
    with pytest.raises(LaunchError) as caught:
        read_config(_write(folder, routes, before), {})
    return [(one.where.rpartition(":")[2], one.what, one.fix) for one in caught.value.problems]


def test_routes_reach_the_workers_as_they_are_written(tmp_path: Path) -> None:
    written = """    auto:
      free: {models: [free-a]}
      pro:
        - {hours_utc: [22, 6], tools: false, images: true, prompt_tokens_over: 5, models: [free-a]}
        - {tokens_day_left_percent_under: 20, prompt_tokens_under: 9, models: [free-a, pro-b]}
        - {models: {pro-b: 3, free-a: 1}}
"""
    policy = read_config(_write(tmp_path, written), {}).policy
    write_policy(tmp_path / "policy.json", 1, policy)
    for held in (policy, read_policy(tmp_path / "policy.json")[1]):
        assert held.routes == {
            "auto": {
                "free": (Rule({"free-a": 1}),),
                "pro": (
                    Rule({"free-a": 1}, prompt_tokens_over=5, tools=False, images=True, hours_utc=(22, 6)),
                    Rule({"free-a": 1, "pro-b": 1}, prompt_tokens_under=9, tokens_day_left_percent_under=20),
                    Rule({"pro-b": 3, "free-a": 1}),
                ),
            }
        }


def test_every_name_that_does_not_fit_is_said_at_once_each_with_its_line(tmp_path: Path) -> None:
    written = """    free-a: {free: {models: [free-a]}}
    auto:
      fre: {models: [free-a]}
      free: {models: [pro-b]}
      pro:
        - {models: [pro-c]}
        - {tools: true, models: [pro-b]}
"""
    assert _problems(tmp_path, written) == [
        ("10", "the route 'free-a' is called as a model is", "give it another name"),
        ("12", "the route 'auto' names the tier 'fre', which is not in scalix.tiers", "write free"),
        (
            "13",
            "the route 'auto' leads tier 'free' to 'pro-b', which it may not use",
            "remove it there, or add it to the models of tier 'free'",
        ),
        (
            "15",
            "the rules of 'auto' for tier 'pro' go on after one without conditions, and never decide",
            "move it to the end, or give it a condition",
        ),
        (
            "15",
            "the route 'auto' names the model 'pro-c', which model_list does not have",
            "write pro-b, or add the model",
        ),
        (
            "16",
            "the last rule of 'auto' for tier 'pro' has conditions, and other requests would have no model",
            "add a rule after it that has models only",
        ),
    ]


def test_a_second_name_of_a_model_is_no_route(tmp_path: Path) -> None:
    before = "router_settings: {model_group_alias: {auto: free-a}}\n" + CONFIG
    found = _problems(tmp_path, "    auto: {free: {models: [free-a]}}\n", before)
    assert [what for _, what, _ in found] == ["the route 'auto' is called as a model is"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{hours_utc: [8], models: [free-a]}", "two different hours"),
        ("{hours_utc: [24, 0], models: [free-a]}", "two different hours"),
        ("{models: []}", "names no models"),
        ("{models: {free-a: 0}}", "weight"),
        ("{toolz: true, models: [free-a]}", "toolz"),
        ("{tokens_day_left_percent_under: 101, models: [free-a]}", "percent from 1 to 100"),
        ("auto", "auto"),
    ],
)
def test_a_rule_that_can_not_be_meant_is_said_with_its_place(tmp_path: Path, rule: str, said: str) -> None:
    written = f"    auto:\n      free:\n        - {rule}\n        - {{models: [free-a]}}\n"
    found = _problems(tmp_path, written)
    assert any(line == "12" and said in what for line, what, _ in found), found
