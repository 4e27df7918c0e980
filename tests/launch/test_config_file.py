"""What the operator's config gives, and what is said of a wrong one."""

import os
from pathlib import Path

import pytest

from scalix.domain.limits.limits import Limit, Metric, Window
from scalix.domain.limits.quota import Prices
from scalix.domain.prices.peak_prices import dearest
from scalix.launch.config.config_file import read_config
from scalix.launch.problems import LaunchError
from tests.launch.config_text import KEYS, MODELS, TIERS, problem_of, problems_of, read

SHIPPED = Path(__file__).parents[2] / "litellm_proxy_config.yaml"
ALL_MODELS = [
    "free-gemini-flash",
    "free-gemini-pro",
    "free-deepseek-chat",
    "free-wizardlm",
    "scalix-engine",
    "scalix-gateway",
    "gpt-4",
    "claude-3-opus",
    "gemini-pro",
]
# Some 400 bytes, and a hundred million values.
TENFOLD_EIGHT_TIMES = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


def test_the_shipped_file_has_the_tiers_of_the_product() -> None:
    policy = read_config(SHIPPED, {}, demo=True).policy
    assert list(policy.models) == ALL_MODELS
    assert (list(policy.tiers), policy.default_tier) == (["free", "pro", "premium"], "free")
    free, pro, premium = policy.tiers.values()
    assert free.limits.windows == (
        Limit(Metric.REQUESTS, Window.HOUR, 10),
        Limit(Metric.REQUESTS, Window.DAY, 50),
        Limit(Metric.TOKENS, Window.DAY, 10_000),
    )
    assert pro.limits.windows == (Limit(Metric.REQUESTS, Window.HOUR, 100), Limit(Metric.TOKENS, Window.DAY, 100_000))
    assert premium.limits.windows == ()
    assert [tier.max_output_tokens for tier in (free, pro, premium)] == [2048, 8192, None]
    assert [tier.on_store_failure for tier in (free, pro, premium)] == ["deny", "allow", "allow"]
    assert pro.features == premium.features == {"lazy_edits", "smart_context", "advanced_reasoning"}
    assert premium.priority == "high"
    assert free.upgrade_url == "https://scalix.world/pricing"
    assert [name for name in ALL_MODELS if free.allows(name)] == ALL_MODELS[:4]
    assert [name for name in ALL_MODELS if pro.allows(name)] == ALL_MODELS[:6]
    assert all(premium.allows(name) for name in ALL_MODELS)


def test_every_shipped_model_says_how_much_it_can_answer() -> None:
    assert all(model.max_output_tokens for model in read_config(SHIPPED, {}, demo=True).policy.models.values())


def test_without_keys_each_shipped_model_is_left_out_with_its_variable() -> None:
    config = read_config(SHIPPED, {})
    assert [name for name, _ in config.left_out] == ALL_MODELS
    assert dict(config.left_out)["free-gemini-flash"] == "GEMINI_API_KEY"
    assert dict(config.left_out)["scalix-engine"] == "SCALIX_ENGINE_URL"
    assert config.policy.models == {}
    assert config.litellm["model_list"] == []
    assert config.warnings == ("no model is in service: set a provider's key, or start with --demo",)


def test_one_key_serves_its_models_and_an_empty_one_serves_none() -> None:
    config = read_config(SHIPPED, {"GEMINI_API_KEY": "canary", "OPENAI_API_KEY": " "})
    assert list(config.policy.models) == ["free-gemini-flash", "free-gemini-pro", "gemini-pro"]
    assert [entry["model_name"] for entry in config.litellm["model_list"]] == list(config.policy.models)
    assert ("gpt-4", "OPENAI_API_KEY") in config.left_out
    assert list(config.policy.tiers) == ["free", "pro", "premium"]


def test_provider_keys_decide_whether_the_demo_is_needed() -> None:
    assert not read_config(SHIPPED, {}).provider_keys_present
    assert not read_config(SHIPPED, {"SCALIX_ENGINE_API_KEY": "key without its URL"}).provider_keys_present
    assert read_config(SHIPPED, {"ANTHROPIC_API_KEY": "canary"}).provider_keys_present


def test_production_is_refused_when_no_model_can_be_served() -> None:
    with pytest.raises(
        LaunchError, match=r"litellm_proxy_config.yaml: no model can be served; set one of GEMINI_API_KEY"
    ):
        read_config(SHIPPED, {}, production=True)
    assert read_config(SHIPPED, {"OPENAI_API_KEY": "canary"}, production=True).policy.models


def test_a_model_without_a_key_of_its_own_needs_the_providers_usual_one(tmp_path: Path) -> None:
    text = (
        TIERS
        + """
model_list:
  - {model_name: free-a, litellm_params: {model: gemini/a}}
  - {model_name: b, litellm_params: {model: gpt-4.1}}
  - {model_name: c, litellm_params: {model: ollama/c, api_base: "http://localhost:11434"}}
"""
    )
    assert read(tmp_path, text, {}).left_out == (("free-a", "GEMINI_API_KEY"), ("b", "OPENAI_API_KEY"))
    assert read(tmp_path, text, {"GOOGLE_API_KEY": "x"}).left_out == (("b", "OPENAI_API_KEY"),)


def test_several_deployments_of_one_model_share_it_and_one_may_be_missing(tmp_path: Path) -> None:
    text = (
        MODELS
        + """
  - model_name: gpt-4
    litellm_params: {model: azure/gpt-4.1, api_key: "${AZURE_API_KEY}"}
"""
        + TIERS
    )
    config = read(tmp_path, text)
    assert list(config.policy.models) == ["gpt-4", "free-a"]
    assert config.left_out == ()
    assert config.warnings[0] == "gpt-4: one of its deployments (azure/gpt-4.1) is left out: AZURE_API_KEY is not set"
    both = read(tmp_path, text, {**KEYS, "AZURE_API_KEY": "x"})
    assert [entry["model_name"] for entry in both.litellm["model_list"]] == ["gpt-4", "free-a", "gpt-4"]
    assert read(tmp_path, text, {"AZURE_API_KEY": "x"}).policy.models["gpt-4"].provider_model == "azure/gpt-4.1"


def test_prices_and_maxima_are_exact_and_the_careful_ones_of_several_deployments(tmp_path: Path) -> None:
    text = """
model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_base: "http://x", input_cost_per_token: 3.0e-7}
    model_info: {max_output_tokens: 8192, output_cost_per_token: 0.0000000000011}
  - model_name: a
    litellm_params: {model: openai/b, api_base: "http://x"}
    model_info: {max_tokens: 4096, input_cost_per_token: 1e-7, output_cost_per_token: "2.5e-6"}
scalix: {default_tier: t, tiers: {t: {models: [a]}}}
"""
    model = read(tmp_path, text).policy.models["a"]
    assert model.max_output_tokens == 4096
    assert dearest(model.prices, 1, plain=True) == Prices(300_000, 2_500_000)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        """\
        model_list:
          - model_name: a,b
            litellm_params: {model: openai/a, api_key: sk-canary-literal-key}
          - litellm_params: {api_base: http://x}
        general_settings:
          master_key: sk-canary-master
        scalix:
          default_teir: free
          tiers:
            free:
              requests: {hour: none}
              models: [a]
            pro: {models: [gpt-4]}
        """,
        production=True,
    )
    lines = [str(problem).partition("config.yaml:")[2] for problem in problems]
    assert [int(line.partition(":")[0]) for line in lines] == [2, 3, 4, 4, 6, 7, 8, 11, 12, 13]
    assert "canary" not in "".join(lines)


@pytest.mark.parametrize("name", ["a,b", "a*b*", "'**'", "' a'", "''", "'a\\\n'", "42", "true"])
def test_a_model_name_that_clients_could_not_say_is_a_problem(tmp_path: Path, name: str) -> None:
    text = f"model_list:\n  - model_name: {name}\n    litellm_params: {{model: openai/a, api_base: http://x}}\n"
    problem = problem_of(tmp_path, text + TIERS.replace("free-*", "'*'"))
    assert problem.where.endswith(":2")


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ("max_output_tokens: 0", "max_output_tokens is not a positive whole number"),
        ("max_output_tokens: 1.5", "max_output_tokens is not a positive whole number"),
        ("input_cost_per_token: -0.1", "not a price in US dollars per token"),
        ("input_cost_per_token: cheap", "not a price in US dollars per token"),
        ("output_cost_per_token: .nan", "not a price in US dollars per token"),
        ("output_cost_per_token: 2.5", "2.5 US dollars per single token"),
    ],
)
def test_a_wrong_price_or_maximum_is_a_problem(tmp_path: Path, info: str, what: str) -> None:
    text = "model_list:\n  - model_name: free-a\n    litellm_params: {model: gemini/a}\n    model_info:\n"
    problem = problem_of(tmp_path, f"{text}      {info}\n{TIERS}")
    assert problem.where.endswith(":5")
    assert what in problem.what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file has no sections"),
        ("- 1\n", "the file has no sections"),
        ("a: [1\nb: 2\n", "not valid YAML"),
        ("a: b: c\n", "config.yaml:1: this is not valid YAML (mapping values are not allowed here, column 5)"),
        ("a: 1\nb: 2\na: 3\n", "config.yaml:3: the key 'a' is there twice; keep one of the two"),
        ("a:\n\tb: 1\n", "config.yaml:2: this is not valid YAML"),
        ("a: 1\n---\nb: 1\n", "not valid YAML"),
        ("a: *nowhere\n", "found undefined alias"),
        ("a: \x00\n", "not valid YAML"),
        ("a: " + "[" * 500, "not valid YAML"),
        (TENFOLD_EIGHT_TIMES, "more than 500,000 values when its aliases are followed"),
        ("# a comment\n" * 200_000, "more than 2,000,000 characters"),
    ],
)
def test_what_is_not_yaml_is_one_line_with_its_place(tmp_path: Path, text: str, what: str) -> None:
    assert what in str(problem_of(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        'a:\n  b: "x\n  c: y\n',
        'a:\n  b: "x\n  c: "y"\n  d: 3\n',
        "a:\n  - 'x\n  - 'y'\n",
        'a: 1\nm: {a: "b, c: d}\nn: 1\n',
        'a:\n  b: "x\n  c: 1\n  d: 2\n  e: "f"\n  g: "h"\n',
    ],
)
def test_a_quote_without_an_end_is_told_at_its_own_line(tmp_path: Path, text: str) -> None:
    problem = problem_of(tmp_path, text)
    assert str(problem).endswith(
        "config.yaml:2: the quote that begins in this line has no end there; write the end quote"
    )


def test_a_missing_section_is_named_and_a_misspelt_one_recognised(tmp_path: Path) -> None:
    misspelt = problem_of(tmp_path, MODELS + TIERS.replace("scalix:", "scalx:"))
    assert str(misspelt).endswith("config.yaml:8: unknown section 'scalx'; write 'scalix'")
    assert "'model_list' is missing" in problem_of(tmp_path, TIERS).what
    assert "scalix has no value" in problem_of(tmp_path, MODELS + "scalix:\n").what
    assert "scalix is not a set of 'key: value' pairs" in problem_of(tmp_path, MODELS + "scalix: [1]\n").what
    assert "model_list is empty" in problem_of(tmp_path, TIERS + "model_list: []\n").what


def test_a_file_that_can_not_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        LaunchError, match=r"none\.yaml: the config file does not exist; correct the path given to --config"
    ):
        read_config(tmp_path / "none.yaml", {})
    with pytest.raises(LaunchError, match="this is a directory"):
        read_config(tmp_path, {})
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(LaunchError, match="not UTF-8"):
        read_config(tmp_path / "binary.yaml", {})
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(LaunchError, match="is a pipe, and is read more than once; give a file"):
        read_config(tmp_path / "pipe.yaml", {})
    read_fd, write_fd = os.pipe()  # a shell's `<(…)`
    os.close(write_fd)
    with pytest.raises(LaunchError, match="is a pipe, and is read more than once; give a file"):
        read_config(Path(f"/dev/fd/{read_fd}"), {})
    os.close(read_fd)


def test_a_yaml_tag_is_a_problem(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, MODELS.replace('"${GEMINI_API_KEY}"', "!ENV GEMINI_API_KEY") + TIERS)
    assert "the YAML tag !ENV means nothing here" in problem.what


def test_sections_of_the_wrong_kind_are_problems_and_nothing_worse(tmp_path: Path) -> None:
    for name in ("general_settings", "litellm_settings", "router_settings"):
        assert f"{name} is not a set of" in problem_of(tmp_path, MODELS + TIERS + f"{name}: [1]\n").what
    for value in ("7", "[1, [2]]", "{tiers: 7}", "{tiers: {a: 7, 1: {models: 7}}, default_tier: [x]}"):
        assert problems_of(tmp_path, f"model_list: {value}\nscalix: {value}\n")
    assert problems_of(tmp_path, "3: x\ntrue: y\n")[1].what == "[3] is not text"
    assert problems_of(tmp_path, "model_list: [1, {model_name: [a], litellm_params: 7, model_info: 7}]\nscalix: 7\n")


def test_another_authentication_is_a_problem(tmp_path: Path) -> None:
    text = MODELS + TIERS + "general_settings:\n  custom_auth: mine.auth\n"
    (found,) = problems_of(tmp_path, text)
    assert "past the gateway's own authentication" in found.what
    assert "scalix.jwt" in found.fix


def test_what_models_do_not_know_is_left_out_where_it_is_seen_whether_it_is_the_output_cap(tmp_path: Path) -> None:
    config = read(tmp_path, MODELS + TIERS + "litellm_settings:\n  drop_params: true\n")
    assert "drop_params" not in config.litellm["litellm_settings"]
    assert [entry["litellm_params"]["drop_params"] for entry in config.litellm["model_list"]] == [True, True]
    assert "litellm_settings.drop_params" in "".join(config.translated)
