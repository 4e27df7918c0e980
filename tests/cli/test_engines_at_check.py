"""`--check` says of each model which engine serves it, and why."""

import json
import re
from pathlib import Path

import pytest

from tests.launch.running import Place

CONFIG = """
model_list:
  - {model_name: plain, litellm_params: {model: hosted_vllm/a, api_base: "http://127.0.0.1:9/v1", api_key: none}}
  - {model_name: other, litellm_params: {model: anthropic/b, api_key: "${TINY_KEY}"}}
  - {model_name: 'any/*', litellm_params: {model: 'openai/*', api_base: "http://127.0.0.1:9/v1", api_key: none}}
scalix:
  default_tier: free
  tiers: {free: {models: ["*"]}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    (place.folder / "config.yaml").write_text(CONFIG)
    return place


def test_each_model_has_a_line_with_its_engine_and_the_reason(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    code, told, errors = place.run_here(monkeypatch, "--check")
    assert (code, errors) == (0, "")
    assert re.findall(r"^engine +(.*)$", told, re.M) == [
        "plain: direct (hosted_vllm speaks OpenAI's format)",
        "other: litellm (anthropic is translated)",
        "any/*: direct (openai speaks OpenAI's format)",
    ]


def test_programs_read_it_in_json(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _, told, _ = place.run_here(monkeypatch, "--check", "--json")
    engines = json.loads(told)["engines"]
    assert engines["other"] == {"engine": "litellm", "reason": "anthropic is translated"}
    assert {name: one["engine"] for name, one in engines.items()} == {
        "plain": "direct",
        "other": "litellm",
        "any/*": "direct",
    }


def test_direct_where_it_can_not_be_keeps_the_gateway_from_starting(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = CONFIG.replace("{model_name: other,", "{model_name: other, model_info: {engine: direct},")
    (place.folder / "config.yaml").write_text(wrong)
    code, _, errors = place.run_here(monkeypatch, "--check")
    assert code == 2
    assert "config.yaml:4: model_info.engine of 'other' is direct, which can't be: anthropic is translated" in errors


def test_what_serves_is_decided_without_litellm(place: Place) -> None:
    done = place.run("--check", extra={"PYTHONVERBOSE": "1"})
    assert done.returncode == 0
    assert "import 'scalix.launch.config.engine_choice'" in done.stderr
    assert "import 'litellm'" not in done.stderr
