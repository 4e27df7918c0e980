"""What `--status` tells, and how fast; and what the children's deaths change."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
import redis

from scalix.launch.processes import status as status_module
from scalix.launch.processes.runfile import RunFile
from scalix.launch.processes.status import Status, ask, failing_of, models_at, uptime
from tests.launch.running import ROOT, Gateway, Place, all_gone, eventually


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for the tests that only look."""
    place = Place(tmp_path_factory.mktemp("steady"))
    yield place.start("--host", "0.0.0.0")
    place.close()


def test_a_ready_gateway_tells_everything(steady: Gateway) -> None:
    result = steady.place.run("--status")
    assert result.returncode == 0
    facts = dict(re.split(r"\s+", line, maxsplit=1) for line in result.stdout.splitlines())
    assert facts["state"] == "ready"
    assert facts["pid"] == str(steady.process.pid)
    assert facts["address"] == f"http://127.0.0.1:{steady.port}"
    assert re.fullmatch(r"\d+ s", facts["uptime"])
    assert facts["workers"].startswith("1 of 1 ready (pid ")
    assert facts["store"].startswith("embedded ")
    with redis.Redis(unix_socket_path=facts["socket"]) as store:
        assert store.ping()
    assert facts["version"]


def test_a_gateway_all_of_whose_models_rest_is_not_ready(steady: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "ask", lambda run: ("", {"models_resting": 1, "models_in_service": 0}))
    status = status_module.look(steady.place.state_dir)
    assert (status.state, status.detail) == ("not ready", "no model is in service: all of them rest after failures")
    assert "models   0 of 2 in service" in status.as_text(0.0)


def test_models_in_service_and_those_left_out_are_told_with_what_they_lack(steady: Gateway) -> None:
    shown = steady.place.run("--status").stdout
    assert "models   1 of 2 in service" in shown
    assert "out      free-other is left out: OTHER_KEY is not set" in shown
    status = steady.status()
    assert status["models"] == ["free-tiny"]
    assert status["left_out"] == ["free-other is left out: OTHER_KEY is not set"]


def test_models_that_rest_are_told_with_the_seconds_that_are_left(tmp_path: Path) -> None:
    status = Status("ready", tmp_path, run_file=RunFile("127.0.0.1", 1, "log"), resting={"m#2": 30})
    assert "resting  m#2: 30 seconds more, after failures" in status.as_text(0.0)
    assert status.as_json(0.0)["resting_s"] == {"m#2": 30}


def test_json_has_the_same(steady: Gateway) -> None:
    status = steady.status()
    assert status["state"] == "ready"
    assert status["pid"] == steady.process.pid
    assert status["address"] == f"http://127.0.0.1:{steady.port}"
    assert status["workers"] == [{"name": "worker 1", "pid": steady.run_file.workers[0].process.pid, "ready": True}]
    assert status["uptime_s"] >= 0
    assert Path(status["store_socket"]).is_socket()


def test_not_running_is_3(place: Place) -> None:
    result = place.run("--status")
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout.startswith("not running")
    assert json.loads(place.run("--status", "--json").stdout)["state"] == "not running"


def test_up_but_not_ready_is_1(place: Place) -> None:
    place.start(extra={"TINY_NOT_READY": "1"})
    result = place.run("--status")
    assert result.returncode == 1
    assert "not ready (/health/readiness answers 503)" in result.stdout


def test_a_gateway_on_all_addresses_is_asked_on_loopback(steady: Gateway) -> None:
    assert steady.run_file.host == "0.0.0.0"
    assert steady.status()["address"] == f"http://127.0.0.1:{steady.port}"
    assert steady.status()["ready"] is True


def test_a_dead_worker_is_replaced(gateway: Gateway) -> None:
    old = gateway.get("/")[1]
    with pytest.raises(http.client.RemoteDisconnected):
        gateway.get("/die")
    # The socket is still there: who comes meanwhile waits, and is served.
    status, new = gateway.get("/")
    assert status == 200
    assert new != old
    eventually(lambda: str(gateway.run_file.workers[0].process.pid) == new, "the run file names the new worker")
    gateway.log_has("worker 1  ended with exit code 9")


def test_a_worker_that_keeps_dying_is_told_with_its_end_while_the_others_serve(place: Place) -> None:
    poison = place.folder / "poison"
    gateway = place.start("--workers", "2", extra={"TINY_DIES_WITH": str(poison)})
    assert "workers_down" not in gateway.status().get("alarms", {})
    poison.touch()
    dead, other = (worker.process for worker in gateway.run_file.workers)
    dead.send(signal.SIGKILL)
    gateway.log_has("ended with exit code 9; next start in 1.0 s")
    status = gateway.status()
    assert (status["state"], status["alarms"]["workers_down"]) == ("ready", 1)
    (line,) = status["workers_down"]
    assert "times in a row, last with exit code 9" in line
    assert {gateway.get("/")[1] for _ in range(20)} == {str(other.pid)}
    poison.unlink()
    eventually(lambda: len(gateway.run_file.workers) == 2 and not gateway.run_file.down, "both serve again")


def test_a_dead_store_is_brought_back(gateway: Gateway) -> None:
    old = gateway.run_file.helpers[0]
    assert old.send(signal.SIGKILL)
    eventually(lambda: gateway.run_file.helpers and gateway.run_file.helpers[0] != old, "there is a new store")
    assert gateway.run_file.helpers[0].is_alive()


def test_a_dead_demo_provider_comes_back_on_the_same_port(place: Place) -> None:
    gateway = place.start("--demo")
    port = int(gateway.get("/env/SCALIX_DEMO_URL")[1].rpartition(":")[2])
    old = gateway.run_file.helpers[0]
    assert old.send(signal.SIGKILL)
    eventually(lambda: gateway.run_file.helpers[0].pid not in (old.pid, 0), "there is a new demo provider")

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    eventually(listens, "it listens on the old port")


def test_detach_returns_when_ready_and_holds_no_terminal(place: Place) -> None:
    # `run` reads both pipes to their end, so it returns only if nothing in the background has kept them.
    result = place.run("--detach", "--port", "0")
    assert (result.returncode, result.stderr) == (0, "")
    assert "is ready at http://" in result.stdout
    assert "Ctrl-C" not in result.stdout
    status = json.loads(place.run("--status", "--json").stdout)
    assert status["ready"] is True
    launcher = psutil.Process(status["pid"])
    children = launcher.children()
    assert launcher.terminal() is None
    assert place.run("--stop").returncode == 0
    assert all_gone([launcher, *children])


def test_a_detached_start_that_fails_gives_its_reason_and_code(place: Place) -> None:
    result = place.run("--detach", "--port", "0", extra={"SCALIX_APP": "tests.launch.tiny_app:create_broken_app"})
    assert result.returncode == 1
    assert "the moon is in the wrong phase" in result.stderr
    assert "Traceback" not in result.stderr
    assert place.run("--status").returncode == 3


@pytest.mark.parametrize("arguments", [["--status"], ["--stop"], ["--check"], ["--version"]], ids=" ".join)
def test_commands_import_nothing_heavy(place: Place, arguments: list[str]) -> None:
    program = (
        "import sys\nfrom scalix.cli.start import main\n"
        f"main({place.command(*arguments)[2:]!r})\n"
        "print(sorted({'litellm', 'uvicorn', 'httpx', 'redis', 'asyncio'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], env=place.environment(), cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_uptime_is_told_in_two_units() -> None:
    assert [uptime(s) for s in (5, 192, 7500, 273_600)] == ["5 s", "3 min 12 s", "2 h 5 min", "3 d 4 h"]


def test_what_is_not_well_and_keeps_nobody_from_being_served_is_told(tmp_path: Path) -> None:
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ready", "store": "ok", "store_memory_percent": 84}')

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.handle_request).start()
        trouble, alarms = ask(RunFile("127.0.0.1", server.server_port, "log"))
    assert (trouble, alarms) == ("", {"store_memory_percent": 84})
    status = Status("ready", tmp_path, alarms=alarms)
    assert status.as_json(0.0)["alarms"] == alarms


def test_which_deployments_fail_their_health_checks_and_why_is_told(tmp_path: Path) -> None:
    health = {"answers": False, "reason": "it can't be reached", "checked_at": "2026-11-30T12:00:00Z"}
    models = [
        {"model": "m", "deployment": "m#1", "health": {**health, "answers": True}},
        {"model": "m", "deployment": "m#2", "health": health},
        {"model": "alone", "deployment": None, "health": health},
        {"model": "unchecked", "deployment": None, "health": None},
    ]
    keys: list[str | None] = []

    class Models(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["authorization"])
            is_right = keys[-1] == "Bearer sk-right"
            self.send_response(200 if is_right else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"data": models} if is_right else {"error": {}}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Models) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = RunFile("127.0.0.1", server.server_port, "log")
        failing = failing_of(models_at(run, "sk-right"))
        assert models_at(run, "sk-of-another") == []
        server.shutdown()
    assert models_at(run, "sk-right") == []
    assert [(one["deployment"], one["reason"]) for one in failing] == [
        ("m#2", "it can't be reached"),
        ("alone", "it can't be reached"),
    ]
    assert keys == ["Bearer sk-right", "Bearer sk-of-another"]
    status = Status("ready", tmp_path, alarms={"deployments_failing": 2}, failing=failing)
    assert status.as_json(0.0)["failing"] == failing
