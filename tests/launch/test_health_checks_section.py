"""LiteLLM's settings of background health checks: the gateway makes them itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from scalix.domain.health_checks import HealthChecks
from scalix.launch.config.policy_file import read_policy, write_policy
from tests.launch.config_text import MODELS, TIERS, problem_of, read

SEVERAL = """  - model_name: free-b
    litellm_params: {model: openai/b, api_key: none}
  - model_name: free-b
    litellm_params: {model: openai/b, api_key: none}
    model_info: {id: second, health_check_timeout: 30}
  - model_name: free-c
    litellm_params: {model: openai/c, api_key: none}
    model_info: {disable_background_health_check: true}
  - model_name: any/*
    litellm_params: {model: openai/*, api_base: "http://localhost:1/v1", api_key: none}
"""
ON = "general_settings: {background_health_checks: true, health_check_interval: 60}\n"


def test_each_deployment_in_service_is_checked_unless_it_opts_out(tmp_path: Path) -> None:
    config = read(tmp_path, MODELS + SEVERAL + ON + TIERS)
    wanted = HealthChecks(60, {"gpt-4": 10, "free-a": 10, "free-b#1": 10, "second": 30})
    write_policy(tmp_path / "policy.json", 1, config.policy)
    assert config.policy.health_checks == read_policy(tmp_path / "policy.json")[1].health_checks == wanted
    # LiteLLM would make them in each worker.
    assert "background" not in str(config.litellm.get("general_settings"))
    assert "health_check_interval" not in str(config.litellm)
    assert any("each deployment is asked for one token every 60 s" in line for line in config.translated)
    told = "\n".join(config.warnings)
    assert "background_health_checks for 'any/*': without effect here: names behind a wildcard have none" in told


def test_without_the_setting_there_are_none(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS).policy.health_checks == HealthChecks()
    text = MODELS + "general_settings: {background_health_checks: false, health_check_interval: 60}\n" + TIERS
    config = read(tmp_path, text)
    assert config.policy.health_checks == HealthChecks()
    assert "health_check_interval: without effect here: background_health_checks is not true" in str(config.warnings)


def test_litellms_interval_is_the_usual_one_and_models_may_be_named(tmp_path: Path) -> None:
    for section in ("general_settings", "router_settings"):
        text = f"general_settings: {{background_health_checks: true}}\n{section}:\n"
        named = "  background_health_check_model_groups: [free-a]\n"
        if section == "general_settings":
            text = f"general_settings:\n  background_health_checks: true\n{named}"
        else:
            text += named
        assert read(tmp_path, MODELS + text + TIERS).policy.health_checks == HealthChecks(300, {"free-a": 10})


def test_among_entries_of_which_litellm_chooses_none_is_checked(tmp_path: Path) -> None:
    text = MODELS + SEVERAL + ON + "router_settings: {enable_tag_filtering: true}\n" + TIERS
    config = read(tmp_path, text)
    assert list(config.policy.health_checks.timeouts_s) == ["gpt-4", "free-a"]
    assert "background_health_checks for 'free-b': without effect here: LiteLLM chooses" in str(config.warnings)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("background_health_checks: sometimes", "general_settings.background_health_checks is neither true nor false"),
        (
            "{background_health_checks: true, health_check_interval: 1}",
            "general_settings.health_check_interval is not a number of seconds from 5 to 86400",
        ),
        (
            "{background_health_checks: true, background_health_check_model_groups: free-a}",
            "background_health_check_model_groups is not a list of models",
        ),
    ],
)
def test_a_wrong_value_is_a_problem_with_its_line(text: str, what: str, tmp_path: Path) -> None:
    settings = text if text.startswith("{") else f"{{{text}}}"
    problem = problem_of(tmp_path, f"{MODELS}general_settings: {settings}\n{TIERS}")
    assert problem.what == what
    assert problem.where.endswith("config.yaml:7")


def test_a_wrong_time_of_a_deployment_is_a_problem(tmp_path: Path) -> None:
    text = (MODELS + SEVERAL + TIERS).replace("health_check_timeout: 30", "health_check_timeout: 600")
    problem = problem_of(tmp_path, text)
    assert problem.what == "model_info.health_check_timeout is not a number of seconds from 1 to 60"


def test_a_reload_says_that_the_checks_have_changed(tmp_path: Path) -> None:
    from scalix.launch.processes.reload import _changed_settings

    policy = read(tmp_path, MODELS + ON + TIERS).policy
    assert _changed_settings(policy, replace(policy, health_checks=HealthChecks())) == ["background_health_checks"]
