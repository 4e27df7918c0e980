"""What differs between development, staging and production: the rows of docs/environments.md."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.problems import LaunchError
from scalix.launch.processes.patience import patience_of
from scalix.launch.settings.environment import SCALIX_ENVS, load_environment, resolve_settings
from tests.launch.running import Place

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD_KEY = "sk-5e1f0a9b7c3d2e4f5a6b7c8d9e0f1a2b"
KEYS = {"A_KEY": "sk-a1b2c3d4e5f6a7b8c9d0e1f2"}
MODEL = """\
model_list:
  - model_name: "{name}"
    litellm_params: {{model: "{model}", api_key: "{key}"}}
    model_info: {{{info}}}
"""
PRICED = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000001"

# Where code asks which environment it is in, and the row that says what it does.
DECIDING = {
    "launch/config/config_file.py": "no model can be served",
    "launch/config/identity_builder.py": "a published secret of a token issuer",
    "launch/config/models_in_service.py": "names of a wildcard",
    "launch/config/references.py": "a secret in plain text",
    "launch/doctor/machine.py": "state directory or secrets",
    "launch/doctor/settings.py": "the operator's [pages]",
    "launch/doctor/store.py": "keeps nothing on disk",
    "launch/embedded/store_child.py": "is away at the start",
    "launch/processes/gathering.py": "`--demo-if-no-key`",
    "launch/processes/patience.py": "requests in flight",
    "launch/processes/plan.py": "a published master key",
    "launch/settings/environment.py": "an env file",
    "launch/settings/master_key.py": "no `LITELLM_MASTER_KEY`",
    "launch/settings/secret_checks.py": "a published `SCALIX_AUDIT_KEY`",
    "launch/settings/secret_files.py": "an env file",
    "launch/settings/tls.py": "a [TLS]",
    "launch/settings/variable_notes.py": "a published master key",
    "pages/doors.py": "the operator's [pages]",
}
_ASKS = re.compile(
    r"(?:\bif|\belif|\belse|\band|\bor|=|\() ?(?:not )?(?:is_|self\._?|case\.|settings\.)*production\b(?![=\"'])"
    r"|scalix_env\w* [!=]= \""
    r"|\"SCALIX_ENV\"\) == "
)


def refused(attempt: Callable[[], object]) -> str:
    """The problems of an attempt that is refused; empty for one that is not."""
    try:
        attempt()
    except LaunchError as error:
        return str(error)
    return ""


def settings_in(name: str, folder: Path, **values: str) -> str:
    """Why the settings with these variables are refused."""
    return refused(lambda: resolve_settings(load_environment(folder, {"SCALIX_ENV": name, **values}), root=folder))


def config_in(name: str, folder: Path, text: str) -> GatewayConfig:
    path = folder / "config.yaml"
    path.write_text(text)
    return read_config(path, KEYS, production=name == "production")


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_only_development_makes_a_master_key(name: str, tmp_path: Path) -> None:
    why = settings_in(name, tmp_path)
    assert ("LITELLM_MASTER_KEY is not set" in why) == (name != "development")


@pytest.mark.parametrize("name", SCALIX_ENVS)
@pytest.mark.parametrize("key", ["sk-1234", "sk-Zq9!short", "sk-scalix-dev-123456789"])
def test_only_production_refuses_a_master_key_that_is_no_secret(name: str, key: str, tmp_path: Path) -> None:
    assert bool(settings_in(name, tmp_path, LITELLM_MASTER_KEY=key)) == (name == "production")


@pytest.mark.parametrize("name", SCALIX_ENVS)
@pytest.mark.parametrize("key", ["SCALIX_AUDIT_KEY", "SCALIX_ENCRYPTION_KEY", "SCALIX_METRICS_TOKEN"])
def test_only_production_refuses_published_keys_of_other_kinds(name: str, key: str, tmp_path: Path) -> None:
    values = {"LITELLM_MASTER_KEY": GOOD_KEY, key: "replace-with-openssl-rand-hex-32"}
    assert bool(settings_in(name, tmp_path, **values)) == (name == "production")
    if name != "production":
        (note,) = load_environment(tmp_path, {"SCALIX_ENV": name, **values}).notes
        assert f"{key} is an example that everybody can read, so it counts as not set" in note


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_only_production_refuses_files_of_secrets_that_everybody_can_read(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "master"
    secret.write_text(GOOD_KEY)
    secret.chmod(0o644)
    why = settings_in(name, tmp_path, LITELLM_MASTER_KEY_FILE=str(secret))
    assert ("every user of this machine can read" in why) == (name == "production")
    (tmp_path / "scalix_config.env").write_text("A=1\n")
    (tmp_path / "scalix_config.env").chmod(0o644)
    why = settings_in(name, tmp_path, LITELLM_MASTER_KEY=GOOD_KEY)
    assert ("can read this env file" in why) == (name == "production")


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_only_production_refuses_a_secret_in_plain_text(name: str, tmp_path: Path) -> None:
    text = MODEL.format(name="m", model="openai/gpt-4", key="sk-a1b2c3d4e5f6a7b8c9d0e1f2", info=PRICED)
    if name == "production":
        assert "holds a secret in plain text" in refused(lambda: config_in(name, tmp_path, text))
    else:
        assert "holds a secret in plain text" in "".join(config_in(name, tmp_path, text).warnings)


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_only_production_refuses_a_config_without_a_model(name: str, tmp_path: Path) -> None:
    text = MODEL.format(name="m", model="openai/gpt-4", key="${NOT_SET}", info=PRICED)
    if name == "production":
        assert "no model can be served; set one of NOT_SET" in refused(lambda: config_in(name, tmp_path, text))
    else:
        assert "no model is in service" in "".join(config_in(name, tmp_path, text).warnings)


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_only_production_refuses_a_model_without_a_price(name: str, tmp_path: Path) -> None:
    text = MODEL.format(name="m", model="openai/nobody-knows-it", key="${A_KEY}", info="")
    if name == "production":
        assert "price" in refused(lambda: config_in(name, tmp_path, text))
    else:
        config = config_in(name, tmp_path, text)
        assert "m" in config.policy.models
        assert "price" in "".join(config.warnings)


def test_only_production_leaves_out_names_of_a_wildcard_that_have_no_price(tmp_path: Path) -> None:
    text = MODEL.format(name="openai/*", model="openai/*", key="${A_KEY}", info="")
    served = {name: set(config_in(name, tmp_path, text).policy.models) for name in SCALIX_ENVS}
    assert served["staging"] == served["development"]
    left_out = served["development"] - served["production"]
    models = config_in("development", tmp_path, text).policy.models
    assert left_out
    assert not any(models[one].prices and models[one].prices[-1].has_rates(answers=True) for one in left_out)


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_in_production_the_demo_provider_stands_in_for_nobody_by_itself(
    name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.extra = {"SCALIX_ENV": name, "LITELLM_MASTER_KEY": GOOD_KEY, "TINY_KEY": ""}
    (place.folder / "empty.env").chmod(0o600)
    code, told, errors = place.run_here(monkeypatch, "--check", "--demo-if-no-key")
    if name == "production":
        assert code == 2
        assert "no model can be served" in errors
    else:
        assert "the demo provider stands in" in told


@pytest.mark.parametrize("name", SCALIX_ENVS)
def test_only_development_is_impatient_at_a_stop(name: str) -> None:
    patience = patience_of({"SCALIX_ENV": name})
    assert (patience.drain_s, patience.notice_s) == ((6, 0) if name == "development" else (900, 5))
    assert patience_of({"SCALIX_ENV": name, "SCALIX_DRAIN_S": "60"}).drain_s == 60


def test_every_place_that_asks_which_environment_it_is_has_its_row_in_the_table() -> None:
    asking = {
        str(path.relative_to(ROOT / "scalix"))
        for path in (ROOT / "scalix").rglob("*.py")
        if _ASKS.search(path.read_text(encoding="utf-8"))
    }
    # They hand on what others ask.
    asking -= {"wiring/environment.py", "launch/processes/reload.py", "cli/backup.py", "wiring/core.py"}
    assert asking == set(DECIDING)
    table = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert all(len(row) == 5 and all(cell.strip() for cell in row) for row in rows)
    assert [words for words in DECIDING.values() if not any(words in row[0] for row in rows)] == []
    assert all("::test_" in row[-1] or "the same" in row[-1] for row in rows)
