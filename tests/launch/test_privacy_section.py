"""`scalix.privacy`: what is kept beyond metering, and of those who were erased."""

from pathlib import Path

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.privacy import PrivacySettings, permitted
from scalix.launch.config.policy_file import read_policy, write_policy
from tests.launch.config_text import MODELS, TIERS, problem_of, read


def test_what_is_written_reaches_the_workers(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS).policy.privacy == PrivacySettings(True, False, 30, 35)
    text = "  privacy: {usage_details: false, keep_billing: true, expired_keys_days: 7, set_aside_days: 90}\n"
    policy = read(tmp_path, MODELS + TIERS + text).policy
    assert policy.privacy == PrivacySettings(False, True, 7, 90)
    write_policy(tmp_path / "policy.json", 1, policy)
    assert read_policy(tmp_path / "policy.json")[1].privacy == policy.privacy


@pytest.mark.parametrize("text", ["{usage_details: yes please}", "{expired_keys_days: 0}", "{keep_billings: true}"])
def test_what_makes_no_sense_is_said(tmp_path: Path, text: str) -> None:
    assert problem_of(tmp_path, MODELS + TIERS + f"  privacy: {text}\n").fix


@pytest.mark.parametrize(
    ("said", "configured", "kept"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"usage_details": True}, False, True),
        ({"usage_details": False}, True, False),
    ],
)
def test_a_user_s_word_goes_before_the_configured_one(said: dict[str, bool], configured: bool, kept: bool) -> None:
    detail = Detail(
        model="m", served="m", prompt_tokens=3, charge_nano_usd=5, latency_ms=7, first_token_ms=2, error="timeout"
    )
    left = permitted(detail, said, PrivacySettings(usage_details=configured))
    assert (left == detail) == kept
    assert (left.prompt_tokens, left.charge_nano_usd, left.error) == (3, 5, "timeout")
    assert (left.latency_ms, left.first_token_ms) == ((7, 2) if kept else (0, None))
