"""`scalix.retention`: how long the audit log is kept."""

from pathlib import Path

import pytest

from tests.launch.config_text import MODELS, TIERS, problem_of, read


def test_the_age_of_the_audit_log_is_400_days_or_what_is_written(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS).policy.retention.audit_days == 400
    assert read(tmp_path, MODELS + TIERS + "  retention: {audit_days: 90}\n").policy.retention.audit_days == 90


@pytest.mark.parametrize("value", ["0", "3651", "-1", "1.5", "true", "'30'"])
def test_what_is_no_age_is_said(tmp_path: Path, value: str) -> None:
    problem = problem_of(tmp_path, MODELS + TIERS + f"  retention: {{audit_days: {value}}}\n")
    assert "is not a number of days from 1 to 3650" in problem.what


def test_a_misspelt_key_is_said_with_the_right_one(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, MODELS + TIERS + "  retention: {audit_day: 30}\n")
    assert "audit_days" in problem.fix
