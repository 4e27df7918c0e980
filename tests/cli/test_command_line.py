"""What all commands have in common: which gateway is meant, how records are shown, who may do what."""

import errno
import os
from argparse import Namespace
from pathlib import Path

import pytest

from scalix.cli import keys, start
from scalix.cli import main as scalix
from scalix.cli.tables import print_record

URL = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "words",
    [
        ["--url", URL, "user", "show", "erin"],
        ["user", "--url", URL, "show", "erin"],
        ["user", "show", "--url", URL, "erin"],
        ["user", "show", "erin", "--url", URL],
        ["user", "show", "erin", f"--url={URL}"],
    ],
)
def test_the_gateway_may_be_named_anywhere_on_the_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    env_file = tmp_path / "own.env"
    env_file.write_text(f"LITELLM_MASTER_KEY=sk-canary-0123456789\nSCALIX_STATE_DIR={tmp_path}\n")
    monkeypatch.delenv("LITELLM_MASTER_KEY", raising=False)
    for line in ([*words, "--env-file", str(env_file)], ["--env-file", str(env_file), *words]):
        assert scalix.main(line) == 1
        assert capsys.readouterr().err.startswith(f"scalix: the gateway at {URL} does not answer (connection refused)")


def test_an_address_that_is_missing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scalix.main(["user", "show", "erin", "--url"])
    assert capsys.readouterr().err == "scalix: argument --url: expected one argument; see scalix --help\n"


def test_help_tells_of_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scalix.main(["--help"])
    assert "--url" in capsys.readouterr().out


def test_one_record_has_no_table_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_record("user erin", [("tier", "pro"), ("requests today", "1\x1b[31m"), ("nothing", "")])
    assert capsys.readouterr().out == "user erin\n  tier            pro\n  requests today  1?[31m\n  nothing\n"


def test_a_key_is_shown_as_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    key = {"key_alias": "laptop", "key_name": "sk-…", "user_id": "dave", "token": "t", "models": ["a", "b"]}
    keys._tell(Namespace(json=False), key)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "key laptop"
    assert "  models     a, b" in lines
    assert not any("value" in line or "─" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "owner", "fix"),
    [
        ("gateway.lock", 0, "run this as the user who started the gateway"),
        ("gateway.json", 0, "run this as the user who started the gateway"),
        ("gateway.lock", None, "give this user the right to it, or name another path"),
        ("litellm.log", 0, "give this user the right to it, or name another path"),
    ],
)
def test_to_run_it_as_another_user_is_advised_only_where_that_is_the_cause(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    owner: int | None,
    fix: str,
) -> None:
    path = tmp_path / name
    path.touch()
    uid = path.stat().st_uid

    def refused(options: object) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(start, "_state_dir", refused)
    monkeypatch.setattr(os, "geteuid", lambda: uid if owner is None else uid + 1)
    assert start.main(["--status"]) == 2
    assert capsys.readouterr().err == f"{path}: Permission denied; {fix}\n"
