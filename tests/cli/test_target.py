"""The command line finds the master key where the gateway takes it from."""

from pathlib import Path

import pytest

from scalix.cli.checks.target import find_target
from scalix.launch.problems import LaunchError

ADMIN = "sk-admin-0123456789abcdef0123456789abcdef"
OTHER = "sk-other-0123456789abcdef0123456789abcdef"
MODELS = "model_list:\n  - {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/KEY}}\n"


def config(folder: Path, master_key: str, more: str = "", name: str = "litellm_proxy_config.yaml") -> Path:
    path = folder / name
    path.write_text(f"{MODELS}general_settings: {{master_key: {master_key}}}\n{more}", encoding="utf-8")
    return path


def key_of(folder: Path, **variables: str) -> tuple[str, str]:
    target = find_target(folder, variables, url="http://127.0.0.1:4000", key=None, env_file=None)
    return target.key, target.key_source


@pytest.mark.parametrize("written", ["os.environ/PROXY_ADMIN_KEY", "${PROXY_ADMIN_KEY}"])
def test_the_variable_that_the_config_names_counts_before_the_usual_one(tmp_path: Path, written: str) -> None:
    config(tmp_path, f'"{written}"')
    assert key_of(tmp_path, PROXY_ADMIN_KEY=ADMIN) == (ADMIN, "PROXY_ADMIN_KEY (environment)")
    assert key_of(tmp_path, PROXY_ADMIN_KEY=ADMIN, LITELLM_MASTER_KEY=OTHER)[0] == ADMIN
    assert key_of(tmp_path, LITELLM_MASTER_KEY=OTHER) == (OTHER, "LITELLM_MASTER_KEY (environment)")


def test_it_may_stand_in_an_env_file_and_the_config_under_another_name(tmp_path: Path) -> None:
    config(tmp_path, "os.environ/PROXY_ADMIN_KEY", name="own.yaml")
    (tmp_path / "scalix_config.env").write_text(f"PROXY_ADMIN_KEY={ADMIN}\nSCALIX_CONFIG=own.yaml\n", encoding="utf-8")
    key, source = key_of(tmp_path)
    assert key == ADMIN
    assert "scalix_config.env" in source
    assert ADMIN not in source


def test_a_key_that_stands_in_the_config_is_taken_and_not_shown(tmp_path: Path) -> None:
    path = config(tmp_path, ADMIN)
    assert key_of(tmp_path) == (ADMIN, f"general_settings.master_key of {path}")


def test_a_key_of_the_configs_environment_variables_is_taken(tmp_path: Path) -> None:
    config(tmp_path, "os.environ/PROXY_ADMIN_KEY", f"environment_variables: {{PROXY_ADMIN_KEY: {ADMIN}}}\n")
    assert key_of(tmp_path)[0] == ADMIN


def test_who_has_none_of_them_is_told_of_both_names(tmp_path: Path) -> None:
    config(tmp_path, "os.environ/PROXY_ADMIN_KEY")
    with pytest.raises(LaunchError) as raised:
        key_of(tmp_path)
    assert "general_settings.master_key" in raised.value.problems[0].fix
