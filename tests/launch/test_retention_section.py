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


def test_events_are_archived_before_they_are_removed(tmp_path: Path) -> None:
    kept = read(tmp_path, MODELS + TIERS + "  retention: {archive_after_days: 7, archive_days: 90}\n").policy.retention
    assert (kept.archive_after_days, kept.archive_days) == (7, 90)
    problem = problem_of(tmp_path, MODELS + TIERS + "  retention: {archive_after_days: 35}\n")
    assert "archive_after_days is 35, and events are removed after 35 days" in problem.what
    assert "write less than 35" in problem.fix
