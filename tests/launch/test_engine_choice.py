"""Which engine serves a model, by the config alone: each reason for LiteLLM, and what does not ask for it."""

from pathlib import Path

import pytest

from scalix.domain.engines import DIRECT, Engine
from scalix.domain.requests.routes import Route
from scalix.launch.config.config_file import GatewayConfig
from scalix.launch.config.policy_file import read_policy, write_policy
from scalix.launch.litellm.kinds import Kind
from scalix.launch.litellm.only_litellm import ONLY_LITELLM
from scalix.launch.litellm.sections import SECTIONS, TABLES
from tests.launch.config_text import problem_of, read

SECTION = "scalix: {default_tier: free, tiers: {free: {models: ['*']}}%s}\n"


def model(params: str = "", provider: str = "openai", name: str = "m", info: str = "") -> str:
    return (
        f"  - model_name: '{name}'\n"
        f"    litellm_params: {{model: '{provider}/served', api_key: os.environ/OPENAI_API_KEY{params}}}\n"
        f"    model_info: {{input_cost_per_token: 0.000001, output_cost_per_token: 0.000001{info}}}\n"
    )


def text(models: str, settings: str = "", section: str = "") -> str:
    return f"model_list:\n{models}{settings}{SECTION % section}"


def engine(config: GatewayConfig, name: str = "m") -> Engine:
    return config.policy.models[name].engine


@pytest.mark.parametrize("provider", sorted(DIRECT))
def test_providers_that_speak_openais_format_are_asked_directly(tmp_path: Path, provider: str) -> None:
    section = ", prices: {models: {m: {input_usd_per_million: 1, output_usd_per_million: 1}}}"
    chosen = engine(read(tmp_path, text(model(provider=provider), section=section)))
    assert chosen.name == "direct", chosen
    assert chosen.direct == DIRECT[provider]
    assert provider in chosen.reason


def test_another_format_is_translated_by_litellm(tmp_path: Path) -> None:
    chosen = engine(read(tmp_path, text(model(provider="anthropic"))))
    assert (chosen.name, chosen.reason) == ("litellm", "anthropic is translated")


@pytest.mark.parametrize(
    ("params", "name"),
    [
        (", tools: [{type: function, function: {name: f}}]", "tools"),
        (", max_parallel_requests: 3", "max_parallel_requests"),
        (", mock_response: hello", "mock_response"),
        (", litellm_credential_name: c", "litellm_credential_name"),
        (", merge_reasoning_content_in_choices: true", "merge_reasoning_content_in_choices"),
        (", ssl_verify: false", "ssl_verify"),
        (", guardrails: [g]", "guardrails"),
        (", prompt_id: p", "prompt_id"),
        (", cache_control_injection_points: [{location: message, role: system}]", "cache_control_injection_points"),
        (", keepalive_seconds: 5", "keepalive_seconds"),
    ],
)
def test_a_deployment_that_asks_for_what_only_litellm_does_is_litellms(tmp_path: Path, params: str, name: str) -> None:
    other = model(name="other")
    config = read(tmp_path, text(model(params) + other))
    assert engine(config).name == "litellm"
    assert engine(config).reason == f"litellm_params.{name} is LiteLLM's"
    assert engine(config, "other").name == "direct"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("guardrails: [{guardrail_name: g, litellm_params: {guardrail: presidio, mode: pre_call}}]", "guardrails"),
        ("litellm_settings: {callbacks: [my.own]}", "litellm_settings.callbacks"),
        ("litellm_settings: {callbacks: my.own}", "litellm_settings.callbacks"),
        ("litellm_settings: {success_callback: [datadog]}", "litellm_settings.success_callback"),
        ("litellm_settings: {failure_callback: [datadog]}", "litellm_settings.failure_callback"),
        ("litellm_settings: {post_call_rules: my.rule}", "litellm_settings.post_call_rules"),
        ("litellm_settings: {modify_params: true}", "litellm_settings.modify_params"),
        ("router_settings: {enable_tag_filtering: true}", "router_settings.enable_tag_filtering"),
        ("router_settings: {optional_pre_call_checks: [prompt_caching]}", "router_settings.optional_pre_call_checks"),
        ("general_settings: {alerting: [slack]}", "general_settings.alerting"),
    ],
)
def test_what_the_config_asks_of_litellm_holds_for_every_model(tmp_path: Path, settings: str, name: str) -> None:
    config = read(tmp_path, text(model() + model(name="other"), settings + "\n"))
    assert [(engine(config, one).name, engine(config, one).reason) for one in ("m", "other")] == [
        ("litellm", f"{name} is LiteLLM's")
    ] * 2


@pytest.mark.parametrize(
    "settings",
    [
        "litellm_settings: {callbacks: scalix_callbacks.gateway_callbacks, request_timeout: 30, drop_params: true}",
        "litellm_settings: {callbacks: [scalix_callbacks.gateway_callbacks, prometheus], cache: true}",
        "litellm_settings: {success_callback: [], modify_params: false, headers: {x-team: a}}",
        "router_settings: {routing_strategy: least-busy, timeout: 30}",
        "guardrails: []",
    ],
)
def test_what_asks_for_nothing_of_litellms_own_changes_nothing(tmp_path: Path, settings: str) -> None:
    assert engine(read(tmp_path, text(model(), settings + "\n"))).name == "direct"


def test_of_several_deployments_each_has_its_engine(tmp_path: Path) -> None:
    several = model() + model(provider="anthropic") + model(info=", engine: litellm") + model(", tools: [{type: t}]")
    chosen = read(tmp_path, text(several)).policy.models["m"]
    assert [(one.id, one.engine.name, one.engine.reason) for one in chosen.deployments] == [
        ("m#1", "direct", "openai speaks OpenAI's format"),
        ("m#2", "litellm", "anthropic is translated"),
        ("m#3", "litellm", "model_info.engine is litellm"),
        ("m#4", "litellm", "litellm_params.tools is LiteLLM's"),
    ]
    # Where a request names what one of them keeps, LiteLLM finds it.
    assert chosen.engine.name == "litellm"


def test_among_several_entries_of_one_wildcard_litellm_chooses(tmp_path: Path) -> None:
    wild = (
        "  - {model_name: 'own/*', litellm_params: {model: 'openai/*', api_base: 'http://127.0.0.1:9', api_key: a}}\n"
    )
    chosen = read(tmp_path, text(wild * 2)).policy.models_with("own/x")["own/x"].engine
    assert (chosen.name, chosen.reason) == ("litellm", "LiteLLM chooses among its 2 entries")


def test_a_deployment_that_is_left_out_does_not_count(tmp_path: Path) -> None:
    left_out = model().replace("OPENAI_API_KEY", "NOT_SET")
    (one,) = read(tmp_path, text(model() + left_out)).policy.models["m"].deployments
    assert one.engine.name == "direct"


def test_where_only_litellm_knows_the_price_its_cost_is_needed(tmp_path: Path) -> None:
    config = text(model(provider="xai"))
    assert engine(read(tmp_path, config)).reason == "only LiteLLM knows its price"


@pytest.mark.parametrize(("mode", "path"), [("embedding", "/embeddings"), ("responses", "/responses")])
def test_a_model_for_another_route_is_litellms_until_the_direct_engine_has_the_route(
    tmp_path: Path, mode: str, path: str
) -> None:
    chosen = engine(read(tmp_path, text(model(info=f", mode: {mode}"))))
    route = next(route for route in Route if route.row.path == path)
    if route in DIRECT["openai"]:
        assert chosen.direct == {route}
    else:
        assert chosen.reason == f"the direct engine has no {path}"


def test_a_wildcards_names_have_the_engine_of_its_deployment(tmp_path: Path) -> None:
    wild = (
        "  - {model_name: 'own/*', litellm_params: {model: 'openai/*', api_base: 'http://127.0.0.1:9', api_key: a}}\n"
        "  - {model_name: 'c/*', litellm_params: {model: 'anthropic/*', api_base: 'http://127.0.0.1:9', api_key: a}}\n"
    )
    policy = read(tmp_path, text(wild)).policy
    assert policy.models_with("own/x")["own/x"].engine.name == "direct"
    assert policy.models_with("c/x")["c/x"].engine.name == "litellm"


def test_a_bare_name_is_openais_where_litellm_says_so(tmp_path: Path) -> None:
    bare = "  - {model_name: m, litellm_params: {model: gpt-4o, api_key: k}}\n"
    assert engine(read(tmp_path, text(bare))).name == "direct"


def test_the_section_forces_litellm_for_every_model(tmp_path: Path) -> None:
    chosen = engine(read(tmp_path, text(model(), section=", engine: litellm")))
    assert (chosen.name, chosen.reason) == ("litellm", "scalix.engine is litellm")


def test_a_model_can_force_litellm_for_itself(tmp_path: Path) -> None:
    config = read(tmp_path, text(model(info=", engine: litellm") + model(name="other", info=", engine: direct")))
    assert engine(config).reason == "model_info.engine is litellm"
    assert engine(config, "other").name == "direct"


@pytest.mark.parametrize(
    ("models", "section", "why"),
    [
        (model(provider="anthropic", info=", engine: direct"), "", "anthropic is translated"),
        (model(", tools: [{type: web_search}]", info=", engine: direct"), "", "litellm_params.tools is LiteLLM's"),
        (model(info=", engine: direct"), ", engine: litellm", "scalix.engine is litellm"),
        (model(provider="anthropic", info=", engine: direct") + model(), "", "anthropic is translated"),
    ],
)
def test_direct_where_it_can_not_be_is_an_error_that_says_why(
    tmp_path: Path, models: str, section: str, why: str
) -> None:
    problem = problem_of(tmp_path, text(models, section=section))
    assert problem.what == f"model_info.engine of 'm' is direct, which can't be: {why}"
    assert problem.where.rpartition(":")[2] == "4"


@pytest.mark.parametrize(
    ("config", "word"),
    [(text(model(), section=", engine: direct"), "engine"), (text(model(info=", engine: fast")), "engine")],
)
def test_another_word_is_a_problem_with_its_line(tmp_path: Path, config: str, word: str) -> None:
    problem = problem_of(tmp_path, config)
    assert word in problem.what
    assert "litellm" in problem.fix


def test_the_workers_are_told_by_the_policy(tmp_path: Path) -> None:
    policy = read(tmp_path, text(model() + model(name="other", provider="anthropic"))).policy
    write_policy(tmp_path / "policy.json", 1, policy)
    assert read_policy(tmp_path / "policy.json")[1].models == policy.models


def test_two_instances_are_told_each_by_its_own_config(tmp_path: Path) -> None:
    for name, section in (("one", ""), ("two", ", engine: litellm")):
        folder = tmp_path / name
        folder.mkdir()
        write_policy(folder / "policy.json", 1, read(folder, text(model(), section=section)).policy)
    told = [read_policy(tmp_path / name / "policy.json")[1].models["m"].engine.name for name in ("one", "two")]
    assert told == ["direct", "litellm"]


def test_a_policy_that_another_version_has_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"models": {"m": {"served_by": "what this version does not know"}}}', encoding="utf-8")
    write_policy(path, 1, read(tmp_path, text(model())).policy)
    assert read_policy(path)[1].models["m"].engine.name == "direct"


def test_a_gateway_without_a_section_of_ours_chooses_too(tmp_path: Path) -> None:
    assert engine(read(tmp_path, f"model_list:\n{model()}")).name == "direct"


def test_every_setting_that_decides_is_one_that_is_honoured() -> None:
    tables = {**TABLES, "": SECTIONS, "litellm_params": TABLES["model_list.litellm_params"]}
    # LiteLLM takes any name there; these are read by its wrapper of calls.
    free = {"callbacks", "success_callback", "failure_callback", "client_certificate"}
    for section, names in ONLY_LITELLM.items():
        for name in set(names) - (free if section == "litellm_params" else set()):
            assert tables[section][name].kind is Kind.HONOURED, name


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        ("api_key: os.environ/OPENAI_API_KEY", "azure speaks OpenAI's format"),
        ("tenant_id: t, client_id: c, client_secret: s", "litellm_params.tenant_id is LiteLLM's"),
        ("api_key: os.environ/OPENAI_API_KEY, azure_ad_token: t", "litellm_params.azure_ad_token is LiteLLM's"),
        ("azure_scope: s", "without an api_key LiteLLM looks for Azure's credentials"),
    ],
)
def test_azure_is_asked_directly_with_a_key_and_by_litellm_with_tokens_that_are_renewed(
    tmp_path: Path, credentials: str, reason: str
) -> None:
    config = model(provider="azure").replace("api_key: os.environ/OPENAI_API_KEY", credentials)
    address = "model: 'azure/served', api_base: 'https://ours.openai.azure.com', api_version: '2024-10-21'"
    chosen = engine(read(tmp_path, text(config.replace("model: 'azure/served'", address))))
    assert chosen.reason == reason
    assert bool(chosen.direct) is (reason == "azure speaks OpenAI's format")
