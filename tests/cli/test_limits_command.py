"""The command line of `scalix limits` before any gateway is asked: what may be written, what is said of the rest."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scalix.cli import limits
from scalix.cli.main import main
from scalix.domain.limits.limit_overrides import with_entry

ROOT = Path(__file__).resolve().parent.parent.parent


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """The exit code and what stands on standard error."""
    try:
        code: object = main(arguments)
    except SystemExit as leaving:
        code = leaving.code
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["limits", "set", "al", "hour=3"], "expected LIMIT=VALUE with a LIMIT of requests-minute"),
        (["limits", "set", "al", "requests-hour"], "concurrent, not 'requests-hour'"),
        (["limits", "set", "al", "requests-hour=many"], "expected a number, 'unlimited' or 'tier', not 'many'"),
        (["limits", "set", "al", "requests-hour=nan"], "expected a number, 'unlimited' or 'tier', not 'nan'"),
        (["limits", "reset", "al", "requests-hours"], "expected a limit of requests-minute"),
        (["limits", "show"], "the following arguments are required: user"),
        (["limits", "shadow", "--days", "x"], "argument --days: invalid int value: 'x'"),
        (["limits"], "the following arguments are required: ACT"),
        (["limit"], "argument COMMAND: invalid choice: 'limit'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, error = run(capsys, *arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("scalix")


def test_without_a_gateway_it_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty.env").write_text("")
    monkeypatch.setenv("SCALIX_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-canary-0123456789")
    code, error = run(
        capsys, "--url", "http://127.0.0.1:9", "--env-file", str(tmp_path / "empty.env"), "limits", "show", "alice"
    )
    assert code == 1
    assert error.startswith(
        "scalix: the gateway at http://127.0.0.1:9 does not answer (connection refused); start it with `make run`"
    )
    assert "sk-canary" not in error


@pytest.mark.parametrize(
    ("own", "changes", "after"),
    [
        ({}, ["requests-hour=20"], {"requests": {"hour": 20}}),
        (
            {"requests": {"hour": 5}},
            ["requests-day=unlimited", "concurrent=3"],
            {"requests": {"hour": 5, "day": None}, "concurrent": 3},
        ),
        ({"requests": {"hour": 5}}, ["requests-hour=tier"], {}),
        ({}, ["requests-hour=tier", "concurrent=tier"], {}),
        ({}, ["spend_usd-month=2.50", "tokens-day=1_000_000"], {"spend_usd": {"month": 2.5}, "tokens": {"day": 10**6}}),
        # The gateway says what is wrong with these.
        ({}, ["requests-hour=1.5", "tokens-day=0"], {"requests": {"hour": 1.5}, "tokens": {"day": 0}}),
    ],
)
def test_changes_are_made_to_a_users_own_limits(own: dict[str, Any], changes: list[str], after: dict[str, Any]) -> None:
    for change in changes:
        own = with_entry(own, *limits._change(change))
    assert own == after


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "scalix", "limits", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0
    assert "show" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"litellm", "uvicorn", "redis", "pydantic", "rich.console", "httpx"}
