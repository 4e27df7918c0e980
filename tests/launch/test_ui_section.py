"""`scalix.ui`: whether there are pages, from where the operator's open, and a port of their own."""

import http.client
import socket
from pathlib import Path

import pytest

from scalix.domain.pages import PageSettings
from scalix.launch.config.policy_file import read_policy, write_policy
from tests.launch.config_text import MODELS, TIERS, problem_of, read
from tests.launch.doctor_rig import GOOD_KEY, Practice
from tests.launch.running import Place, eventually
from tests.launch.test_reload import APP


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_what_is_written_reaches_the_workers(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS).policy.ui == PageSettings(True, 0, (), None)
    text = '  ui: {enabled: false, port: 4001, allow: [10.0.0.0/8], url: "https://ai.example.com"}\n'
    policy = read(tmp_path, MODELS + TIERS + text).policy
    assert policy.ui == PageSettings(False, 4001, ("10.0.0.0/8",), "https://ai.example.com")
    write_policy(tmp_path / "policy.json", 1, policy)
    assert read_policy(tmp_path / "policy.json")[1].ui == policy.ui


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("{port: 70000}", "number"),
        ("{allow: [here]}", "10.0.0.0/8"),
        ("{url: ai.example.com}", "https://"),
        ("{enabled: maybe}", "true"),
        ("{ports: 1}", "port"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, text: str, fix: str) -> None:
    assert fix in problem_of(tmp_path, MODELS + TIERS + f"  ui: {text}\n").fix


def test_all_workers_listen_on_the_pages_own_port_too(place: Place) -> None:
    port = free_port()
    config = place.folder / "config.yaml"
    config.write_text(f"{config.read_text(encoding='utf-8').rstrip()}\n  ui: {{port: {port}}}\n", encoding="utf-8")
    gateway = place.start("--workers", "2")
    assert f"http://127.0.0.1:{port}/ui for operators" in place.terminal()
    where = [f"http://127.0.0.1:{gateway.port}/me for users", f"http://127.0.0.1:{port}/ui for operators"]
    assert gateway.status()["pages"] == where
    told = place.run("--status").stdout
    assert all(f"pages    {line}" in told for line in where)
    seen = set()
    for _ in range(40):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        seen.add(connection.getresponse().read())
        connection.close()
    assert seen == {str(worker.process.pid).encode() for worker in gateway.run_file.workers}


def test_another_port_comes_with_new_workers_at_a_reload_if_it_can_be_had(place: Place) -> None:
    config, ports = place.folder / "config.yaml", (free_port(), free_port())
    plain = config.read_text(encoding="utf-8").rstrip()
    config.write_text(f"{plain}\n  ui: {{port: {ports[0]}}}\n", encoding="utf-8")
    gateway = place.start(extra=APP)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        config.write_text(f"{plain}\n  ui: {{port: {taken}}}\n", encoding="utf-8")
        refused = place.run("--reload")
    assert (refused.returncode, f"scalix.ui.port: port {taken}" in refused.stdout + refused.stderr) == (2, True)
    config.write_text(f"{plain}\n  ui: {{port: {ports[1]}}}\n", encoding="utf-8")
    told = place.run("--reload")
    assert (told.returncode, "replaced one by one: scalix.ui.port" in told.stdout) == (0, True), told
    eventually(lambda: answers(ports[1]) and not answers(ports[0]), "the pages are at the new port alone")
    assert gateway.status()["pages"][1] == f"http://127.0.0.1:{ports[1]}/ui for operators"


def answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_of_the_pages_that_is_taken_is_told_before_anything_starts(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        config = place.folder / "config.yaml"
        config.write_text(f"{config.read_text(encoding='utf-8').rstrip()}\n  ui: {{port: {port}}}\n", encoding="utf-8")
        result = place.run("--port", "0")
    assert result.returncode == 2
    assert f"scalix.ui.port: port {port}" in result.stdout + result.stderr


def test_check_and_doctor_say_what_opens_the_operators_pages_in_production(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.extra = {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": GOOD_KEY}
    (place.folder / "empty.env").chmod(0o600)
    code, told, errors = place.run_here(monkeypatch, "--check")
    assert (code, errors) == (0, "")
    assert "/ui is closed in production: set scalix.ui.allow" in told
    found = Practice(place, monkeypatch).examine("--offline").the("config", "/ui")
    assert (found["level"], found["fix"].startswith("set scalix.ui.allow")) == ("note", True)
    config = place.folder / "config.yaml"
    config.write_text(
        f"{config.read_text(encoding='utf-8').rstrip()}\n  ui: {{allow: [10.0.0.0/8]}}\n", encoding="utf-8"
    )
    _, told, _ = place.run_here(monkeypatch, "--check")
    assert "/ui for operators, from 10.0.0.0/8" in told
