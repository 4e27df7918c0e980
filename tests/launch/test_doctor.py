"""`scalix doctor` finds what is amiss with settings, keys, files and what runs, and says what to do about each."""

import json
import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scalix.store.journal.journal_file import HEADER_BYTES
from tests.launch.doctor_rig import GOOD_KEY, Practice
from tests.launch.running import ROOT, Gateway, Place
from tests.store.servers import free_ports

SECRET = "canaryZ7q2XwV9kLmN4pR8sT1u"


@pytest.fixture
def practice(place: Place, monkeypatch: pytest.MonkeyPatch) -> Practice:
    made = Practice(place, monkeypatch)
    made.models(("openai/tiny", 'api_base: "http://127.0.0.1:9/v1", api_key: "${TINY_KEY}"'))
    made.variables["LITELLM_PORT"] = str(free_ports(1)[0])
    return made


def test_where_nothing_is_amiss_there_is_nothing_to_do(practice: Practice) -> None:
    seen = practice.examine("--offline")
    assert [one for one in seen.findings if one["level"] in ("warning", "problem")] == []
    assert seen.code == 0


def test_a_variable_that_means_nothing_is_a_warning_with_the_name_that_was_meant(practice: Practice) -> None:
    seen = practice.examine("--offline", env="SCALIX_STATE_DIRR=/x\nSCALIX_AUDIT_KEY=changeme\n")
    (published, one) = seen.of("settings")
    assert published["fix"] == "write one made by: openssl rand -hex 32"
    assert (one["level"], one["fix"]) == ("warning", "write SCALIX_STATE_DIR")
    assert one["where"].endswith("empty.env:1")
    assert seen.code == 1


def test_one_thing_that_is_wrong_is_said_once(practice: Practice) -> None:
    practice.variables |= {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": "sk-1234"}
    practice.models(
        ("openai/tiny", 'api_base: "http://127.0.0.1:9/v1", api_key: "${TINY_KEY}"'),
        tail="general_settings:\n  master_key: ${LITELLM_MASTER_KEY}\n",
    )
    seen = practice.examine("--offline", env_mode=0o644)
    (master_key, env_file) = [one for one in seen.findings if one["level"] in ("warning", "problem")]
    assert master_key["what"] == "LITELLM_MASTER_KEY is an example that everybody can read"
    assert env_file["fix"] == "run chmod 600 empty.env"


def test_a_wrong_setting_is_a_problem_and_all_else_is_looked_at_beside_it(practice: Practice) -> None:
    practice.variables["LITELLM_LOG_LEVEL"] = "loud"
    seen = practice.examine("--offline")
    assert seen.the("settings", "no log level")["level"] == "problem"
    assert seen.of("port", "ok")
    assert seen.of("config", "ok")
    assert seen.code == 2


def test_each_mistake_in_the_config_is_a_problem_with_its_line(practice: Practice) -> None:
    practice.models(("openai/tiny", "api_key: none"), tail="scalix:\n  default_teir: free\n  tierz: 1\n")
    seen = practice.examine("--offline")
    wheres = [one["where"].rpartition("/")[2] for one in seen.of("config", "problem")]
    assert {"config.yaml:6", "config.yaml:7"} <= set(wheres)
    assert seen.of("providers", "note")
    assert seen.code == 2


def test_an_env_file_that_is_not_there_is_a_problem_in_the_same_form(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scalix", "doctor", "--json", "--env-file", "none.env"],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    (one,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, one["level"], one["what"]) == (2, "problem", "the env file does not exist")


@pytest.mark.parametrize(
    ("name", "key", "level", "words"),
    [
        ("GEMINI_API_KEY", "AIza" + SECRET, None, ""),
        ("OPENAI_API_KEY", "sk-proj-" + SECRET, None, ""),
        ("DEEPSEEK_API_KEY", "sk-" + SECRET, None, ""),
        ("ANTHROPIC_API_KEY", "sk-ant-" + SECRET, None, ""),
        ("MISTRAL_API_KEY", SECRET, None, ""),
        ("GEMINI_API_KEY", "sk-proj-" + SECRET, "problem", "begins like a key of openai, not of gemini"),
        ("OPENAI_API_KEY", "sk-ant-" + SECRET, "problem", "begins like a key of anthropic, not of openai"),
        ("GROQ_API_KEY", "xai-" + SECRET, "problem", "begins like a key of xai, not of groq"),
        ("OPENROUTER_API_KEY", "sk-ant-" + SECRET, "problem", "begins like a key of anthropic, not of openrouter"),
        ("GEMINI_API_KEY", SECRET, "warning", "does not begin with AIza"),
        ("OPENROUTER_API_KEY", "sk-" + SECRET, "warning", "does not begin with sk-or-"),
        ("OPENAI_API_KEY", f'"sk-{SECRET}"', "problem", "quotation mark"),
        ("OPENAI_API_KEY", f"sk-{SECRET} ", "problem", "blanks or line ends around it"),
        ("OPENAI_API_KEY", f"sk-{SECRET}\nmore", "problem", "a blank or a line end in it"),
        ("OPENAI_API_KEY", f"sk-{SECRET}…", "problem", "that an HTTP header can't carry"),
        ("GEMINI_API_KEY", "your_gemini_api_key_here", "warning", "is a placeholder"),
    ],
)
def test_a_key_that_can_be_none_of_its_provider_is_named_and_never_shown(
    practice: Practice, name: str, key: str, level: str | None, words: str
) -> None:
    practice.variables[name] = key
    seen = practice.examine("--offline")
    assert [one["level"] for one in seen.of("keys")] == ([level] if level else [])
    if level:
        assert f"{name} " in seen.of("keys")[0]["what"]
        assert words in seen.of("keys")[0]["what"]
    assert SECRET not in json.dumps(seen.findings)
    assert SECRET not in practice.text("--offline")[1]


def test_a_key_counts_as_that_of_the_provider_that_the_config_sends_it_to(practice: Practice) -> None:
    practice.models(
        ("groq/llama-3.1-8b-instant", 'api_key: "${MY_OWN_KEY}"'),
        ("openai/local", 'api_base: "http://127.0.0.1:9/v1", api_key: "${OPENAI_API_KEY}"'),
    )
    practice.variables |= {"MY_OWN_KEY": "xai-" + SECRET, "OPENAI_API_KEY": "gsk_" + SECRET}
    (one,) = practice.examine("--offline").of("keys")
    assert one["what"] == "MY_OWN_KEY begins like a key of xai, not of groq"


def test_a_package_that_the_config_needs_is_named_with_the_line_that_installs_it(practice: Practice) -> None:
    practice.models(
        ("openai/tiny", 'api_base: "http://127.0.0.1:9/v1", api_key: none'),
        ("vertex_ai/gemini-2.0-flash", "vertex_project: p"),
        tail="litellm_settings:\n  success_callback: [langfuse]\n",
    )
    told = json.dumps(practice.examine("--offline").of("config", "warning"))
    assert "pip install google-auth" in told
    assert "pip install langfuse" in told


def test_a_package_that_traces_need_is_named_with_the_line_that_installs_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scalix.launch.settings.traces.find_spec", lambda module: None)
    practice.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    (one,) = practice.examine("--offline").of("settings", "warning")
    assert one["fix"] == 'run: pip install "scalix-gateway[traces]"'


def test_a_port_that_another_program_has_is_a_problem_that_names_it(practice: Practice) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        practice.variables["LITELLM_PORT"] = str(listener.getsockname()[1])
        one = practice.examine("--offline").the("port", "already in use")
    assert one["level"] == "problem"
    assert f"pid {os.getpid()}" in one["what"]


def test_a_gateway_that_runs_is_looked_at_with_its_store_and_its_port(practice: Practice, gateway: Gateway) -> None:
    seen = practice.examine("--offline")
    assert seen.the("port", f"port {gateway.port}: the gateway of this state directory has it")["level"] == "ok"
    assert seen.the("gateway", "is ready")["level"] == "ok"
    assert seen.the("store", "(p50)")["level"] == "ok"


def test_what_an_earlier_run_has_left_is_named(practice: Practice) -> None:
    journals, archive = practice.place.state_dir / "journal", practice.place.state_dir / "archive"
    for folder in (practice.place.state_dir, journals, archive):
        folder.mkdir(mode=0o700)
    (journals / "a.journal").write_bytes(b" " * HEADER_BYTES + b"entry\n" * 5)
    (journals / "b.journal").write_bytes(b" " * HEADER_BYTES)
    (journals / "c.set-aside").write_bytes(b"x")
    (archive / ".events-2026-01-01.jsonl.gz.4711.draft").write_bytes(b"x")
    seen = practice.examine("--offline")
    assert "1 journal file(s)" in seen.the("journal", "not counted yet")["what"]
    assert seen.the("journal", "c.set-aside")["level"] == "warning"
    assert seen.the("journal", ".draft")["level"] == "note"


def test_what_to_write_in_place_of_a_secret_in_the_config_is_legible(practice: Practice) -> None:
    practice.models(("openai/tiny", f"api_key: sk-proj-{SECRET}"))
    seen = practice.examine("--offline")
    assert "write api_key: ${" in seen.the("config", "a secret in plain text")["fix"]
    assert SECRET not in json.dumps(seen.findings)


def test_a_setting_without_effect_is_to_be_removed_and_a_variable_that_litellm_does_not_get_is_noted(
    practice: Practice,
) -> None:
    model = ("openai/tiny", 'api_base: "http://127.0.0.1:9/v1", api_key: none')
    practice.models(model, tail="litellm_settings:\n  cache: true\n")
    practice.variables["OPENAI_BASE_URL"] = "http://127.0.0.1:9"
    seen = practice.examine("--offline")
    assert seen.the("config", "litellm_settings.cache")["fix"] == "remove it"
    assert "${OPENAI_BASE_URL}" in seen.the("settings", "kept from LiteLLM: OPENAI_BASE_URL")["fix"]


def test_a_default_tier_without_a_model_in_service_is_a_warning(practice: Practice) -> None:
    tiers = "scalix:\n  default_tier: free\n  tiers: {free: {models: [m1]}, pro: {models: ['*']}}\n"
    in_service = ("openai/tiny", 'api_base: "http://127.0.0.1:9/v1", api_key: none')
    practice.models(in_service, ("openai/gpt-4", 'api_key: "${NOT_SET}"'), tail=tiers)
    assert practice.examine("--offline").the("config", "tier free, the default one")["level"] == "warning"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_state_directory_that_this_user_may_not_look_into_is_a_problem(place: Place) -> None:
    hidden = place.folder / "hidden"
    hidden.mkdir(mode=0o700)
    seen = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, hidden / "state", place.log],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "problem this user may not write there" in seen.stdout.splitlines()


AS_NOBODY = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from scalix.launch.doctor.machine import check_disk
os.setuid(65534)
state, log = map(Path, sys.argv[1:])
for one in check_disk(SimpleNamespace(state_dir=state, found=SimpleNamespace(settings=SimpleNamespace(log_file=log)))):
    print(one.level, one.what)
"""


@pytest.mark.parametrize(("name", "level", "code"), [("development", "warning", 1), ("production", "problem", 2)])
def test_files_that_others_may_read_are_named_with_the_command_that_closes_them(
    practice: Practice, name: str, level: str, code: int
) -> None:
    state_dir = practice.place.state_dir
    state_dir.mkdir(mode=0o755)
    (state_dir / "master.key").write_text(GOOD_KEY)
    (state_dir / "master.key").chmod(0o604)
    practice.variables |= {"SCALIX_ENV": name, "LITELLM_MASTER_KEY": GOOD_KEY}
    seen = practice.examine("--offline")
    assert [(one["level"], one["fix"]) for one in seen.of("modes")] == [
        (level, f"run chmod 700 {state_dir}"),
        (level, f"run chmod 600 {state_dir / 'master.key'}"),
    ]
    assert seen.code == code


def test_a_config_that_others_may_change_is_a_problem_in_production_alone(practice: Practice) -> None:
    config = practice.place.folder / "config.yaml"
    config.chmod(0o666)
    assert practice.examine("--offline").of("modes") == []
    practice.variables |= {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": GOOD_KEY}
    (one,) = practice.examine("--offline").of("modes")
    assert (one["level"], one["fix"]) == ("problem", f"run chmod go-w {config}")


def test_a_machine_that_is_short_of_something_is_named(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    practice.variables["LITELLM_MAX_WORKERS"] = "250"
    monkeypatch.setattr(resource, "getrlimit", lambda what: (128, 256))  # a start makes use of the hard one
    monkeypatch.setattr("shutil.disk_usage", lambda path: os.terminal_size((0, 0)) and _Usage(50 * 2**20))
    seen = practice.examine("--offline")
    assert seen.of("machine", "warning")[0]["fix"].startswith("set LITELLM_MAX_WORKERS")
    assert "256 files" in seen.of("machine", "warning")[1]["what"]
    assert {one["level"] for one in seen.of("disk")} == {"problem"}


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_packages_of_other_versions_than_those_that_are_locked_are_named(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scalix.launch.doctor.machine.CODE", tmp_path)
    (tmp_path / "requirements.lock").write_text(
        'redis==0.1 ; python_version < "3.12" \\\nredis==0.2 \\\nnone-such==1\n'
    )
    (one,) = practice.examine("--offline").of("packages")
    assert one["what"].startswith("redis is ")
    assert one["what"].endswith("tested with 0.1 or 0.2")


def test_as_text_no_line_is_longer_than_80_columns_and_problems_come_last(practice: Practice) -> None:
    practice.variables |= {"LITELLM_LOG_LEVEL": "loud", "GEMINI_API_KEY": "your_key_here"}
    code, told = practice.text("--offline", env="SCALIX_STATE_DIRR=1\n")
    lines = told.splitlines()
    assert max(map(len, (line for line in lines if "/" not in line))) <= 80
    words = [line.split()[0] for line in lines if line[:1].isalpha() and not line[0].isdigit()]
    assert words == sorted(words, key=["ok", "note", "warning", "problem"].index)
    assert re.fullmatch(r"\d+ findings: 1 problem, 2 warnings, \d notes?", lines[-1]), lines[-1]
    assert code == 2


def test_a_check_that_stumbles_keeps_no_other_from_looking(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles() -> int:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("scalix.launch.doctor.machine.memory_mib", stumbles)
    seen = practice.examine("--offline")
    assert seen.the("machine", "could not be looked at (RuntimeError)")["level"] == "warning"
    assert seen.of("port", "ok")
    assert SECRET not in json.dumps(seen.findings)
