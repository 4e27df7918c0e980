"""`test_scalix_litellm.py` as its users run it: against the gateway, and against what is none."""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import ROOT, Gateway

SCRIPT = ROOT / "test_scalix_litellm.py"
WRONG_KEY = "sk-wrong-4f1d2c9a7b3e"
TIMEOUT_S = 60.0

Json = dict[str, Any]


def environment(state_dir: Path, **extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"SCALIX_STATE_DIR": str(state_dir)} | extra


def diagnose(state_dir: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment(state_dir, **extra),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def problem_of(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of a run that could not check anything."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def users_left(gateway: Gateway, told: str) -> list[str]:
    """The diagnostics' users named in an output that the gateway still knows."""
    names = set(re.findall(r"diagnose-[0-9a-f]{12}", told))
    assert names
    with gateway.client() as client:
        return [name for name in names if client.get("/user/info", params={"user_id": name}).status_code != 404]


def test_every_check_passes_against_the_gateway_of_the_state_directory(gateway: Gateway) -> None:
    result = diagnose(gateway.state_dir, "--test", "all", LITELLM_MASTER_KEY=gateway.master_key)
    assert result.returncode == 0, result.stdout + result.stderr
    first, *checks, summary = result.stdout.splitlines()
    assert first == f"gateway at {gateway.url}, key from LITELLM_MASTER_KEY (environment)"
    assert all(re.match(r"ok +[a-z-]+: .+; expected .+; saw .+", line) for line in checks), result.stdout
    assert summary == f"{len(checks)} passed, 0 failed"
    for words in ("free: liveliness", "free: chat, streamed", "pro: free to pro", "rate-limit: request 11;"):
        assert words in result.stdout
    assert gateway.master_key not in result.stdout + result.stderr
    assert users_left(gateway, result.stdout) == []


def test_json_is_one_object_with_every_check(gateway: Gateway, tmp_path: Path) -> None:
    result = diagnose(tmp_path, "--test", "free", "--url", gateway.url, "--key", gateway.master_key, "--json")
    assert result.returncode == 0, result.stdout
    report = json.loads(result.stdout)
    assert report["ok"]
    assert report["url"] == gateway.url
    assert report["passed"] == len(report["checks"])
    assert {check["result"] for check in report["checks"]} == {"ok"}
    assert set(report["checks"][0]) == {"test", "name", "expected", "seen", "result"}
    assert gateway.master_key not in result.stdout


def test_the_rate_limit_check_leaves_other_users_counters_alone(
    gateway: Gateway, http: httpx.Client, new_user: Callable[..., str]
) -> None:
    bystander = new_user()
    body = {"model": "free-gemini-flash", "user": bystander, "messages": [{"role": "user", "content": "Hello"}]}
    assert http.post("/v1/chat/completions", json=body).status_code == 200
    before = http.get("/user/info", params={"user_id": bystander}).json()["usage"]
    result = diagnose(gateway.state_dir, "--test", "rate-limit", LITELLM_MASTER_KEY=gateway.master_key)
    assert result.returncode == 0, result.stdout
    after = http.get("/user/info", params={"user_id": bystander}).json()["usage"]
    # The hour may turn in between, the day's counters with it only at midnight.
    assert {**after, "requests_this_hour": 0} == {**before, "requests_this_hour": 0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_removes_its_users(gateway: Gateway, number: signal.Signals) -> None:
    for _ in range(5):
        returncode, told = interrupted_run(gateway, number)
        if returncode != 0:
            break
        # On a busy machine the run may be over before the signal is sent.
    assert returncode == 130, told
    assert "interrupted; " in told
    assert "Traceback" not in told
    assert users_left(gateway, told) == []


def interrupted_run(gateway: Gateway, number: signal.Signals) -> tuple[int, str]:
    """The exit code and the output of a run that is sent a signal once it has made its first user."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--test", "all"],
        env=environment(gateway.state_dir, LITELLM_MASTER_KEY=gateway.master_key),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    told = ""
    while "free: new user" not in told:
        line = process.stdout.readline()
        assert line, told
        told += line
    process.send_signal(number)
    told += process.stdout.read()
    return process.wait(TIMEOUT_S), told


def test_no_gateway_is_said_with_how_to_start_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told = problem_of(diagnose(tmp_path, "--test", "all", "--url", url, LITELLM_MASTER_KEY="sk-any"))
    assert told.startswith(f"{url}: no gateway answers (connection refused); ")
    assert "`make run`" in told
    assert "`python start_scalix_litellm.py`" in told


def test_a_wrong_key_is_said_with_where_the_right_one_is_and_not_shown(gateway: Gateway) -> None:
    told = problem_of(diagnose(gateway.state_dir, "--test", "all", "--key", WRONG_KEY))
    assert told.startswith(f"{gateway.url}: the key from --key is not this gateway's (401); ")
    assert "LITELLM_MASTER_KEY" in told
    assert "master.key" in told
    assert WRONG_KEY not in told
    as_json = diagnose(gateway.state_dir, "--test", "all", "--key", WRONG_KEY, "--json")
    assert as_json.returncode == 2
    assert WRONG_KEY not in as_json.stdout
    assert json.loads(as_json.stdout)["problems"][0]["where"] == gateway.url


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--test"),
        (("--test", "everything"), "invalid choice: 'everything'"),
        (("--test", "all", "--url", "localhost"), "'localhost' is not the address of a gateway"),
        (("--test", "all", "--url", "http://me:secret@localhost"), "has no user"),
        (("--test", "all", "--key", ""), "the key is empty"),
        (("--test", "all", "--url", "http://127.0.0.1:9"), "there is no "),
        (("--test", "all", "--url", "http://gateway.invalid"), "no key for http://gateway.invalid"),
        (("--test", "all", "--env-file", "no-such.env"), "no-such.env"),
    ],
    ids=["no test", "unknown test", "no address", "user in url", "empty key", "no key file", "elsewhere", "env file"],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in problem_of(diagnose(tmp_path, *arguments))


def test_a_key_file_is_sent_to_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("sk-of-this-machine\n")
    told = problem_of(diagnose(tmp_path, "--test", "free", "--url", "http://gateway.invalid"))
    assert told.startswith("environment: no key for http://gateway.invalid; ")


def test_help_names_the_tests(tmp_path: Path) -> None:
    result = diagnose(tmp_path, "--help")
    assert result.returncode == 0
    assert "{free,pro,rate-limit,all}" in result.stdout


class WrongGateway(http.server.ThreadingHTTPServer):
    """Answers every request with what `answer` says. Keeps what it was sent."""

    def __init__(self, answer: Callable[[str, Json], tuple[int, Json]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[tuple[str, Json]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def posted(self, path: str) -> list[Json]:
        return [body for asked, body in self.requests if asked == path]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WrongGateway

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.server.requests.append((self.path, body))
        status, answer = self.server.answer(self.path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the base class asks for this name

    def log_message(self, format: str, *args: object) -> None:
        pass


def behave(path: str, body: Json) -> tuple[int, Json]:
    """A gateway that makes users and lists models, and whose provider always fails."""
    user: Json = {"tier": "free", "limits": [], "usage": {"requests_this_hour": 0}}
    if path.startswith("/user/"):
        return 200, user
    if path.startswith("/v1/models"):
        return 200, {"data": [{"id": "free-gemini-flash"}]}
    return 503, {"error": {"code": "provider_unavailable", "message": "The provider could not answer."}}


@pytest.fixture
def wrong_gateway(request: pytest.FixtureRequest) -> Iterator[WrongGateway]:
    with WrongGateway(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "wrong_gateway",
    [lambda path, body: (200, {}), lambda path, body: (500, {"error": "no"}), lambda path, body: (200, {"data": [1]})],
    ids=["empty", "500", "odd"],
    indirect=True,
)
def test_failed_checks_are_reported_and_the_exit_code_is_1(wrong_gateway: WrongGateway, tmp_path: Path) -> None:
    key = "sk-for-a-wrong-gateway"
    result = diagnose(tmp_path, "--test", "all", "--url", wrong_gateway.url, "--key", key)
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    failed = [line for line in lines if line.startswith("FAILED ")]
    assert any(line.startswith("FAILED   free: missing key; expected 401 invalid_api_key; saw ") for line in failed)
    assert re.fullmatch(rf"\d+ passed, {len(failed)} failed", lines[-1])
    # Whatever was asked for is given back.
    made = [body["user_id"] for body in wrong_gateway.posted("/user/new")]
    removed = [name for body in wrong_gateway.posted("/user/delete") for name in body["user_ids"]]
    assert made
    assert set(made) <= set(removed)


@pytest.mark.parametrize("wrong_gateway", [behave], indirect=True)
def test_a_failing_provider_is_told_from_a_failing_gateway(wrong_gateway: WrongGateway, tmp_path: Path) -> None:
    result = diagnose(tmp_path, "--test", "rate-limit", "--url", wrong_gateway.url, "--key", "sk-any")
    assert result.returncode == 1
    assert "the provider failed, not the gateway (503 provider_unavailable: The provider could not" in result.stdout


def echo_the_key(path: str, body: Json) -> tuple[int, Json]:
    return 400, {"error": {"code": "invalid_request", "message": "not with sk-echoed-0123456789"}}


@pytest.mark.parametrize("wrong_gateway", [echo_the_key], indirect=True)
def test_a_key_that_comes_back_in_an_answer_is_not_shown(wrong_gateway: WrongGateway, tmp_path: Path) -> None:
    result = diagnose(tmp_path, "--test", "all", "--url", wrong_gateway.url, "--key", "sk-echoed-0123456789")
    assert result.returncode == 1
    assert "not with [the key]" in result.stdout
    assert "sk-echoed" not in result.stdout + result.stderr
