"""The version of a config, by which instances tell whether they go by the same one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalix.launch.config.config_file import read_config
from tests.launch.running import ROOT, Place, eventually
from tests.launch.test_reload import APP, rewrite

TEXT = """
model_list:
  - {model_name: one, litellm_params: {model: openai/one, api_key: sk-0b9dd1f2c6a37e45aa}}
  - {model_name: two, litellm_params: {model: openai/two, api_base: "http://10.0.0.1", api_key: "${TWO_KEY}"}}
general_settings: {master_key: sk-7f3a9c01d5e84b62}
scalix:
  default_tier: free
  tiers: {free: {requests: {hour: 10}, models: ["*"], features: [a, b, c, d, e, f]}}
  prices: {models: {one: {request_usd: 1}}}
  ip_rules: {deny: [10.1.0.0/16]}
"""
VALUES = {"TWO_KEY": "sk-of-two-0123456789"}


def version(folder: Path, text: str, values: dict[str, str] = VALUES) -> str:
    path = folder / "config.yaml"
    path.write_text(text)
    return read_config(path, values).policy.version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hour: 10", "hour: 11"),
        ("request_usd: 1", "request_usd: 2"),
        ("openai/two", "openai/three"),
        ("10.1.0.0/16", "10.2.0.0/16"),
        ("scalix:", "litellm_settings: {drop_params: true}\nscalix:"),
        ("scalix:", "scalix:\n  trusted_proxies: [10.0.0.0/8]"),
    ],
)
def test_whatever_is_in_force_is_in_the_version(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    assert version(tmp_path, TEXT.replace(old, new)) != version(tmp_path, TEXT)


def test_comments_and_secrets_are_not(tmp_path: Path) -> None:
    before = version(tmp_path, TEXT)
    assert len(before) == 12
    assert version(tmp_path, f"# another\n{TEXT}") == before
    assert version(tmp_path, TEXT.replace("sk-0b9dd1f2c6a37e45aa", "sk-999dd1f2c6a37e45aa")) == before
    assert version(tmp_path, TEXT.replace("sk-7f3a9c01d5e84b62", "sk-999a9c01d5e84b62")) == before
    assert version(tmp_path, TEXT, {"TWO_KEY": "sk-of-two-9876543210"}) == before


def test_where_a_key_set_lies_and_what_proxies_a_machine_has_are_no_part_of_it_and_the_keys_are(tmp_path: Path) -> None:
    issuer = "{issuer: a, audience: scalix, jwks_file: keys.json}"
    text = TEXT.replace("scalix:", f"scalix:\n  jwt: {{issuers: [{issuer}]}}", 1)
    found = []
    for name, keys, proxies in (("a", "1", "10.0.0.1"), ("b", "1", "10.0.0.2"), ("c", "2", "10.0.0.1")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "keys.json").write_text(f'{{"keys": [{{"kty": "OKP", "kid": "{keys}"}}]}}')
        found.append(version(folder, text, VALUES | {"SCALIX_TRUSTED_PROXIES": proxies}))
    assert found[0] == found[1] != found[2]


def test_two_processes_find_the_same(tmp_path: Path) -> None:
    here = version(tmp_path, TEXT)
    code = "import sys, pathlib; from scalix.launch.config.config_file import read_config as read;"
    code += f"print(read(pathlib.Path({str(tmp_path / 'config.yaml')!r}), {VALUES!r}).policy.version)"
    for seed in ("1", "2"):
        there = subprocess.run(
            (sys.executable, "-c", code),
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_it_stands_in_every_answer_and_in_the_status_and_a_reload_changes_it(place: Place) -> None:
    gateway = place.start(extra=APP)
    before = gateway.status()["config"]
    assert gateway.header("x-scalix-config") == before
    assert f"config   {before}\n" in place.run("--status").stdout
    rewrite(place, "hour: 10", "hour: 7")
    assert place.run("--reload").returncode == 0
    assert gateway.status()["config"] != before
    eventually(lambda: gateway.header("x-scalix-config") == gateway.status()["config"], "answers say so")
