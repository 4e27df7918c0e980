"""Secrets in files of their own, and what is wrong with the optional keys."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from scalix.launch.problems import LaunchError, Problem
from scalix.launch.settings import secret_files
from scalix.launch.settings.environment import load_environment, resolve_settings

SCRIPT = Path(__file__).resolve().parent.parent.parent / "start_scalix_litellm.py"
GOOD_KEY, OLD_KEY = "sk-" + "5f" * 32, "sk-" + "a7" * 32


def secret(path: Path, text: str = "canary-secret\n", mode: int = 0o600) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def problems(tmp_path: Path, values: dict[str, str]) -> tuple[Problem, ...]:
    with pytest.raises(LaunchError) as caught:
        resolve_settings(load_environment(tmp_path, values), root=tmp_path)
    assert "canary" not in "".join(map(str, caught.value.problems))
    return caught.value.problems


@pytest.mark.parametrize(
    "name",
    [
        "LITELLM_MASTER_KEY",
        "LITELLM_MASTER_KEY_PREVIOUS",
        "GEMINI_API_KEY",
        "REDIS_PASSWORD",
        "REDIS_URL",
        "SCALIX_JWT_SECRET",
        "SCALIX_AUDIT_KEY",
        "SCALIX_ENCRYPTION_KEY",
        "SCALIX_METRICS_TOKEN",
        "MY_OWN_MODEL_API_KEY",
    ],
)
def test_a_file_gives_the_value_of_a_secret(tmp_path: Path, name: str) -> None:
    path = secret(tmp_path / "secret")
    environment = load_environment(tmp_path, {f"{name}_FILE": path})
    assert environment.values[name] == "canary-secret"
    assert f"{name}_FILE" not in environment.values
    assert environment.secret_files == {name: Path(path)}


@pytest.mark.parametrize("name", ["LITELLM_LOG_FILE", "SSL_CERT_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "API_KEY_FILE"])
def test_other_variables_that_end_so_are_left_alone(tmp_path: Path, name: str) -> None:
    environment = load_environment(tmp_path, {name: "/nonexistent"})
    assert environment.values[name] == "/nonexistent"
    assert environment.secret_files == {}


def test_the_variable_may_stand_in_an_env_file_with_a_relative_path(tmp_path: Path) -> None:
    secret(tmp_path / "key.txt", "  with spaces \n")
    secret(tmp_path / ".env", "GEMINI_API_KEY=\nGEMINI_API_KEY_FILE=key.txt\n")
    assert load_environment(tmp_path, {}).values["GEMINI_API_KEY"] == "  with spaces "


@pytest.mark.parametrize("text", ["canary", "canary\n", "canary\r\n", "\ufeffcanary\n"])
def test_one_line_end_is_no_part_of_the_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(text.encode())
    assert load_environment(tmp_path, {"A_SECRET_FILE": str(path)}).values["A_SECRET"] == "canary"


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "which is empty"), ("\n", "which is empty"), ("a\0b", "which holds a zero byte"), ("x" * 70_000, "larger")],
)
def test_what_is_no_secret_is_a_problem(tmp_path: Path, text: str, what: str) -> None:
    path = secret(tmp_path / "secret", text)
    (problem,) = problems(tmp_path, {"GEMINI_API_KEY_FILE": path})
    assert (problem.where, what in problem.what) == ("environment", True)


def test_a_file_that_is_not_there_is_a_problem_with_its_line(tmp_path: Path) -> None:
    secret(tmp_path / ".env", "A=1\nGEMINI_API_KEY_FILE=none.txt\nREDIS_PASSWORD_FILE=.\n")
    one, other = problems(tmp_path, {})
    assert one.where.endswith(".env:2")
    assert "GEMINI_API_KEY_FILE is" in one.what
    assert "can't be read (no such file or directory)" in one.what
    assert "can't be read (is a directory)" in other.what


def test_both_forms_of_one_secret_are_a_problem(tmp_path: Path) -> None:
    path = secret(tmp_path / "secret")
    (problem,) = problems(tmp_path, {"GEMINI_API_KEY": "canary", "GEMINI_API_KEY_FILE": path})
    assert problem.what == "both GEMINI_API_KEY and GEMINI_API_KEY_FILE are set"


def test_in_production_nobody_else_may_read_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = secret(tmp_path / "secret", mode=0o644)
    values = {"GEMINI_API_KEY_FILE": path, "SCALIX_ENV": "production", "LITELLM_MASTER_KEY": GOOD_KEY}
    (problem,) = problems(tmp_path, values)
    assert "which every user of this machine can read" in problem.what
    assert "chmod 600" in problem.fix
    assert load_environment(tmp_path, values | {"SCALIX_ENV": "staging"}).values["GEMINI_API_KEY"]
    # A container's own mount of secrets is readable for everybody in it, by default.
    monkeypatch.setattr(secret_files, "_MOUNTED_SECRETS", (tmp_path,))
    assert load_environment(tmp_path, values).values["GEMINI_API_KEY"] == "canary-secret"


def test_whoever_stops_a_gateway_need_not_read_its_secrets(tmp_path: Path) -> None:
    values = {"GEMINI_API_KEY_FILE": "/nonexistent", "LITELLM_MASTER_KEY_FILE": secret(tmp_path / "key", GOOD_KEY)}
    assert load_environment(tmp_path, values, secrets=()).secret_files == {}
    environment = load_environment(tmp_path, values, secrets=("LITELLM_MASTER_KEY",))
    assert environment.values["LITELLM_MASTER_KEY"] == GOOD_KEY


def test_a_secret_from_a_file_is_judged_like_any_other(tmp_path: Path) -> None:
    values = {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY_FILE": secret(tmp_path / "key", "short\n")}
    (problem,) = problems(tmp_path, values)
    assert problem.what.startswith("LITELLM_MASTER_KEY is shorter")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"LITELLM_MASTER_KEY_PREVIOUS": "changeme"}, "LITELLM_MASTER_KEY_PREVIOUS is an example"),
        ({"LITELLM_MASTER_KEY_PREVIOUS": "k" * 15}, "LITELLM_MASTER_KEY_PREVIOUS is shorter"),
        ({"LITELLM_MASTER_KEY_PREVIOUS": GOOD_KEY}, "is the same key as LITELLM_MASTER_KEY"),
        ({"LITELLM_MASTER_KEY_PREVIOUS": "with space" * 3}, "holds characters that an HTTP header can't carry"),
        ({"SCALIX_AUDIT_KEY": "canary"}, "SCALIX_AUDIT_KEY holds a key of less than 32 characters"),
        ({"SCALIX_METRICS_TOKEN": "canary"}, "SCALIX_METRICS_TOKEN has less than 16 characters"),
        ({"SCALIX_METRICS_TOKEN": GOOD_KEY}, "SCALIX_METRICS_TOKEN is a master key"),
        ({"SCALIX_BACKUP_KEY": "canary"}, "SCALIX_BACKUP_KEY holds a key that is not 32 bytes in base64"),
        ({"SCALIX_ENCRYPTION_KEY": "canary"}, "SCALIX_ENCRYPTION_KEY holds a key that is not 32 bytes"),
        ({"SCALIX_ENCRYPTION_KEY": Fernet.generate_key().decode() + ",,"}, "holds a key that is not 32 bytes"),
    ],
)
def test_what_is_wrong_with_an_optional_key_is_said_without_it(
    tmp_path: Path, values: dict[str, str], what: str
) -> None:
    base = {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": GOOD_KEY}
    (problem,) = problems(tmp_path, base | values)
    assert what in problem.what


def test_good_optional_keys_are_no_problem(tmp_path: Path) -> None:
    values = {
        "SCALIX_ENV": "production",
        "LITELLM_MASTER_KEY": GOOD_KEY,
        "LITELLM_MASTER_KEY_PREVIOUS": OLD_KEY,
        "SCALIX_METRICS_TOKEN": "t" * 16,
        "SCALIX_AUDIT_KEY": f"{'a' * 32},{'b' * 64}",
        "SCALIX_ENCRYPTION_KEY": ",".join(Fernet.generate_key().decode() for _ in range(3)),
    }
    assert resolve_settings(load_environment(tmp_path, values), root=tmp_path).master_key == GOOD_KEY


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_the_advice_makes_a_key_that_is_taken(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"SCALIX_ENCRYPTION_KEY": "canary"})
    command = problem.fix.removeprefix("write one made by: ")
    made = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    resolve_settings(load_environment(tmp_path, {"SCALIX_ENCRYPTION_KEY": made}), root=tmp_path)


def test_a_gateway_can_be_asked_for_while_its_secrets_are_away(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "SCALIX_STATE_DIR": "", "GEMINI_API_KEY_FILE": "/nonexistent"}
    secret(tmp_path / "own.env", f"SCALIX_STATE_DIR={tmp_path / 'state'}\nOPENAI_API_KEY_FILE=/nonexistent\n")

    def run(action: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), action, "--env-file", str(tmp_path / "own.env")]
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=30)

    assert run("--status").returncode == 3
    check = run("--check")
    assert check.returncode == 2
    assert check.stderr.count("which can't be read") == 2
