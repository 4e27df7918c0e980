"""A reload of the config: `--reload`, SIGHUP, and what happens when the config is wrong."""

import http.client
import os
import pty
import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import psutil
import pytest

from scalix.domain.identity.identity import Issuer
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Model, Policy, Tier
from scalix.domain.prices.off_peak import OffPeak, OffPeakWindow
from scalix.domain.prices.pricing import Price
from scalix.domain.requests.guard import GuardSettings
from scalix.launch.config.config_environment import with_config_variables
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import note_taken, read_policy, taken_by, write_policy
from scalix.launch.problems import LaunchError
from scalix.launch.processes.file_watch import LOOK_EVERY_S
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.reload import Change, read_again
from scalix.launch.processes.unapplied import Unapplied
from scalix.launch.settings.environment import Environment, resolve_settings
from tests.launch.running import Gateway, Place, eventually

APP = {"SCALIX_APP": "tests.launch.tiny_app:create_reloading_app"}


@pytest.fixture
def gateway(place: Place) -> Gateway:
    return place.start("--workers", "2", extra=APP)


def running(path: Path, values: Mapping[str, str] | None = None) -> Plan:
    """What a gateway that was started with this config goes by; `values` may be changed for its reload."""
    given = {"SCALIX_CONFIG": str(path)} if values is None else values
    environment = with_config_variables(Environment(dict(given), (), "development"), path)
    settings = resolve_settings(environment, root=path.parent, config=path)
    config = read_config(path, environment.values)
    return Plan(settings, environment, config, demo=False, again=lambda: running(path, given))


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
    rewrite(gateway.place, "hour: 10}\n      models", "hour: -1, dya: 5}\n      modles")
    done = gateway.place.run("--reload")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "config.yaml:12: scalix.tiers.free.requests.hour is not 0 or a positive whole number" in done.stderr
    assert "unknown key 'dya'" in done.stderr
    assert "unknown key 'modles'" in done.stderr
    assert done.stderr.splitlines()[-1] == "nothing was changed"
    assert gateway.get("/hour/free") == (200, "10")
    # A worker that dies now comes back with what was in force, not with the half-written file.
    pids = _ready_pids(gateway)
    os.kill(min(pids), signal.SIGKILL)
    eventually(lambda: _ready_pids(gateway) - pids, "the worker is back")
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "10")}


def test_changed_models_come_with_new_workers_while_others_serve(gateway: Gateway) -> None:
    place, end = gateway.place, gateway.place.folder / "end"
    before = _ready_pids(gateway)
    rewrite(place, "openai/tiny", "openai/other-tiny")
    rewrite(place, "hour: 10", "hour: 8")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(gateway.get, f"/until?{end}")
        gateway.log_has("slow request begun")
        done = place.run("--reload")
        assert (done.returncode, done.stderr) == (0, "")
        assert "workers are replaced one by one: model_list" in done.stdout
        assert done.stdout.endswith("in force in 2 workers\n")
        after = _ready_pids(gateway)
        assert len(after) == 2
        assert not after & before
        assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "8")}
        # What is in flight in a worker that goes is waited for, and seen.
        eventually(lambda: gateway.status().get("waiting_for_requests") == 1, "the status says what is waited for")
        assert not slow.done()
        end.touch()
        assert slow.result()[0] == 200
    eventually(lambda: not any(map(psutil.pid_exists, before)), "the old workers have ended")
    # One that dies now comes back with the new ones' program.
    os.kill(min(after), signal.SIGKILL)
    eventually(lambda: len(_ready_pids(gateway)) == 2 and min(after) not in _ready_pids(gateway), "it is back")
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "8")}


def test_env_files_are_read_again_and_no_request_is_refused_meanwhile(place: Place) -> None:
    env_file = place.folder / "empty.env"
    env_file.write_text("OTHER_KEY=sk-other-provider-0123456789\n")
    gateway = place.start(extra=APP)  # one worker
    assert gateway.get("/env/OTHER_KEY") == (200, "sk-other-provider-0123456789")
    env_file.write_text("OTHER_KEY=sk-newer-provider-0123456789\nLITELLM_HOST=0.0.0.0\nSCALIX_DRAIN_S=77\n")
    with ThreadPoolExecutor() as pool:
        reload = pool.submit(place.run, "--reload")
        answers = set()
        while not reload.done():
            answers.add(gateway.get("/env/OTHER_KEY"))
        done = reload.result()
    assert (done.returncode, done.stderr) == (0, "")
    assert "workers are replaced one by one: OTHER_KEY, SCALIX_DRAIN_S\n" in done.stdout
    assert gateway.run_file.drain_s == 77  # --stop waits as long as workers do
    assert "changes in LITELLM_HOST come into force with a restart only" in done.stdout
    assert "sk-" not in done.stdout + place.log.read_text()
    assert {status for status, _ in answers} == {200}
    assert gateway.get("/env/OTHER_KEY") == (200, "sk-newer-provider-0123456789")


def test_clients_that_keep_their_connections_lose_no_request_while_their_worker_is_replaced(place: Place) -> None:
    gateway, answers = place.start(extra=APP), set[tuple[int, str]]()  # one worker
    (place.folder / "empty.env").write_text("OTHER_KEY=sk-newer-provider-0123456789\n")

    def asks() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        while not reload.done() or len(answers) < 2:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answers.add((answer.status, answer.read().decode()))
        connection.close()

    with ThreadPoolExecutor() as pool:
        reload = pool.submit(place.run, "--reload")
        for asking in [pool.submit(asks) for _ in range(4)]:
            asking.result()
    assert reload.result().returncode == 0
    assert {status for status, _ in answers} == {200}
    assert len({pid for _, pid in answers}) == 2


def _has_reloaded(gateway: Gateway, number: int) -> bool:
    return gateway.run_file.reloads >= number


def test_reload_after_reload_of_a_wrong_config_leaves_nothing_behind(gateway: Gateway) -> None:
    launcher = psutil.Process(gateway.process.pid)
    rewrite(gateway.place, "hour: 10", "hour: ten")

    def asked(times: int) -> tuple[int, int, int]:
        for number in range(gateway.run_file.reloads, gateway.run_file.reloads + times):
            launcher.send_signal(signal.SIGUSR1)
            eventually(partial(_has_reloaded, gateway, number + 1), "it has answered")
        return launcher.num_fds(), launcher.num_threads(), launcher.memory_info().rss

    files, threads, memory = asked(5)
    later = asked(40)
    assert later[:2] == (files, threads)
    assert later[2] - memory < 20_000_000
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "10")}


def test_new_workers_that_cant_start_leave_everything_as_it_was(gateway: Gateway) -> None:
    place, before = gateway.place, _ready_pids(gateway)
    (place.folder / "empty.env").write_text("TINY_CANT_START=1\n")
    rewrite(place, "hour: 10", "hour: 9")
    done = place.run("--reload")
    assert done.returncode == 2
    assert "the new workers can't be started: worker 1 ended before it was ready" in done.stderr
    assert done.stderr.endswith("nothing was changed\n")
    assert _ready_pids(gateway) == before
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "10")}
    os.kill(min(before), signal.SIGKILL)
    eventually(lambda: len(_ready_pids(gateway) - before) == 1, "a worker that dies comes back as it was")
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "10")}
    # When that has been mended, the next reload does it.
    (place.folder / "empty.env").write_text("")
    assert place.run("--reload").returncode == 0
    assert {gateway.get("/hour/free") for _ in range(8)} == {(200, "9")}


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_gateway_that_ends_while_it_replaces_its_workers_is_waited_for_no_longer(
    place: Place, signum: signal.Signals
) -> None:
    gateway = place.start("--workers", "2", extra=APP)
    rewrite(place, "openai/tiny", "openai/other-tiny")
    command = place.command("--reload")
    with subprocess.Popen(
        command, env=place.environment(), cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reload:
        assert reload.stdout is not None
        assert any("workers are replaced" in line for line in reload.stdout)
        gateway.process.send_signal(signum)
        try:
            _, said = reload.communicate(timeout=20)
        finally:
            reload.kill()
    assert reload.returncode == 1
    assert "it reads its config when it starts" in said


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
    policy = Policy(
        {"pro": tier, "free": free},
        "free",
        {"m": Model("m", "openai/m", 1, prices=(price,))},
        wildcards={"own/*": Model("own/*", "openai/*", thinks=True)},
        aliases={"n": "m"},
        key_defaults={"max_budget": 2.5, "models": ["m"]},
        key_bounds={"duration": "30d"},
        guard=GuardSettings(user_header="x-user", strict_bodies=True, cors_origins=("*",)),
        fallbacks={"m": ("n",)},
        issuers=(Issuer("https://a.test", ("s",), ("RS256",), jwks_url="https://a.test/keys", user_prefix="a:"),),
        anonymous_tier="free",
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
    )
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


def test_new_prices_come_at_once_and_other_models_with_other_workers(tmp_path: Path) -> None:
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
    plan = running(path)
    before = plan.config
    path.write_text(text.replace("input_usd_per_million: 1", "input_usd_per_million: 7"))
    repriced = read_again(plan)
    assert repriced.plan.config.policy.models == read_config(path, {}).policy.models != before.policy.models
    assert (repriced.notes, repriced.replaces) == (("tiers reloaded (new prices: one)",), False)

    path.write_text(text.replace("openai/two", "openai/three").replace("request_usd: 1", "request_usd: 9"))
    other = read_again(plan)
    assert other.plan.config.policy.models == read_config(path, {}).policy.models
    assert other.notes == ("tiers reloaded (new prices: two)", "workers are replaced one by one: model_list")


def test_what_a_reload_would_bring_is_told_once_files_stand_still(tmp_path: Path) -> None:
    path, now_s = tmp_path / "config.yaml", [100.0]
    path.write_text("""
include: [more.yaml]
model_list:
  - {model_name: one, litellm_params: {model: openai/one, api_base: "http://x", api_key: none}}
scalix:
  default_tier: free
  tiers: {free: {models: ["*"], requests: {day: 5}}}
  prices: {models: {one: {request_usd: 1}}}
""")
    more = tmp_path / "more.yaml"
    more.write_text("router_settings: {num_retries: 2}\n")
    plan = running(path)
    unapplied = Unapplied(plan, clock=lambda: now_s[0])

    def told(plan: Plan) -> tuple[str, ...]:
        now_s[0] += LOOK_EVERY_S
        return unapplied.look(plan)

    assert told(plan) == ()
    path.write_text(path.read_text().replace("requests: {day: 5}", "requests: {day: 6}"))
    assert told(plan) == ()  # who writes may not be through
    assert unapplied.look(plan) == ()
    assert told(plan) == ("changed: free",)
    more.write_text("router_settings: {num_retries: 2}\nmodel_list: broken\n")
    told(plan)
    (problem,) = told(plan)
    assert "model_list" in problem
    more.write_text("router_settings: {num_retries: 2}\n")
    told(plan)
    assert told(plan) == ("changed: free",)
    assert told(plan.again()) == ()  # reloaded


def test_a_change_that_is_not_in_force_stands_in_the_status(gateway: Gateway) -> None:
    rewrite(gateway.place, "hour: 10", "hour: 7")
    eventually(lambda: gateway.status()["config_unapplied"] == ["changed: free"], "it is seen")
    assert "changed  changed: free (not in force before --reload)" in gateway.place.run("--status").stdout
    assert gateway.place.run("--reload").returncode == 0
    eventually(lambda: gateway.status()["config_unapplied"] == [], "nothing differs")


@pytest.mark.parametrize(
    ("old", "new", "settings", "other_workers"),
    [
        ("leeway_s: 5", "leeway_s: 9", "jwt.issuers", []),
        ("https://a.test", "https://b.test", "jwt.issuers", []),
        (
            "[{issuer",
            "[{issuer: c, audience: s, jwks_url: 'https://c.test/k', user_prefix: 'c:'}, {issuer",
            "jwt.issuers",
            [],
        ),
        ("enabled: false", "enabled: true", "anonymous", []),
        ("[10.0.0.0/8]", "[10.0.0.0/9]", "trusted_proxies", []),
        # What a worker gets at its start only.
        ("${ONE_SECRET}", "${TWO_SECRET}", "jwt.issuers", ["scalix.jwt"]),
    ],
)
def test_who_may_call_comes_at_once_unless_it_needs_a_variable_that_workers_do_not_have(
    tmp_path: Path, old: str, new: str, settings: str, other_workers: list[str]
) -> None:
    path = tmp_path / "config.yaml"
    text = """
model_list:
  - {model_name: one, litellm_params: {model: openai/one, api_base: "http://x", api_key: none}}
scalix:
  default_tier: free
  tiers: {free: {models: ["*"]}}
  trusted_proxies: [10.0.0.0/8]
  anonymous: {enabled: false, tier: free}
  jwt: {issuers: [{issuer: "https://a.test", audience: s, secret: "${ONE_SECRET}", user_prefix: "a:", leeway_s: 5}]}
"""
    path.write_text(text)
    secrets = {"SCALIX_CONFIG": str(path)} | {
        "ONE_SECRET": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "TWO_SECRET": "f0e1d2c3b4a5968778695a4b3c2d1e0f",
    }
    plan = running(path, secrets)
    path.write_text(text.replace(old, new))
    assert path.read_text() != text
    reload = read_again(plan)
    assert reload.replaces == bool(other_workers)
    assert f"settings: {settings}" in reload.notes[0]
    assert list(reload.notes[1:]) == [f"workers are replaced one by one: {name}" for name in other_workers]
    assert reload.plan.config.policy.issuers == reload.plan.config.identity.issuers


def test_another_engine_comes_with_other_workers(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = """
model_list:
  - {model_name: one, litellm_params: {model: openai/one, api_base: "http://x", api_key: none}}
scalix:
  engine: auto
  default_tier: free
  tiers: {free: {models: ["*"]}}
  prices: {models: {one: {request_usd: 1}}}
"""
    path.write_text(text)
    plan = running(path)
    path.write_text(text.replace("engine: auto", "engine: litellm").replace("request_usd: 1", "request_usd: 2"))
    reloaded = read_again(plan)
    before, after = plan.config.policy.models["one"], reloaded.plan.config.policy.models["one"]
    assert (before.engine.name, after.engine.name) == ("direct", "litellm")
    assert reloaded.notes[1] == "workers are replaced one by one: model_list"


LITELLMS = """
environment_variables: {ONE_KEY: sk-one}
model_list:
  - {model_name: one, litellm_params: {model: openai/one, api_key: os.environ/ONE_KEY, metadata: {tier: free}}}
  - {model_name: two, litellm_params: {model: openai/two, api_base: "http://10.0.0.1", api_key: none}}
  - {model_name: "own/*", litellm_params: {model: openai/*, api_base: "http://10.0.0.1", api_key: none}}
router_settings:
  model_group_alias: {uno: one}
  fallbacks: [{one: [two]}]
  num_retries: 1
general_settings: {user_header_name: X-User, master_key: sk-7f3a9c01d5e84b62}
litellm_settings:
  drop_params: true
  upperbound_key_generate_params: {max_budget: 10}
  max_end_user_budget: 5
"""


def changed_while_running(folder: Path, old: str, new: str) -> tuple[Plan, Change]:
    """The plan that runs by the config, and what a reload makes of it with `new` in the place of `old`."""
    path = folder / "config.yaml"
    path.write_text(LITELLMS)
    plan = running(path)
    assert old in LITELLMS
    path.write_text(LITELLMS.replace(old, new))
    return plan, read_again(plan)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model_group_alias: {uno: one}", "model_group_alias: {due: two}", "settings: model_group_alias"),
        ("fallbacks: [{one: [two]}]", "fallbacks: [{two: [one]}]", "settings: fallbacks"),
        ("num_retries: 1", "num_retries: 3", "settings: retries"),
        ("X-User", "X-Other", "settings: user_header_name"),
        ("max_budget: 10", "max_budget: 20", "settings: upperbound_key_generate_params"),
        ("max_end_user_budget: 5", "max_end_user_budget: 6", "changed: free, pro, premium"),
        ("tier: free", "tier: pro", "changed: free"),
        ("router_settings:", "scalix: {cors: {origins: ['*']}, strict_bodies: true}\nrouter_settings:", "cors.origins"),
    ],
    ids=lambda text: text.split(":")[0],
)
def test_what_is_translated_is_in_force_after_a_reload_which_says_so(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    plan, reload = changed_while_running(tmp_path, old, new)
    assert reload.plan.config.policy == running(tmp_path / "config.yaml").config.policy != plan.config.policy
    assert not reload.replaces
    assert said in reload.notes[0]
    assert len(reload.notes) == 1, reload.notes


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ONE_KEY: sk-one", "ONE_KEY: sk-two", "ONE_KEY"),
        ("ONE_KEY: sk-one", "ONE_KEY: sk-one, LATER: x", "LATER"),
        ("master_key: sk-7f3a9c01d5e84b62", "master_key: sk-0b9dd1f2c6a37e45", "LITELLM_MASTER_KEY, secrets"),
        ("drop_params: true", "drop_params: false", "model_list"),
        ("own/*", "other/*", "model_list"),
        ("openai/two", "openai/three", "model_list"),
        ("drop_params: true", "drop_params: true\n  request_timeout: 5", "litellm_settings"),
    ],
)
def test_what_litellm_is_told_comes_with_other_workers(tmp_path: Path, old: str, new: str, said: str) -> None:
    _, reload = changed_while_running(tmp_path, old, new)
    assert reload.replaces
    assert reload.notes[1] == f"workers are replaced one by one: {said}"
    assert "sk-" not in "".join(reload.notes)


def test_new_models_and_their_second_names_are_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(LITELLMS)
    plan = running(path)
    more = '- {model_name: new, litellm_params: {model: openai/new, api_base: "http://10.0.0.1", api_key: none}}'
    text = LITELLMS.replace("router_settings:", f"  {more}\nrouter_settings:").replace("uno: one", "uno: new")
    path.write_text(text)
    reload = read_again(plan)
    assert dict(reload.plan.config.policy.aliases) == {"uno": "new"}
    assert reload.notes[0] == "tiers reloaded (new models: new; settings: model_group_alias)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("LITELLM_PORT", "4999"), ("LITELLM_HOST", "0.0.0.0"), ("LITELLM_MAX_WORKERS", "3")],
        *[("REDIS_URL", "redis://x"), ("SCALIX_LOG_FORMAT", "json")],
    ],
)
def test_what_a_launcher_has_for_good_is_said_and_replaces_nobody(tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(LITELLMS)
    values: dict[str, str] = {}
    plan = running(path, values)
    values[name] = value
    reload = read_again(plan)
    assert not reload.replaces
    assert reload.notes[1].startswith(f"changes in {name} come into force with a restart only")
    fixed = ("host", "port", "workers", "redis_url", "log_format")
    assert all(getattr(reload.plan.settings, one) == getattr(plan.settings, one) for one in fixed)


def test_what_has_no_effect_is_said_at_a_reload_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(LITELLMS)
    plan = running(path)
    path.write_text("# moved by a line\n" + LITELLMS.replace("num_retries: 1", "num_retries: 1\n  retry_after: 3"))
    first, *notes = read_again(plan).notes
    assert first == "tiers reloaded, they are as before"
    (note,) = notes
    assert "router_settings.retry_after: without effect here" in note
