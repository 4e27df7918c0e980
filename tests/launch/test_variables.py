"""Variables that have no effect are said, with the one that was meant."""

import ast
import json
import re
from pathlib import Path

import pytest

from scalix.launch.config.config_file import read_config
from scalix.launch.processes.plan import Plan
from scalix.launch.settings.environment import Environment, load_environment, resolve_settings
from scalix.launch.settings.variable_notes import INTERNAL, OURS, unknown_variables, variable_notes
from tests.launch.config_text import TIERS, read
from tests.launch.running import Place

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "litellm_proxy_config.yaml"


def notes_of(
    tmp_path: Path, values: dict[str, str], *, option: int | None = None, referred: frozenset[str] = frozenset()
) -> list[str]:
    environment = load_environment(tmp_path, values)
    return list(variable_notes(environment, workers_option=option, referred=referred, signing=["SIGNING"]))


def test_every_variable_of_the_example_file_is_known() -> None:
    example = (ROOT / "scalix_config.env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.M)) <= OURS
    assert set(re.findall(r"\b[A-Z]+_[A-Z0-9_]+\b", example)) >= OURS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SCALIX_STATE_DIRECTORY", "SCALIX_STATE_DIR"),
        ("LITELLM_MASTERKEY", "LITELLM_MASTER_KEY"),
        ("REDIS_PASWORD", "REDIS_PASSWORD"),
        ("REDIS_HOSTNAME", "REDIS_HOST"),
        ("GEMINI_API_KY", "GEMINI_API_KEY"),
        ("OPNEAI_API_KEY", "OPENAI_API_KEY"),
        ("GEMINI_APIKEY", "GEMINI_API_KEY"),
        ("ANTHROPIC_AP_KEY", "ANTHROPIC_API_KEY"),
        ("DEBUG_MODEE", "DEBUG_MODE"),
        ("MY_KEYS", "MY_KEY"),
        ("LITELLM_MASTERKEY_FILE", "LITELLM_MASTER_KEY"),
    ],
)
def test_a_variable_that_looks_like_one_of_ours_is_said_with_the_nearest(tmp_path: Path, name: str, meant: str) -> None:
    (note,) = notes_of(tmp_path, {name: "canary"}, referred=frozenset({"MY_KEY"}))
    assert note == f"environment: {name} has no effect: there is no such variable; write {meant}"


def test_one_that_is_like_none_is_said_too(tmp_path: Path) -> None:
    (note,) = notes_of(tmp_path, {"SCALIX_FROBNICATION": "1"})
    assert note.endswith("there is no such variable; scalix_config.env.example has those that do")


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "ZAI_API_KEY", "OPENAI_API_KEY_2", "REDIS_PORT_6379_TCP", "REDIS_SERVICE_HOST"),
        *(
            "SCALIX_ENGINE_SERVICE_PORT",
            "LITELLM_MASTER_KEY_FILE",
            "MY_KEY",
            "LITELLM_SALT_KEY",
            "REDIS_MAX_CONNECTIONS",
        ),
    ],
)
def test_other_programs_variables_and_those_that_litellm_reads_are_not_taken_for_mistakes(
    tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk-" + "5f" * 32)
    assert notes_of(tmp_path, {name: str(secret)}, referred=frozenset({"MY_KEY", "XAI_API_KEY"})) == []


def test_what_the_gateway_sets_itself_is_no_mistake() -> None:
    assert list(unknown_variables(dict.fromkeys(INTERNAL, "1"), ())) == []


def test_numbers_of_workers_that_lose_are_said(tmp_path: Path) -> None:
    values = {"GUNICORN_WORKERS": "3", "LITELLM_MAX_WORKERS": "2"}
    (note,) = notes_of(tmp_path, values)
    assert note == ("environment: GUNICORN_WORKERS has no effect: LITELLM_MAX_WORKERS says how many workers there are")
    assert [note.split(" has ")[0] for note in notes_of(tmp_path, values, option=5)] == [
        "environment: LITELLM_MAX_WORKERS",
        "environment: GUNICORN_WORKERS",
    ]
    assert notes_of(tmp_path, {"GUNICORN_WORKERS": "3"}) == []


def test_gunicorns_threads_are_said_to_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GUNICORN_THREADS=4\n")
    (note,) = notes_of(tmp_path, {})
    assert ".env:1: GUNICORN_THREADS has no effect" in note


@pytest.mark.parametrize("name", ["LITELLM_MASTER_KEY", "LITELLM_MASTER_KEY_PREVIOUS"])
def test_a_published_master_key_is_said_with_what_it_still_does(tmp_path: Path, name: str) -> None:
    (note,) = notes_of(tmp_path, {name: "sk-scalix-dev-123456789"})
    assert f"{name} is a key that everybody can read, so it counts for requests from this machine only" in note
    assert "sk-scalix-dev" not in note


def test_a_published_secret_of_users_tokens_is_said(tmp_path: Path) -> None:
    (note,) = notes_of(tmp_path, {"SIGNING": "changeme"})
    assert "SIGNING is a secret that everybody can read: anybody can sign tokens with it" in note


def test_check_says_what_has_no_effect_and_what_litellm_does_not_see(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.extra |= {"GUNICORN_THREADS": "4", "LITELLM_MASTERKEY": "canary", "DATABASE_URL": "postgres://canary"}
    code, told, _ = place.run_here(monkeypatch, "--check")
    assert code == 0
    assert re.search(r"^warning +environment: GUNICORN_THREADS has no effect", told, re.M)
    assert re.search(r"^warning +environment: LITELLM_MASTERKEY has no effect.*write LITELLM_MASTER_KEY$", told, re.M)
    assert re.search(r"^litellm +kept from LiteLLM: DATABASE_URL, of a database", told, re.M)
    _, as_json, _ = place.run_here(monkeypatch, "--check", "--json")
    facts = json.loads(as_json)
    assert any("GUNICORN_THREADS" in line for line in facts["warnings"])
    assert facts["kept_from_litellm"] == ["DATABASE_URL"]
    assert "canary" not in told + as_json


def test_no_variable_that_the_gateway_reads_itself_is_said_to_be_anothers_or_unknown(tmp_path: Path) -> None:
    texts = (
        node.value
        for folder in ("launch/settings", "launch/processes", "wiring", "store", "service", "edge")
        for file in (ROOT / "scalix" / folder).rglob("*.py")
        if file.name != "litellm_environment.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    names = OURS | {text for text in texts if re.fullmatch("(SCALIX|LITELLM|REDIS|OTEL|AWS)(_[A-Z0-9]+)+", text)}
    names -= {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"}  # set for a worker, and never read
    assert {"REDIS_URL", "REDIS_SENTINEL_PASSWORD", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} <= names
    settings = resolve_settings(load_environment(tmp_path, {}), root=tmp_path)
    environment = Environment(dict.fromkeys(names, "x"), (), "development")
    plan = Plan(settings, environment, read_config(SHIPPED, {}, demo=True), demo=True)
    assert "REDIS_URL" in plan.kept_from_litellm
    assert plan.notes_on_kept == ()
    assert list(unknown_variables(environment.values, ())) == []


# ---- the variables of the shipped config --------------------------------------------------------------------------


def test_the_shipped_config_takes_the_products_variables() -> None:
    address = "https://engine.scalix.world/v1"
    values = {"SCALIX_PRO_API_KEY": "canary", "SCALIX_ENGINE_URL": address, "SCALIX_GATEWAY_URL": address}
    config = read_config(SHIPPED, values)
    assert list(config.policy.models) == ["scalix-engine", "scalix-gateway"]
    assert [entry["litellm_params"]["api_base"] for entry in config.litellm["model_list"]] == [
        "os.environ/SCALIX_ENGINE_URL",
        "os.environ/SCALIX_GATEWAY_URL",
    ]


def test_the_former_names_go_on_working_each_with_its_own_key() -> None:
    values = {
        "SCALIX_ENGINE_BASE_URL": "https://one/v1",
        "SCALIX_ENGINE_API_KEY": "canary",
        "SCALIX_GATEWAY_BASE_URL": "https://two/v1",
    }
    assert list(read_config(SHIPPED, values).policy.models) == ["scalix-engine"]
    config = read_config(SHIPPED, values | {"SCALIX_GATEWAY_API_KEY": "other"})
    assert [
        (entry["litellm_params"]["api_base"], entry["litellm_params"]["api_key"])
        for entry in config.litellm["model_list"]
    ] == [
        ("os.environ/SCALIX_ENGINE_BASE_URL", "os.environ/SCALIX_ENGINE_API_KEY"),
        ("os.environ/SCALIX_GATEWAY_BASE_URL", "os.environ/SCALIX_GATEWAY_API_KEY"),
    ]


def test_a_former_name_beside_the_present_one_is_said_to_have_no_effect(tmp_path: Path) -> None:
    values = {"SCALIX_ENGINE_URL": "https://one/v1", "SCALIX_ENGINE_BASE_URL": "https://two/v1"}
    (note,) = notes_of(tmp_path, values, referred=read_config(SHIPPED, values).referred)
    assert note.startswith("environment: SCALIX_ENGINE_BASE_URL has no effect: SCALIX_ENGINE_URL is set")


# ---- placeholders of providers' keys ------------------------------------------------------------------------------


def model(params: str) -> str:
    return f"model_list:\n  - {{model_name: m, litellm_params: {{{params}}}}}\n{TIERS.replace('[free-*]', '[m]')}"


@pytest.mark.parametrize("params", ['model: gemini/a, api_key: "${GEMINI_API_KEY}"', "model: gemini/a"])
def test_a_placeholder_of_a_providers_key_counts_as_not_set(tmp_path: Path, params: str) -> None:
    config = read(tmp_path, model(params), {"GEMINI_API_KEY": "your_gemini_api_key_here"})
    assert config.left_out == (("m", "GEMINI_API_KEY"),)
    assert list(read(tmp_path, model(params), {"GEMINI_API_KEY": "canary"}).policy.models) == ["m"]


@pytest.mark.parametrize(
    ("address", "key", "served"),
    [
        ("http://127.0.0.1:8000/v1", "changeme", True),
        ("http://vllm:8000/v1", "sk-1234", True),
        ("http://192.168.1.5/v1", "your_key_here", True),
        ("https://api.example.com/v1", "changeme", False),
        ("https://api.example.com/v1", "none", True),
        ("https://api.example.com/v1", "canary", True),
    ],
)
def test_a_server_of_ones_own_takes_a_placeholder_as_it_is(
    tmp_path: Path, address: str, key: str, served: bool
) -> None:
    for written in (address, '"${ADDRESS}"'):
        params = f'model: openai/a, api_base: {written}, api_key: "${{OWN_KEY}}"'
        config = read(tmp_path, model(params), {"OWN_KEY": key, "ADDRESS": address})
        assert bool(config.policy.models) is served
