"""What becomes of LiteLLM's settings in a config file: moved to ours, taken out with a word, or refused."""

from pathlib import Path
from typing import Any

import pytest

from scalix.domain.limits.limits import Metric
from scalix.launch.config.config_environment import with_config_variables
from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.settings.environment import Environment
from tests.launch.config_text import MODELS, TIERS, problems_of, read

MORE = '  - {model_name: free-b, litellm_params: {model: openai/b, api_base: "https://b.example.org"}}\n'


def told(config: GatewayConfig) -> str:
    return "\n".join((*config.translated, *config.warnings))


def test_all_four_kinds_of_fallbacks_become_ours_and_none_reaches_litellm(tmp_path: Path) -> None:
    text = """
router_settings:
  fallbacks: [{gpt-4: [free-a]}]
  content_policy_fallbacks: [{free-a: [gpt-4]}]
litellm_settings:
  context_window_fallbacks: [{gpt-4: [free-b, free-a]}]
  default_fallbacks: [free-b]
"""
    config = read(tmp_path, MODELS + MORE + text + TIERS)
    assert config.policy.fallbacks == {"gpt-4": ("free-a", "free-b"), "free-a": ("gpt-4", "free-b")}
    assert "fallback" not in str(config.litellm)
    kinds = "fallbacks, context_window_fallbacks, content_policy_fallbacks, default_fallbacks"
    assert f"config.yaml:10: {kinds}: now scalix.fallbacks" in told(config)


def test_a_list_of_ours_goes_before_litellms_which_is_said(tmp_path: Path) -> None:
    text = "router_settings: {fallbacks: [{gpt-4: [free-b]}, {free-a: [free-b]}]}\n"
    config = read(tmp_path, MODELS + MORE + text + TIERS + "  fallbacks: {gpt-4: [free-a]}\n")
    assert config.policy.fallbacks == {"gpt-4": ("free-a",), "free-a": ("free-b",)}
    assert "without effect for gpt-4: scalix.fallbacks has a list" in told(config)


def test_a_fallback_to_a_model_that_is_not_there_is_passed_over_with_a_word(tmp_path: Path) -> None:
    config = read(tmp_path, MODELS + "router_settings: {fallbacks: [{gpt-4: [free-aa, free-a]}]}\n" + TIERS)
    assert config.policy.fallbacks == {"gpt-4": ("free-a",)}
    assert "the fallback free-aa is passed over, as model_list does not have it; write free-a" in told(config)


def test_a_fallback_under_a_wildcard_is_served_or_said_to_be_passed_over(tmp_path: Path) -> None:
    text = """
  - {model_name: "own/*", litellm_params: {model: openai/*, api_base: "http://localhost:1234/v1", api_key: none}}
  - {model_name: "openai/*", litellm_params: {model: openai/*, api_key: os.environ/OPENAI_API_KEY}}
router_settings: {fallbacks: [{gpt-4: [own/anything:7b, openai/gpt-5-mini, openai/nobody-knows, own/a..b]}]}
"""
    config = read(tmp_path, MODELS + text.removeprefix("\n") + TIERS)
    models = config.policy.models
    assert models["own/anything:7b"].provider_model == "openai/anything:7b"
    assert "openai/gpt-5-mini" in models
    for name in ("openai/nobody-knows", "own/a..b"):
        assert name not in models
        assert f"the fallback {name} of gpt-4 is passed over: no wildcard in service knows such a model" in told(config)


def test_retries_and_cooldowns_become_ours_where_ours_say_nothing(tmp_path: Path) -> None:
    text = """
litellm_settings: {num_retries: 7, allowed_fails: 10, cooldown_time: 120.5}
router_settings: {num_retries: 1, max_fallbacks: 2}
general_settings: {global_max_parallel_requests: 77}
"""
    policy = read(tmp_path, MODELS + text + TIERS).policy
    # The router's counts before the module's, and it may fail as often before it cools down.
    assert (policy.retries.same_model, policy.retries.models) == (1, 3)
    assert (policy.cooldown.failures, policy.cooldown.seconds) == (11, 121)
    assert policy.guard.overload.in_flight == 77
    ours = read(tmp_path, MODELS + text + TIERS + "  cooldown: {failures: 2}\n")
    assert ours.policy.cooldown.failures == 2
    assert "litellm_settings.allowed_fails: without effect here: scalix.cooldown.failures says 2" in told(ours)
    off = read(tmp_path, MODELS + "router_settings: {disable_cooldowns: true}\n" + TIERS).policy
    assert off.cooldown.seconds == 0


@pytest.mark.parametrize(
    ("settings", "windows"),
    [
        ("max_end_user_budget: 0.5", {"month": 500_000_000}),
        ("max_internal_user_budget: 5, internal_user_budget_duration: 1mo", {"month": 5_000_000_000}),
        ("max_internal_user_budget: 5, internal_user_budget_duration: 30d", {"month": 5_000_000_000}),
        ("default_internal_user_params: {max_budget: 1, budget_duration: 1d}", {"day": 1_000_000_000}),
        ("max_end_user_budget: 3, max_internal_user_budget: 2", {"month": 2_000_000_000}),
    ],
)
def test_budgets_of_users_are_spending_limits_of_every_tier_that_has_none(
    tmp_path: Path, settings: str, windows: dict[str, int]
) -> None:
    tier = "    own: {models: ['*'], spend_usd: {month: 9, day: 9}}\n"
    config = read(tmp_path, MODELS + f"litellm_settings: {{{settings}}}\n" + TIERS + tier)
    for name, expected in (
        ("free", windows),
        ("premium", windows),
        ("own", {"month": 9_000_000_000, "day": 9_000_000_000}),
    ):
        limits = config.policy.tiers[name].limits.windows
        assert {limit.window: limit.value for limit in limits if limit.metric is Metric.SPEND} == expected, name
    assert "is spend_usd:" in told(config)


def test_what_else_new_users_would_get_is_said_to_have_no_effect(tmp_path: Path) -> None:
    given = "default_internal_user_params: {max_budget: 1, budget_duration: 1d, user_role: internal_user, models: [m]}"
    said = told(read(tmp_path, MODELS + f"litellm_settings: {{{given}}}\n" + TIERS))
    assert "default_internal_user_params.max_budget (budget_duration: 1d) is spend_usd: {day: 1} of each tier" in said
    for name in ("user_role", "models"):
        assert f"default_internal_user_params.{name}: without effect here" in said


@pytest.mark.parametrize(("duration", "nearest"), [("7d", "1d"), ("2h", "1h"), ("1y", "1mo"), ("60d", "1mo")])
def test_a_budget_for_a_time_that_is_no_window_is_refused_with_the_nearest(
    tmp_path: Path, duration: str, nearest: str
) -> None:
    text = f"litellm_settings: {{max_internal_user_budget: 5, internal_user_budget_duration: {duration}}}\n"
    (found,) = problems_of(tmp_path, MODELS + text + TIERS)
    assert f"lasts for {duration}, which is no window here" in found.what
    assert found.fix.startswith(f"write {nearest}")


def test_what_has_no_effect_is_taken_out_and_said_once_for_each_reason(tmp_path: Path) -> None:
    text = """
general_settings: {database_url: os.environ/DATABASE_URL, store_model_in_db: true, allowed_ips: ["10.0.0.0/8"]}
litellm_settings: {cache: true, cache_params: {type: redis}, set_verbose: false, max_budget: 50, budget_duration: 30d}
router_settings: {redis_host: somewhere, routing_strategy: least-busy}
files_settings: [{custom_llm_provider: azure}]
whatever: {a: 1}
"""
    config = read(tmp_path, MODELS + text + TIERS)
    lines = [line.partition("config.yaml:")[2] for line in config.warnings if "no price" not in line]
    assert [line.partition(": without effect here: ")[0] for line in lines] == [
        "11: files_settings",
        "12: whatever",
        "9: litellm_settings.cache, cache_params",
        "9: litellm_settings.max_budget, budget_duration",
        "10: router_settings.redis_host",
        "8: general_settings.database_url, store_model_in_db",
        "8: general_settings.allowed_ips",
    ]
    assert "scalix.ip_rules.allow" in lines[-1]
    general = {"master_key", "custom_auth", "disable_responses_id_security"}
    assert set(config.litellm["general_settings"]) == general
    assert set(config.litellm["litellm_settings"]) == {"callbacks"}
    assert set(config.litellm["router_settings"]) == {"routing_strategy", "disable_cooldowns", "retry_policy"}
    assert set(config.litellm) == {"model_list", "general_settings", "litellm_settings", "router_settings"}


def test_slips_of_the_pen_are_refused_with_the_name_that_was_meant(tmp_path: Path) -> None:
    text = """
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_kye: os.environ/OPENAI_API_KEY}}
litelm_settings: {drop_params: true}
router_settings: {falbacks: [{a: [b]}]}
"""
    found = [(problem.what, problem.fix) for problem in problems_of(tmp_path, text + TIERS)]
    assert ("unknown setting 'api_kye' in model_list.litellm_params", "write 'api_key'") in found
    assert ("unknown section 'litelm_settings'", "write 'litellm_settings'") in found
    assert ("unknown setting 'falbacks' in router_settings", "write 'fallbacks'") in found


def test_what_only_a_provider_knows_passes_to_it_and_is_said(tmp_path: Path) -> None:
    models = (
        "model_list:\n  - {model_name: a, litellm_params: {model: openai/a, api_key: none, some_knob: 3, top_k: 1}}\n"
    )
    config = read(tmp_path, models + TIERS.replace("free-*", "a"))
    assert config.litellm["model_list"][0]["litellm_params"]["some_knob"] == 3
    assert "model_list.litellm_params.some_knob passes to the provider" in told(config)
    assert "top_k" not in told(config)


@pytest.mark.parametrize(
    "settings",
    [
        "litellm_settings: {cost_margin_config: {openai: 0.1}}",
        "litellm_settings: {model_alias_map: {gpt-4: openai/gpt-5}}",
        "general_settings: {custom_auth: mine.auth}",
    ],
)
def test_what_would_charge_wrongly_or_let_somebody_in_is_refused_with_the_remedy(tmp_path: Path, settings: str) -> None:
    (found,) = problems_of(tmp_path, MODELS + settings + "\n" + TIERS)
    assert " would " in found.what
    assert "write" in found.fix or "built in" in found.fix


def test_included_files_are_put_together_and_checked_like_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/models.yaml").write_text(
        "include: [further.yaml]\nmodel_list:\n  - {model_name: b, litellm_params: {model: openai/b, api_key: none}}\n",
        encoding="utf-8",
    )
    (tmp_path / "more/further.yaml").write_text(
        "model_list:\n  - {model_name: c, litellm_params: {model: openai/c, api_key: none, api_bsae: 'http://x'}}\n"
        "litellm_settings: {num_retries: 5}\n",
        encoding="utf-8",
    )
    (found,) = problems_of(tmp_path, "include: [more/models.yaml]\n" + MODELS + TIERS)
    assert found.where.endswith("more/further.yaml:2")
    (tmp_path / "more/further.yaml").write_text("litellm_settings: {num_retries: 5}\n", encoding="utf-8")
    config = read(tmp_path, "include: [more/models.yaml]\n" + MODELS + TIERS)
    assert list(config.policy.models) == ["gpt-4", "free-a", "b"]
    assert config.policy.retries.same_model == 5
    (missing,) = problems_of(tmp_path, "include: [nowhere.yaml]\n" + MODELS + TIERS)
    assert missing.where.endswith("nowhere.yaml")


def environment(tmp_path: Path, text: str, values: dict[str, str]) -> Environment:
    path = tmp_path / "config.yaml"
    path.write_text(MODELS + text + TIERS, encoding="utf-8")
    return with_config_variables(Environment(values, (), "development"), path)


@pytest.mark.parametrize(
    ("written", "name", "key"),
    [
        ("os.environ/MY_KEY", "MY_KEY", "sk-mine"),
        ("${MY_KEY}", "MY_KEY", "sk-mine"),
        ("os.environ/LITELLM_MASTER_KEY", "LITELLM_MASTER_KEY", "sk-usual"),
        ("sk-in-the-file", "", "sk-in-the-file"),
        ("os.environ/NOT_SET", "LITELLM_MASTER_KEY", "sk-usual"),
    ],
)
def test_a_master_key_under_another_variables_name_is_taken(tmp_path: Path, written: str, name: str, key: str) -> None:
    values = {"MY_KEY": "sk-mine", "LITELLM_MASTER_KEY": "sk-usual"}
    found = environment(tmp_path, f'general_settings: {{master_key: "{written}"}}\n', values)
    assert (found.master_key_name, found.values["LITELLM_MASTER_KEY"]) == (name, key)
    config = read_config(tmp_path / "config.yaml", found.values)
    general: Any = config.litellm["general_settings"]
    assert general["master_key"] == "os.environ/LITELLM_MASTER_KEY"


def test_variables_that_the_config_sets_serve_its_models_and_its_workers(tmp_path: Path) -> None:
    text = "environment_variables: {GEMINI_API_KEY: os.environ/OTHER, LANGFUSE_HOST: 'https://l.example', A: '${B}'}\n"
    found = environment(tmp_path, text, {"OTHER": "canary", "OPENAI_API_KEY": "x"})
    assert found.values["GEMINI_API_KEY"] == "canary"
    config = read_config(tmp_path / "config.yaml", found.values)
    assert list(config.policy.models) == ["gpt-4", "free-a"]
    assert config.variables == {"GEMINI_API_KEY": "canary", "LANGFUSE_HOST": "https://l.example"}
    assert "environment_variables" not in config.litellm
    assert "canary" not in told(config)


@pytest.mark.parametrize("model", ["*", "o*", "openai/*", "openai/dear-*"])
def test_who_asks_does_not_choose_the_provider_that_gets_the_operators_credentials(tmp_path: Path, model: str) -> None:
    entry = f'{{model_name: "*", litellm_params: {{model: "{model}", api_base: "http://10.0.0.1/v1", api_key: x}}}}'
    values = {"AWS_ACCESS_KEY_ID": "x", "OPENAI_API_KEY": "sk-real-0123456789"}
    config = read(tmp_path, f"model_list: [{entry}]\n", values)
    said = [line for line in config.warnings if "any name would choose its own provider" in line]
    if "/" in model:
        assert (list(config.policy.wildcards), said) == (["*"], [])
        assert config.policy.models_with("sagemaker/x")["sagemaker/x"].provider == "openai"
    else:
        assert (list(config.policy.wildcards), len(said)) == ([], 1)
        assert "sagemaker/x" not in config.policy.models_with("sagemaker/x")
        assert {item.provider for item in config.policy.models.values()} == {"", "openai"}  # as the map writes them


@pytest.mark.parametrize(("given", "is_wrong"), [("gold-eu", True), ("gold", False), ("gold eu", False)])
def test_the_id_of_a_deployment_is_no_name_by_which_a_wildcard_opens_it(
    tmp_path: Path, given: str, is_wrong: bool
) -> None:
    gold = f"{{model_name: gold, litellm_params: {{model: openai/a, api_key: x}}, model_info: {{id: {given}}}}}"
    wild = '{model_name: "*", litellm_params: {model: openai/*, api_base: "http://10.0.0.1/v1", api_key: x}}'
    text = f"model_list:\n  - {wild}\n  - {gold}\n"
    if is_wrong:
        (problem,) = problems_of(tmp_path, text)
        assert (problem.where.rpartition(":")[2], "the id 'gold-eu'" in problem.what) == ("3", True)
    else:
        assert "a" * 64 not in read(tmp_path, text).policy.models_with("a" * 64)


@pytest.mark.parametrize(
    ("params", "is_said"),
    [
        ("model: openai/x, api_base: 'https://elsewhere.example/v1'", True),
        ("model: openai/x, api_base: 'http://10.0.0.1/v1'", True),
        ("model: openai/x, api_base: 'http://10.0.0.1/v1', api_key: none", False),
        ("model: openai/x, api_base: 'https://eu.api.openai.com/v1'", False),
        ("model: openai/gpt-4o", False),
        ("model: azure/x, api_base: 'https://mine.example'", False),
    ],
)
def test_a_key_that_goes_to_another_server_than_its_providers_is_said(
    tmp_path: Path, params: str, is_said: bool
) -> None:
    values = {"OPENAI_API_KEY": "sk-real-0123456789", "AZURE_API_KEY": "real-0123456789"}
    config = read(tmp_path, f"model_list: [{{model_name: m, litellm_params: {{{params}}}}}]\n", values)
    assert any("OPENAI_API_KEY is sent there" in line for line in config.warnings) is is_said
