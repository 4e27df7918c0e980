"""`scalix.fallbacks`, `scalix.retries` and `scalix.cooldown`: who takes over, how often, and who is left alone."""

from pathlib import Path

import pytest

from scalix.domain.fallbacks import Cooldown, Retries
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import read_policy, write_policy
from scalix.launch.problems import LaunchError
from tests.launch.config_text import MODELS, TIERS, problem_of, read

ROOT = Path(__file__).resolve().parent.parent.parent


def _names(text: str) -> list[str]:
    return [line.partition("model_name: ")[2].strip() for line in text.splitlines() if "model_name: " in line]


def test_the_shipped_chains_are_the_products() -> None:
    policy = read_config(ROOT / "litellm_proxy_config.yaml", {}, demo=True).policy
    assert policy.fallbacks == {
        "gpt-4": ("claude-3-opus", "gemini-pro", "free-gemini-flash"),
        "claude-3-opus": ("gpt-4", "gemini-pro", "free-deepseek-chat"),
        "free-gemini-flash": ("free-gemini-pro", "free-deepseek-chat"),
    }
    # Whole chains are tried.
    assert policy.retries.models == 1 + max(map(len, policy.fallbacks.values()))


def test_what_is_not_written_has_its_usual_value(tmp_path: Path) -> None:
    policy = read(tmp_path, MODELS + TIERS).policy
    assert (policy.fallbacks, policy.retries, policy.cooldown) == ({}, Retries(), Cooldown())


def test_what_is_written_holds_and_reaches_the_workers(tmp_path: Path) -> None:
    section = (
        "  retries: {same_model: 0, models: 2, first_byte_s: 5, whole_answer_s: 60}\n"
        "  cooldown: {failures: 5, within_s: 60, seconds: 10, longest_s: 120}\n"
    )
    policy = read(tmp_path, MODELS + TIERS + section).policy
    write_policy(tmp_path / "policy.json", 1, policy)
    for held in (policy, read_policy(tmp_path / "policy.json")[1]):
        assert held.retries == Retries(0, 2, 5, 60)
        assert held.cooldown == Cooldown(5, 60, 10, 120)


def test_litellms_own_number_of_retries_holds_where_ours_is_not_written(tmp_path: Path) -> None:
    litellm = "litellm_settings: {num_retries: 7}\n"
    assert read(tmp_path, litellm + MODELS + TIERS).policy.retries.same_model == 7
    ours = "  retries: {same_model: 1}\n"
    assert read(tmp_path, litellm + MODELS + TIERS + ours).policy.retries.same_model == 1


def test_every_name_that_does_not_fit_is_said_at_once_each_with_its_line(tmp_path: Path) -> None:
    known = _names(MODELS)[0]
    misspelt = known[:-1]
    section = (
        f"  fallbacks:\n    {known}: [{known}, {misspelt}, nothing-like-it, {misspelt}]\n    unknown-one: [{known}]\n"
    )
    with pytest.raises(LaunchError) as caught:
        read(tmp_path, MODELS + TIERS + section)
    first = (MODELS + TIERS).count("\n") + 2
    said = [(problem.where.rpartition(":")[2], problem.what, problem.fix) for problem in caught.value.problems]
    assert said == [
        (str(first), f"the fallbacks of '{known}' name '{known}' itself", "remove it from its own list"),
        (
            str(first),
            f"the fallbacks of '{known}' name '{misspelt}', which model_list does not have",
            f"write {known}, or add the model",
        ),
        (
            str(first),
            f"the fallbacks of '{known}' name 'nothing-like-it', which model_list does not have",
            "add the model to model_list, or remove the name",
        ),
        (str(first), f"the fallbacks of '{known}' name '{misspelt}' twice", "remove one of the two"),
        (
            str(first + 1),
            "scalix.fallbacks names the model 'unknown-one', which model_list does not have",
            "add the model to model_list, or remove the name",
        ),
    ]


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("retries: {models: 0}", "is not a whole number from 1 to 10"),
        ("retries: {same_model: -1}", "is not a whole number from 0 to 10"),
        ("retries: {first_byte_s: 0.5}", "is not a whole number from 1 to 3600"),
        ("cooldown: {seconds: true}", "is not a whole number from 0 to 3600"),
        ("cooldown: {failures: '3'}", "is not a whole number from 1 to 1000"),
        ("fallbacks: {a: b}", "is not a list of models"),
        ("fallbacks: {a: []}", "is not a list of models"),
        ("fallbacks: {a: [1]}", "is not a list of models"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, section: str, what: str) -> None:
    known = _names(MODELS)[0]
    problem = problem_of(tmp_path, MODELS + TIERS + f"  {section}\n".replace("{a:", f"{{{known}:"))
    assert what in problem.what


def test_a_misspelt_key_is_said_with_the_right_one(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, MODELS + TIERS + "  retries: {model: 3}\n")
    assert "models" in problem.fix
