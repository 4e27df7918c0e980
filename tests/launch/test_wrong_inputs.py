"""Every wrong input is one clear line that says what to do, and exit code 2."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.launch.running import CONFIG, Gateway, Place

UNPRICED = """\
  - model_name: new
    litellm_params: {model: openai/nobody-knows-it, api_base: "http://127.0.0.1:9", api_key: none}
"""


def refusal(place: Place, *arguments: str, extra: dict[str, str] | None = None) -> str:
    """The one line that the command is refused with."""
    result = place.run(*arguments, extra=extra)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def refusal_at_last(place: Place, extra: dict[str, str]) -> str:
    """The last line of a start that was refused when it was under way."""
    process = place.launch(extra=extra)
    assert process.wait(20) == 2, place.terminal()
    return next(line for line in reversed(place.terminal().splitlines()) if not line.startswith("launcher "))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "http"], "expected a port from 1 to 65535, or 0 for a free one, not 'http'"),
        (["--port", "70000"], "expected a port from 1 to 65535, or 0 for a free one, not '70000'"),
        (["--port", "-1"], "expected a port"),
        (["--workers", "0"], "--workers"),
        (["--workers", "many"], "--workers"),
        (["--nonsense"], "--nonsense"),
        (["--detach", "--quiet"], "--quiet"),
        (["--detach", "--status"], "--detach does not go with --status"),
        (["--detach", "--stop"], "--detach does not go with --stop"),
        (["--detach", "--check"], "--detach does not go with --check"),
        (["--detach", "--version"], "--detach does not go with --version"),
        (["--quiet", "--stop"], "--quiet does not go with --stop"),
        (["--status", "--stop"], "--status and --stop can't be asked for together"),
        (["--check", "--version"], "can't be asked for together"),
        (["--stop", "--host", "0.0.0.0"], "--port says which gateway is meant"),
        (["--stop", "--port", "0"], "--port 0 with --stop names no gateway"),
        (["--json"], "--json goes with --status or --check"),
        (["--stat"], "--stat"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(
    place: Place, arguments: Sequence[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = place.run_here(monkeypatch, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_taken_port_is_named_with_pid_and_program(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(place, "--port", str(port))
    assert f"port {port} on 127.0.0.1 is already in use by pid {os.getpid()} (" in line
    assert "--port" in line
    assert not (place.state_dir / "gateway.json").exists()
    assert not (place.state_dir / "store").exists()


def test_a_host_that_is_not_ours(place: Place) -> None:
    assert "192.0.2.1 is not an address of this machine" in refusal(place, "--host", "192.0.2.1")


def test_a_missing_env_file(place: Place) -> None:
    assert "nowhere.env" in refusal(place, "--env-file", "nowhere.env")


def test_a_missing_config(place: Place) -> None:
    assert "nowhere.yaml" in refusal(place, "--config", "nowhere.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("model_list: [", "config.yaml:"),
        (CONFIG.replace("requests:", "reqests:"), "reqests"),
        (CONFIG.replace('models: ["*"]', "models: [free-typo]"), "free-typo"),
    ],
    ids=["malformed", "unknown key", "unknown model"],
)
def test_a_wrong_config(place: Place, content: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.folder / "config.yaml").write_text(content)
    for arguments in ([], ["--check"], ["--detach"]):
        code, out, err = place.run_here(monkeypatch, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err
    assert not place.state_dir.exists()


def test_all_problems_are_told_at_once(place: Place) -> None:
    (place.folder / "config.yaml").write_text(CONFIG.replace("requests:", "reqests:"))
    result = place.run("--check", extra={"LITELLM_PORT": "x", "LITELLM_LOG_LEVEL": "loud"})
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 3
    for word in ("LITELLM_PORT", "LITELLM_LOG_LEVEL", "reqests"):
        assert word in result.stderr


def test_a_model_whose_price_nobody_knows_in_production(place: Place) -> None:
    text = CONFIG.replace("model_list:", "model_list:\n" + UNPRICED)
    (place.folder / "config.yaml").write_text(text)
    (place.folder / "empty.env").chmod(0o600)
    extra = {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": f"sk-{'0123456789abcdef' * 3}"}
    line = refusal(place, extra=extra)
    assert "config.yaml:" in line
    assert "the model 'new' has no price; write one under scalix.prices.models.new" in line
    assert not place.state_dir.exists()


def test_a_redis_that_is_not_there(place: Place) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        line = refusal(place, "--port", "0", extra={"REDIS_URL": f"redis://:secret-of-redis@127.0.0.1:{port}/0"})
    assert "can't be reached" in line
    assert "secret-of-redis" not in line + place.log.read_text()


def test_a_state_directory_that_is_none(place: Place) -> None:
    (place.folder / "file").write_text("")
    for arguments in (["--status"], ["--stop"], ["--port", "0"]):
        line = refusal(place, *arguments, extra={"SCALIX_STATE_DIR": str(place.folder / "file" / "state")})
        assert str(place.folder / "file" / "state") in line


def test_a_log_that_cannot_be_written(place: Place) -> None:
    (place.folder / "file").write_text("")
    line = refusal(place, "--port", "0", extra={"LITELLM_LOG_FILE": str(place.folder / "file" / "log")})
    assert "LITELLM_LOG_FILE" in line


def test_a_second_start_in_the_same_state_directory(gateway: Gateway) -> None:
    line = refusal(gateway.place, "--port", "0")
    assert f"pid {gateway.process.pid} at http://127.0.0.1:{gateway.port}" in line
    assert "SCALIX_STATE_DIR" in line
    assert gateway.get("/")[0] == 200


def test_when_the_port_is_taken_the_detached_start_tells_the_same(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = refusal(place, "--detach", "--port", str(taken.getsockname()[1]))
    assert f"in use by pid {os.getpid()}" in line


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("tests.launch.tiny_app:create_broken_app", "RuntimeError: the moon is in the wrong phase"),
        ("tests.launch.no_such_module:x", "ModuleNotFoundError"),
        ("tests.launch.tiny_app:create_app_that_exits", "exit code 5): leaving without a reason"),
    ],
    ids=["raises", "missing", "dies"],
)
def test_a_worker_that_cannot_start_is_given_up_with_its_reason(place: Place, app: str, words: str) -> None:
    process = place.launch(extra={"SCALIX_APP": app})
    assert process.wait(20) == 1
    assert any("before it was ready" in line and words in line for line in place.terminal().splitlines())
    # The trace is for the log.
    assert "Traceback" not in place.terminal()
    # Nothing is left of it: the store's lock is free again, and its socket gone.
    assert not (place.state_dir / "gateway.json").exists()
    assert not list((place.state_dir / "store").glob("*.sock"))


def test_a_port_lost_between_bind_and_listen_is_a_taken_port(place: Place) -> None:
    line = refusal_at_last(place, extra={"SCALIX_APP": "tests.launch.tiny_app:create_app_that_lost_the_port"})
    assert "is already in use by" in line


def script_without_an_environment(folder: Path) -> Path:
    """The script and what it imports first, in a folder that has no `.venv`."""
    root = Path(__file__).parents[2]
    parts = ("start_scalix_litellm.py", "scalix/__init__.py", "scalix/cli/__init__.py", "scalix/cli/interpreter.py")
    for name in parts:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((root / name).read_text())
    return folder / parts[0]


def test_an_old_python_is_told_what_to_do(tmp_path: Path) -> None:
    script = script_without_an_environment(tmp_path)
    pretend = f"import runpy, sys; sys.version_info = (3, 10, 1); runpy.run_path({str(script)!r}, run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "this is Python 3.10; it needs 3.11, 3.12 or 3.13; run `make run`" in result.stderr


def test_missing_packages_are_named_with_what_to_do(tmp_path: Path) -> None:
    script = script_without_an_environment(tmp_path)
    # -I -S: an interpreter with no packages.
    result = subprocess.run([sys.executable, "-I", "-S", str(script), "--help"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "packages are missing (litellm" in result.stderr


def test_plain_python_hands_over_to_the_environment_beside_it() -> None:
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(root / "start_scalix_litellm.py"), "--version"],
        env={**os.environ, "SCALIX_VENV": sys.prefix},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("scalix-gateway ")
