"""What a start shows and does, on the real launcher with a tiny app in LiteLLM's place."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from scalix.launch.config.config_file import GatewayConfig
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.start_block import key_in_a_shell
from scalix.launch.settings.environment import load_environment, resolve_settings
from tests.launch.running import KEY, Gateway, Place, eventually


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for the tests that only look."""
    place = Place(tmp_path_factory.mktemp("demo"), extra={"DATABASE_URL": "postgresql://somebody@elsewhere/x"})
    yield place.start("--demo")
    place.close()


def test_the_terminal_shows_progress_and_then_the_block(demo: Gateway) -> None:
    shown = demo.place.terminal()
    assert re.search(r"^store +embedded (valkey|redis) [\d.]+, .*/state/store$", shown, re.MULTILINE)
    assert re.search(r"^models +2 in service: free-tiny, free-other$", shown, re.MULTILINE)
    assert re.search(r"^worker 1 +loading LiteLLM$", shown, re.MULTILINE)
    assert re.search(r"^worker 1 +ready in \d+\.\d s$", shown, re.MULTILINE)
    assert f"is ready at http://127.0.0.1:{demo.port}\n" in shown
    assert "demo provider" in shown
    assert str(demo.place.log) in shown
    assert "--stop" in shown
    # Banners that a worker prints while it starts are for the log.
    assert "banner" not in shown
    demo.log_has("a banner that nobody wants to see")


def test_the_printed_curl_is_a_request_with_the_key_that_only_the_file_holds(demo: Gateway) -> None:
    shown = demo.place.terminal()
    curl = re.search(r"curl .*$", shown, re.MULTILINE)
    assert curl
    assert f'Bearer $(cat {demo.place.state_dir / "master.key"})"' in curl[0]
    assert '"user": "alice"' in curl[0]
    assert '"model": "free-tiny"' in curl[0]
    # The shell reads it as one request, with a key in it.
    words = subprocess.run(["sh", "-c", curl[0].replace("curl", "printf '%s\\n'", 1)], capture_output=True, text=True)
    key = (demo.place.state_dir / "master.key").read_text().strip()
    assert f"Authorization: Bearer {key}" in words.stdout
    assert key not in shown
    # Not even a worker can write it to the log.
    demo.get(f"/say?{key}-is-mine")
    demo.log_has("[redacted]-is-mine")
    assert key not in demo.place.log.read_text()


@pytest.mark.parametrize("line", ["LITELLM_MASTER_KEY={}", 'export LITELLM_MASTER_KEY="{}"  # mine'])
def test_a_key_from_an_env_file_is_read_from_there_by_the_curl(tmp_path: Path, line: str) -> None:
    key = "sk-of-an-env-file-0123456789"
    (tmp_path / "my file.env").write_text(f"TINY_KEY=x\n{line.format(key)}\n")
    environment = load_environment(tmp_path, {}, Path("my file.env"))
    settings = resolve_settings(environment, root=tmp_path)
    plan = Plan(settings, environment, cast(GatewayConfig, None), demo=False)
    in_a_shell, source = key_in_a_shell(plan)
    assert key not in in_a_shell + source
    said = subprocess.run(["sh", "-c", f'echo "Bearer {in_a_shell}"'], capture_output=True, text=True)
    assert said.stdout == f"Bearer {key}\n"


def test_a_model_without_its_key_is_left_out_and_the_rest_runs(gateway: Gateway) -> None:
    shown = gateway.place.terminal()
    assert "free-other is left out: OTHER_KEY is not set" in shown
    assert re.search(r"^models +1 in service: free-tiny$", shown, re.MULTILINE)


def test_demo_if_no_key_starts_the_demo_only_when_there_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _, with_key, _ = place.run_here(monkeypatch, "--check", "--json", "--demo-if-no-key")
    place.extra["TINY_KEY"] = ""
    _, without, _ = place.run_here(monkeypatch, "--check", "--json", "--demo-if-no-key")
    assert json.loads(with_key)["demo"] is False
    assert json.loads(without)["demo"] is True


def test_a_worker_gets_what_the_launcher_worked_out_and_no_database(demo: Gateway) -> None:
    place = demo.place
    env = {
        name: demo.get(f"/env/{name}")[1]
        for name in (
            "CONFIG_FILE_PATH",
            "SCALIX_CONFIG",
            "SCALIX_STORE_URL",
            "SCALIX_STATE_DIR",
            "SCALIX_DEMO",
            "SCALIX_DEMO_URL",
            "SCALIX_ENV",
            "LITELLM_LOCAL_MODEL_COST_MAP",
            "LITELLM_LOG",
            "DATABASE_URL",
            "AIOHTTP_TTL_DNS_CACHE",
            "AIOHTTP_SO_KEEPALIVE",
        )
    }
    assert env["CONFIG_FILE_PATH"] == str(place.state_dir / "litellm.rendered.yaml")
    assert env["SCALIX_CONFIG"] == str(place.folder / "config.yaml")
    assert env["SCALIX_STORE_URL"].startswith("unix://")
    assert env["SCALIX_STATE_DIR"] == str(place.state_dir)
    assert env["SCALIX_DEMO"] == "1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", env["SCALIX_DEMO_URL"])
    assert env["SCALIX_ENV"] == "development"
    assert env["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert env["LITELLM_LOG"] == "WARNING"
    assert env["DATABASE_URL"] == ""
    # A provider's name that leads elsewhere, and connections whose other end is lost, are noticed soon.
    assert (env["AIOHTTP_TTL_DNS_CACHE"], env["AIOHTTP_SO_KEEPALIVE"]) == ("30", "true")


def test_several_workers_share_the_port(place: Place) -> None:
    gateway = place.start("--workers", "2")
    pids = {worker.process.pid for worker in gateway.run_file.workers}
    assert len(pids) == 2
    seen: set[str] = set()

    def both() -> bool:
        seen.add(gateway.get("/")[1])
        return seen == {str(pid) for pid in pids}

    eventually(both, "both workers have answered")


def test_two_gateways_run_side_by_side_and_share_no_log(place: Place, gateway: Gateway) -> None:
    (place.folder / "second").mkdir()
    other = Place(place.folder / "second", extra={"LITELLM_LOG_FILE": str(place.log)})
    try:
        second = other.start()
        assert second.port != gateway.port
        assert second.get("/")[1] != gateway.get("/")[1]
        # One writer for each log file.
        assert second.run_file.log_file == str(place.log.with_name("gateway-2.log"))
        assert second.place.run("--stop").returncode == 0
        assert gateway.get("/")[0] == 200
    finally:
        other.close()


def test_it_serves_on_an_ipv6_address(place: Place) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    gateway = place.start("--host", "::1")
    assert f"is ready at http://[::1]:{gateway.port}" in place.terminal()
    assert gateway.get("/", host="::1")[0] == 200
    assert gateway.status()["ready"] is True


def test_before_it_is_ready_clients_are_refused_and_status_says_starting(place: Place) -> None:
    place.launch(extra={"SCALIX_APP": "tests.launch.tiny_app:create_app_that_never_loads"})
    eventually(lambda: "loading LiteLLM" in place.terminal(), "a worker loads")
    status = place.run("--status", "--json")
    assert status.returncode == 1
    assert '"state": "starting"' in status.stdout
    port = int(re.findall(r'"port": (\d+)', status.stdout)[0])
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    # And it can be stopped in the middle of it.
    assert place.run("--stop").returncode == 0
    assert place.started[0].wait(1) == 0


def test_quiet_shows_the_block_and_nothing_else(place: Place) -> None:
    gateway = place.start("--quiet")
    gateway.get("/say?chatter")
    gateway.log_has("chatter")
    shown = place.terminal().strip()
    assert shown.startswith("Scalix gateway")
    assert "chatter" not in shown
    assert "worker" not in shown


def test_debug_mode_shows_all_and_tells_litellm(place: Place) -> None:
    gateway = place.start(extra={"DEBUG_MODE": "true"})
    assert gateway.get("/env/LITELLM_LOG")[1] == "DEBUG"
    assert "banner" in place.terminal()


def test_what_workers_write_goes_to_terminal_and_log_without_secrets(gateway: Gateway) -> None:
    gateway.get(f"/say?key={KEY}.")
    gateway.log_has("key=[redacted].")
    eventually(lambda: "key=[redacted]." in gateway.place.terminal(), "the line in the terminal")
    assert KEY not in gateway.place.log.read_text() + gateway.place.terminal()
    line = gateway.place.log.read_text().splitlines()[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z worker 1 +key=\[redacted\]\.", line)


def test_a_terminal_that_nobody_reads_holds_up_nothing(place: Place) -> None:
    read_fd, write_fd = os.pipe()
    try:
        process = subprocess.Popen(
            place.command("--port", "0"),
            env=place.environment(),
            cwd=place.folder,
            stdout=write_fd,
            stderr=write_fd,
            text=True,
        )
        place.started.append(process)
        # The pipe holds 64 KiB, the flood is 5 MB.
        gateway = Gateway(place, process)
        eventually(lambda: (place.state_dir / "gateway.json").exists(), "the run file")
        eventually(lambda: gateway.run_file.phase == "ready", "it is ready")
        assert gateway.get("/flood")[0] == 200
        gateway.log_has("the flood is over")
        assert gateway.get("/health/readiness")[0] == 200
        process.terminate()
        assert process.wait(10) == 0
    finally:
        os.close(read_fd)
        os.close(write_fd)
