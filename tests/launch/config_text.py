"""Writes configs for tests, and reads what is said of them."""

import textwrap
from pathlib import Path

import pytest

from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.problems import LaunchError, Problem

MODELS = """
model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4.1, api_key: os.environ/OPENAI_API_KEY}
  - model_name: free-a
    litellm_params: {model: gemini/a, api_key: "${GEMINI_API_KEY}"}
"""
TIERS = """
scalix:
  default_tier: free
  tiers:
    free: {models: [free-*]}
    premium: {models: ["*"]}
"""
KEYS = {"OPENAI_API_KEY": "sk-canary-openai", "GEMINI_API_KEY": "canary-gemini"}


def read(
    tmp_path: Path, text: str, values: dict[str, str] = KEYS, *, demo: bool = False, production: bool = False
) -> GatewayConfig:
    path = tmp_path / "config.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return read_config(path, values, demo=demo, production=production)


def problems_of(
    tmp_path: Path, text: str, values: dict[str, str] = KEYS, *, production: bool = False
) -> tuple[Problem, ...]:
    with pytest.raises(LaunchError) as caught:
        read(tmp_path, text, values, production=production)
    assert all("\n" not in str(problem) and problem.fix for problem in caught.value.problems)
    return caught.value.problems


def problem_of(tmp_path: Path, text: str, values: dict[str, str] = KEYS) -> Problem:
    problems = problems_of(tmp_path, text, values)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]
