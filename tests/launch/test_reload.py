"""A reload of the config: `--reload`, SIGHUP, and what happens when the config is wrong."""

import os
import pty
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.prices.off_peak import OffPeak, OffPeakWindow
from scalix.domain.prices.pricing import Price
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import note_taken, read_policy, taken_by, write_policy
from scalix.launch.problems import LaunchError
from scalix.launch.processes.reload import read_again
from tests.launch.running import Gateway, Place, eventually

APP = {"SCALIX_APP": "tests.launch.tiny_app:create_reloading_app"}


@pytest.fixture
def gateway(place: Place) -> Gateway:
    return place.start("--workers", "2", extra=APP)


def rewrite(place: Place, old: str, new: str) -> None:
    path = place.folder / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_changed_limit_is_in_force_in_every_worker_when_reload_returns(gateway: Gateway) -> None:
    assert gateway.get("/hour/free") == (200, "10")
    rewrite(gateway.place, "hour: 10", "hour: 7")
    assert gateway.get("/hour/free") == (200, "10")
    done = gateway.place.run("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "tiers reloaded (changed: free)\nin force in 2 workers\n"
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "7")}
    # A worker that is brought back has it too, and nothing else was restarted.
    pids = {worker.process.pid for worker in gateway.run_file.workers}
    victim = min(pids)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: _ready_pids(gateway) - pids, "the worker is back")
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "7")}


def _ready_pids(gateway: Gateway) -> set[int]:
    return {worker.process.pid for worker in gateway.run_file.workers if worker.ready}


def test_a_wrong_config_is_told_in_full_and_changes_nothing(gateway: Gateway) -> None:
    rewrite(gateway.place, "hour: 10}\n      models", "hour: 0, dya: 5}\n      modles")
    done = gateway.place.run("--reload")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "config.yaml:12: scalix.tiers.free.requests.hour is not a positive whole number" in done.stderr
    assert "unknown key 'dya'" in done.stderr
    assert "unknown key 'modles'" in done.stderr
    assert done.stderr.splitlines()[-1] == "nothing was changed"
    assert gateway.get("/hour/free") == (200, "10")
    # A worker that dies now comes back with what was in force, not with the half-written file.
    pids = _ready_pids(gateway)
    os.kill(min(pids), signal.SIGKILL)
    eventually(lambda: _ready_pids(gateway) - pids, "the worker is back")
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "10")}


def test_changed_models_are_said_to_need_a_restart(gateway: Gateway) -> None:
    rewrite(gateway.place, "openai/tiny", "openai/other-tiny")
    rewrite(gateway.place, "hour: 10", "hour: 8")
    done = gateway.place.run("--reload")
    assert done.returncode == 0
    assert "changes in model_list come into force with a restart only: run --stop, then start again" in done.stdout
    assert gateway.get("/hour/free") == (200, "8")


def test_sighup_to_the_launcher_reloads(gateway: Gateway) -> None:
    rewrite(gateway.place, "hour: 10", "hour: 6")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: {gateway.get("/hour/free") for _ in range(8)} == {(200, "6")}, "it is in force")
    assert gateway.process.poll() is None
    gateway.log_has("tiers reloaded (changed: free)")


def test_an_app_without_reload_outlives_sighup(place: Place) -> None:
    gateway = place.start()
    gateway.process.send_signal(signal.SIGHUP)
    gateway.log_has("tiers reloaded, they are as before")
    assert gateway.get("/health/readiness")[0] == 200


def test_without_a_gateway_reload_says_so(place: Place) -> None:
    done = place.run("--reload")
    assert done.returncode == 3
    assert "no gateway runs from" in done.stderr


def test_a_terminal_that_closes_still_stops_the_gateway(place: Place) -> None:
    command, environment = place.command("--port", "0"), place.environment()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place.folder)
        os.execve(command[0], command, environment)  # noqa: S606
    shown = b""
    while b"is ready at" not in shown:
        shown += os.read(terminal, 4096)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not (place.state_dir / "gateway.json").exists()


def test_the_policy_file_keeps_every_part_of_a_policy(tmp_path: Path) -> None:
    limits = Limits((Limit(Metric.SPEND, Window.MONTH, 2**53 - 1, enforce=False),), 3, False)
    tier = Tier("pro", limits, 8192, ("*",), frozenset({"a", "b"}), "high", "allow", "https://example.com/ü")
    off_peak = OffPeak((OffPeakWindow(0, 60, (1, 2)),), (("input_cost_per_token", 1),))
    price = Price("2026-11-01", (("input_cost_per_token", 10**16),), 2**42, ("200k",), off_peak=off_peak)
    free = Tier("free", markup_ppm=0, prepaid=True)
    policy = Policy({"pro": tier, "free": free}, "free", {"m": Model("m", "openai/m", 1, prices=(price,))})
    path = tmp_path / "policy.json"
    write_policy(path, 4, policy)
    assert read_policy(path) == (4, policy)
    assert list(read_policy(path)[1].tiers) == ["pro", "free"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert taken_by(path, os.getpid()) == 0
    note_taken(path, 4)
    assert taken_by(path, os.getpid()) == 4


def test_a_broken_policy_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"number": 1, "policy": {"tiers": {}}}')
    with pytest.raises(LaunchError, match="the policy can't be read"):
        read_policy(path)


def test_new_prices_are_in_force_and_those_of_another_model_are_not(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = """
model_list:
  - {model_name: one, litellm_params: {model: openai/one, api_base: "http://x", api_key: none}}
  - {model_name: two, litellm_params: {model: openai/two, api_base: "http://x", api_key: none}}
scalix:
  default_tier: free
  tiers: {free: {models: ["*"]}}
  prices:
    models: {one: {input_usd_per_million: 1, output_usd_per_million: 1}, two: {request_usd: 1}}
"""
    path.write_text(text)
    settings = SimpleNamespace(config_path=path, production=False)
    before = read_config(path, {})
    variables = SimpleNamespace(values={})
    plan = cast(Any, SimpleNamespace(settings=settings, environment=variables, config=before, demo=False))
    path.write_text(text.replace("input_usd_per_million: 1", "input_usd_per_million: 7"))
    repriced = read_again(plan)
    assert repriced.policy is not None
    assert repriced.policy.models == read_config(path, {}).policy.models != before.policy.models
    assert repriced.notes == ("tiers reloaded (new prices: one)",)

    path.write_text(text.replace("openai/two", "openai/three").replace("request_usd: 1", "request_usd: 9"))
    other = read_again(plan)
    assert other.policy is not None
    assert other.policy.models == before.policy.models
    assert "changes in model_list come into force with a restart only" in other.notes[1]
