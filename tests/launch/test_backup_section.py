"""`scalix.backup`: where backups go, how often, and how many stay."""

from pathlib import Path

import pytest

from scalix.domain.backup import BackupSettings
from scalix.launch.config.policy_file import read_policy, write_policy
from tests.launch.config_text import MODELS, TIERS, problem_of, read


def test_what_is_written_reaches_the_workers(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS).policy.backup == BackupSettings(None, None, 24, 14, 35)
    text = (
        '  backup: {to: "s3://bucket-1/a b/c", endpoint: "https://s3.example.com", every_hours: 0, keep: 3, '
        "keep_days: 9}\n"
    )
    policy = read(tmp_path, MODELS + TIERS + text).policy
    assert policy.backup == BackupSettings("s3://bucket-1/a b/c", "https://s3.example.com", 0, 3, 9)
    write_policy(tmp_path / "policy.json", 1, policy)
    assert read_policy(tmp_path / "policy.json")[1].backup == policy.backup


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("{to: backups}", "a directory such as /var/backups/scalix, or s3://bucket/prefix"),
        ("{to: 's3://'}", "a directory such as /var/backups/scalix, or s3://bucket/prefix"),
        ("{to: 's3://Bucket_1'}", "a directory such as /var/backups/scalix, or s3://bucket/prefix"),
        ("{to: 'gs://bucket'}", "a directory such as /var/backups/scalix, or s3://bucket/prefix"),
        ("{endpoint: s3.example.com}", "https://"),
        ("{every_hours: -1}", "write a number such as 24"),
        ("{keep: 0}", "write a number such as 14"),
        ("{keep_days: 1.5}", "number"),
        ("{every_hour: 3}", "every_hours"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, text: str, fix: str) -> None:
    assert fix in problem_of(tmp_path, MODELS + TIERS + f"  backup: {text}\n").fix
