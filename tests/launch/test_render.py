"""What LiteLLM is given to read: its own syntax, no secret, and the same values by its own YAML reader."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from scalix.launch.config.config_file import read_config
from scalix.launch.config.render import render, write_rendered
from scalix.launch.problems import LaunchError

SHIPPED = Path(__file__).parents[2] / "litellm_proxy_config.yaml"
NAMES = (
    "GEMINI_API_KEY",
    "DEEPSEEK_API_KEY",
    "OPENROUTER_API_KEY",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "SCALIX_ENGINE_API_KEY",
    "SCALIX_ENGINE_BASE_URL",
    "SCALIX_GATEWAY_API_KEY",
    "SCALIX_GATEWAY_BASE_URL",
    "LITELLM_MASTER_KEY",
    "REDIS_PASSWORD",
)
CANARIES = {name: f"https://canary-{name.lower()}" for name in NAMES}
TIERS = "\nscalix: {default_tier: t, tiers: {t: {models: ['*']}}}\n"


def rendered(
    tmp_path: Path, params: str, values: dict[str, str], rest: str = "", *, demo: bool = False
) -> dict[str, Any]:
    path = config_of(tmp_path, params, rest)
    return loaded(read_config(path, values, demo=demo).litellm)


def config_of(tmp_path: Path, params: str, rest: str = "") -> Path:
    """A file of one model, whose `litellm_params` are in line 3."""
    path = tmp_path / "config.yaml"
    text = (
        f"model_list:\n  - model_name: a\n    litellm_params: {{{params}}}\n    model_info: {{max_output_tokens: 9}}\n"
    )
    path.write_text(text + rest + TIERS, encoding="utf-8")
    return path


def loaded(config: Any) -> dict[str, Any]:
    """Through the writer and LiteLLM's reader."""
    result: dict[str, Any] = yaml.safe_load(render(config))
    return result


def problem_of(tmp_path: Path, params: str, values: dict[str, str], rest: str = "") -> str:
    with pytest.raises(LaunchError) as caught:
        rendered(tmp_path, params, values, rest)
    (problem,) = caught.value.problems
    assert "canary" not in str(problem)
    return str(problem)


def test_the_shipped_file_renders_without_a_secret_and_without_our_syntax() -> None:
    config = read_config(SHIPPED, CANARIES)
    text = render(config.litellm)
    assert "canary" not in text
    assert not any(syntax in text for syntax in ("${", "openai-compatible", "base_url", "metadata", "scalix:"))
    assert config.left_out == ()
    models = {entry["model_name"]: entry for entry in loaded(config.litellm)["model_list"]}
    assert len(models) == 9
    assert models["scalix-engine"] == {
        "model_name": "scalix-engine",
        "litellm_params": {
            "model": "openai/scalix-engine",
            "api_base": "os.environ/SCALIX_ENGINE_BASE_URL",
            "api_key": "os.environ/SCALIX_ENGINE_API_KEY",
        },
        "model_info": {
            "max_output_tokens": 8192,
            "input_cost_per_token": 0.000001,
            "output_cost_per_token": 0.000003,
            "cache_read_input_token_cost": 0.000001,
            "cache_creation_input_token_cost": 0.000001,
            "features": ["lazy_edits", "smart_context", "advanced_reasoning"],
            "scalix_tier": "pro",
        },
    }


def test_the_shipped_file_in_the_demo_asks_the_demo_provider_for_everything() -> None:
    for values in ({}, CANARIES):
        config = read_config(SHIPPED, values, demo=True)
        assert "canary" not in render(config.litellm)
        assert (config.left_out, config.warnings) == ((), () if values else config.warnings)
        for entry in loaded(config.litellm)["model_list"]:
            assert entry["litellm_params"] == {
                "model": f"openai/{entry['model_name']}",
                "api_base": "os.environ/SCALIX_DEMO_URL",
                "api_key": "demo",
            }
            assert entry["model_info"]["max_output_tokens"] > 0


def test_our_callbacks_auth_and_key_are_there_whatever_the_file_says(tmp_path: Path) -> None:
    bare = rendered(tmp_path, "model: openai/a, api_base: http://x", {})
    assert bare["litellm_settings"]["callbacks"] == ["scalix_callbacks.gateway_callbacks"]
    assert bare["general_settings"] == {
        "custom_auth": "scalix_callbacks.custom_auth",
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "disable_responses_id_security": True,
    }
    own = rendered(tmp_path, "model: openai/a, api_base: http://x", {}, "litellm_settings: {callbacks: mine.logger}\n")
    assert own["litellm_settings"]["callbacks"] == ["mine.logger", "scalix_callbacks.gateway_callbacks"]
    braced = rendered(
        tmp_path, "model: openai/a, api_base: http://x", {}, "general_settings: {master_key: '${LITELLM_MASTER_KEY}'}\n"
    )
    assert braced["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"


def test_a_reference_within_a_url_is_written_out_and_a_whole_one_kept(tmp_path: Path) -> None:
    values = {"HOST": "models.internal", "KEY": "canary"}
    params = rendered(tmp_path, 'model: openai/a, api_base: "https://${HOST}/v1", api_key: "${KEY}"', values)
    assert params["model_list"][0]["litellm_params"] == {
        "model": "openai/a",
        "api_base": "https://models.internal/v1",
        "api_key": "os.environ/KEY",
    }


def test_a_model_whose_url_holds_an_unset_variable_is_left_out(tmp_path: Path) -> None:
    assert rendered(tmp_path, 'model: openai/a, api_base: "https://${HOST}/v1", api_key: none', {})["model_list"] == []


@pytest.mark.parametrize(
    "params",
    [
        'model: openai/a, api_key: "sk-${KEY}"',
        'model: openai/a, api_base: "https://${API_KEY}@host/v1"',
        'model: openai/a, api_base: "${URL}/v1"',
        'model: openai/a, api_base: http://x, extra_headers: {X-Access: "Token ${KEY}"}',
        'model: openai/a, api_base: http://x, extra_headers: {Authorization: "Bearer ${WORD}"}',
    ],
)
def test_a_secret_mixed_with_other_text_is_a_problem(tmp_path: Path, params: str) -> None:
    values = {"KEY": "canary", "API_KEY": "canary", "WORD": "canary", "URL": "https://me:canary@host"}
    line = problem_of(tmp_path, params, values)
    assert "config.yaml:3: " in line
    assert "mixes a secret with other text; put the whole value into one variable and write ${NAME} alone" in line


@pytest.mark.parametrize(
    "params",
    [
        "model: openai/a, api_key: canary-plain-0123456789",
        "model: openai/a, api_base: http://x, extra_headers: {X-Any: 'Bearer canary'}",
        "model: openai/a, api_base: 'https://me:canary@host/v1'",
        "model: bedrock/a, aws_secret_access_key: canary",
        "model: bedrock/a, aws_access_key_id: canary",
        "model: openai/a, api_base: http://x, some_option: sk-canary-12345",
    ],
)
def test_a_secret_in_plain_text_reaches_litellm_by_a_variable_and_production_refuses_it(
    tmp_path: Path, params: str
) -> None:
    path = config_of(tmp_path, params)
    config = read_config(path, {})
    (told,) = [line for line in config.warnings if "in plain text" in line]
    assert "config.yaml:3: model_list.litellm_params." in told
    assert "; write " in told
    ((name, secret),) = config.variables.items()
    assert "canary" in secret
    text = render(config.litellm)
    assert f'"os.environ/{name}"' in text
    assert "canary" not in text + "".join(config.warnings)
    with pytest.raises(LaunchError) as caught:
        read_config(path, {}, production=True)
    assert [str(problem) for problem in caught.value.problems if "in plain text" in problem.what] == [told]


def test_a_secret_outside_of_the_models_is_found_too_even_where_it_has_no_effect(tmp_path: Path) -> None:
    rest = "litellm_settings:\n  cache_params: {type: redis, password: canary}\n"
    path = config_of(tmp_path, "model: openai/a, api_base: http://x", rest)
    with pytest.raises(LaunchError) as caught:
        read_config(path, {}, production=True)
    lines = [str(problem) for problem in caught.value.problems]
    assert any("config.yaml:6: litellm_settings.cache_params.password holds a secret" in line for line in lines)
    assert "canary" not in "".join(lines)


@pytest.mark.parametrize(
    ("key", "address"),
    [
        *((key, "http://x") for key in ("none", "EMPTY", "not-needed", "oidc/google/x", "os.environ/KEY")),
        *((key, "https://llm.example.org") for key in ("a", "ollama", "lm-studio", "sk-no-key-required", "fake-key")),
        *(("any-text-of-which-nobody-cares", f"http://{host}:8000/v1") for host in ("localhost", "vllm", "10.0.0.7")),
    ],
)
def test_what_stands_for_a_key_is_no_secret(tmp_path: Path, key: str, address: str) -> None:
    path = config_of(tmp_path, f"model: openai/a, api_base: '{address}', api_key: {key}")
    config = read_config(path, {"KEY": "x"})
    assert loaded(config.litellm)["model_list"][0]["litellm_params"]["api_key"] == key
    assert not [line for line in config.warnings if "secret" in line]


@pytest.mark.parametrize("text", ["${KEY:-default}", "${}", "${A B}", "os.environ/", "os.environ/A-B"])
def test_a_reference_that_names_no_variable_is_a_problem(tmp_path: Path, text: str) -> None:
    assert "names no variable" in problem_of(tmp_path, f'model: openai/a, api_base: "{text}"', {})


def test_a_reference_in_a_list_is_written_out_because_litellm_would_not(tmp_path: Path) -> None:
    rest = 'litellm_settings: {callbacks: ["${LOGGER}"]}\n'
    config = rendered(tmp_path, "model: openai/a, api_base: http://x", {"LOGGER": "mine.logger"}, rest)
    assert config["litellm_settings"]["callbacks"][0] == "mine.logger"


def test_an_unset_reference_outside_of_the_models_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    models = "model_list:\n  - {model_name: a, litellm_params: {model: openai/gpt-4, api_base: 'http://x'}}\n"
    path.write_text(models + "litellm_settings: {project: os.environ/BUDGET}" + TIERS, encoding="utf-8")
    (warning,) = read_config(path, {}).warnings
    assert warning.endswith("config.yaml:3: litellm_settings.project refers to BUDGET, which is not set")


def test_a_tier_word_that_litellm_does_not_know_gets_a_name_of_its_own(tmp_path: Path) -> None:
    for word, expected in (("free", {"tier": "free"}), ("premium", {"scalix_tier": "premium"})):
        entry = rendered(tmp_path, f"model: openai/a, api_base: http://x, metadata: {{tier: {word}}}", {})[
            "model_list"
        ][0]
        assert entry["model_info"] == {"max_output_tokens": 9, **expected}


def test_the_demo_keeps_prices_and_one_deployment_of_each_model(tmp_path: Path) -> None:
    rest = "  - {model_name: a, litellm_params: {model: openai/b}}\n"
    config = rendered(tmp_path, "model: openai/a, input_cost_per_token: 0.000002", {}, rest, demo=True)
    (entry,) = config["model_list"]
    assert entry["model_info"] == {"max_output_tokens": 9, "input_cost_per_token": 0.000002}


def test_litellms_own_settings_come_through_as_litellm_would_have_read_them(tmp_path: Path) -> None:
    rest = """
litellm_settings: {modify_params: yes, request_timeout: 0.5, http2: off, email: 'on', project: 2026-01-02, token: 1_0}
router_settings:
  routing_strategy_args:
    {a: {}, b: [], c: null, d: [[1, {x: y}]], e: "ünï ☃ 😀 \\" \\\\ \\t\\n", f: 1.0e-9, g: "1e-9", 403: z}
"""
    config = rendered(tmp_path, "model: openai/a, api_base: http://x", {}, rest)
    settings = {key: value for key, value in config["litellm_settings"].items() if key != "callbacks"}
    assert settings == {
        "modify_params": True,
        "request_timeout": 0.5, "http2": False, "email": "on", "project": "2026-01-02", "token": 10
    }  # fmt: skip
    assert config["router_settings"]["routing_strategy_args"] == {
        "a": {}, "b": [], "c": None, "d": [[1, {"x": "y"}]], "e": 'ünï ☃ 😀 " \\ \t\n', "f": 1e-9, "g": "1e-9", 403: "z",  # noqa: E501
    }  # fmt: skip


@pytest.mark.parametrize("value", [1e-6, 1e16, 2.5e-07, 0.1, -1e-300, float("inf"), 3.0])
def test_a_fraction_keeps_its_value(value: float) -> None:
    assert yaml.safe_load(render({"x": value})) == {"x": value}


def test_the_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "state" / "litellm.rendered.yaml"
    write_rendered(path, {"a": 1})
    path.chmod(0o644)
    write_rendered(path, {"a": 2})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {"a": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["litellm.rendered.yaml"]


def test_a_place_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match=r"can't be written .*; set SCALIX_STATE_DIR"):
        write_rendered(tmp_path / "file" / "litellm.rendered.yaml", {})
