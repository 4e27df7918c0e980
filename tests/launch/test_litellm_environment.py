"""Which variables LiteLLM gets to see: each that its code reads is in a group, and no other is kept from anybody."""

from typing import Any

import pytest

from scalix.launch.config.config_file import read_config
from scalix.launch.settings.litellm_environment import explained, group_of, kept_out
from scalix.launch.settings.variable_notes import unknown_variables
from tests.e2e.gateways import ROOT
from tests.launch.litellm_names import names_read

PLAIN: dict[str, Any] = {
    "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/x", "api_key": "os.environ/A_KEY"}}],
    "litellm_settings": {"callbacks": ["scalix_callbacks.gateway_callbacks"]},
    "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
}
KEPT_OUT = [
    *("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_URL", "REDIS_CLUSTER_NODES", "VALKEY_HOST", "QDRANT_URL"),
    *("DATABASE_URL", "DATABASE_HOST", "DIRECT_URL", "STORE_MODEL_IN_DB", "LITELLM_CONFIG_BUCKET_NAME"),
    *("OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "AZURE_API_BASE", "OLLAMA_API_BASE", "WATSONX_URL"),
    *("AWS_BEDROCK_RUNTIME_ENDPOINT", "GEMINI_API_BASE", "USE_LITELLM_PROXY", "LITELLM_PROXY_API_BASE"),
    *("HCP_VAULT_ADDR", "AZURE_KEY_VAULT_URI", "CYBERARK_API_BASE", "GOOGLE_SECRET_MANAGER_PROJECT_ID", "USE_AWS_KMS"),
    *(
        "SLACK_WEBHOOK_URL",
        "WEBHOOK_URL",
        "SMTP_HOST",
        "LANGFUSE_SECRET_KEY",
        "DD_API_KEY",
        "OTEL_EXPORTER",
    ),
    *("LITELLM_MODEL_COST_MAP_URL", "LITELLM_LICENSE", "GENERIC_CLIENT_ID", "UI_PASSWORD", "WORKER_CONFIG"),
]
PASSED = [
    *(
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "AZURE_API_KEY",
        "GEMINI_API_KEY",
        "HF_TOKEN",
        "CO_API_KEY",
        "OPENAI_PROJECT",
    ),
    *(
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_ENDPOINT_URL",
        "AZURE_CLIENT_SECRET",
    ),
    *("GOOGLE_APPLICATION_CREDENTIALS", "VERTEX_PROJECT", "AZURE_AUTHORITY_HOST", "OCI_REGION", "WATSONX_TOKEN"),
    *(
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "SSL_VERIFY",
        "REQUEST_TIMEOUT",
        "PATH",
        "HOME",
    ),
    # LiteLLM reads none of these.
    *(
        "MY_REDIS_URL",
        "MY_API_BASE",
        "APP_DATABASE_URL",
        "DATABASE_POOL",
        "GITHUB_API_URL",
        "PROXY_TOKEN",
        "SCALIX_ENV",
    ),
]


@pytest.fixture(scope="module")
def read() -> dict[str, frozenset[str]]:
    return names_read()


def test_every_variable_that_litellm_reads_is_in_a_group(read: dict[str, frozenset[str]]) -> None:
    """A new LiteLLM may read more: say of each new name, in `litellm_environment.py`, whether it may."""
    assert len(read) > 1200
    assert {name: sorted(files) for name, files in read.items() if group_of(name) is None} == {}


def test_no_variable_that_litellm_reads_is_taken_for_a_mistake(read: dict[str, frozenset[str]]) -> None:
    assert len(read) > 1200
    assert list(unknown_variables(dict.fromkeys(read, "1"), ())) == []


def test_the_search_finds_names_however_they_are_read(read: dict[str, frozenset[str]]) -> None:
    # By os.getenv, get_secret, os.environ[…], a constant's name, a number's helper, a list of providers
    seen = {"OPENAI_BASE_URL", "REDIS_CLUSTER_NODES", "AWS_REGION", "OCI_REGION", "MAX_RETRY_DELAY", "REKA_API_BASE"}
    assert seen <= read.keys()
    assert group_of("A_NAME_OF_A_LATER_VERSION") is None


def test_what_a_config_does_not_ask_for_is_kept_out_and_the_rest_passes() -> None:
    values = dict.fromkeys([*KEPT_OUT, *PASSED], "x")
    assert sorted(kept_out(values, PLAIN)) == sorted(KEPT_OUT)


@pytest.mark.parametrize("name", ["OPENAI_API_BASE", "AZURE_API_BASE", "REDIS_HOST", "LANGFUSE_HOST", "WEBHOOK_URL"])
def test_what_the_config_refers_to_passes(name: str) -> None:
    model = {"model_name": "m", "litellm_params": {"model": "openai/x", "api_base": f"os.environ/{name}"}}
    assert kept_out({name: "x"}, {**PLAIN, "model_list": [model]}) == {}


def test_a_database_is_kept_out_even_where_the_config_refers_to_it() -> None:
    config = {**PLAIN, "general_settings": {"database_url": "os.environ/DATABASE_URL"}}
    assert list(kept_out({"DATABASE_URL": "x"}, config)) == ["DATABASE_URL"]


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ({"litellm_settings": {"success_callback": ["langfuse"]}}, ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"]),
        ({"litellm_settings": {"callbacks": ["datadog"]}}, ["DD_API_KEY", "DD_SITE"]),
        ({"litellm_settings": {"callbacks": ["otel"]}}, ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_HEADERS"]),
        ({"litellm_settings": {"cache": True, "cache_params": {"type": "redis"}}}, ["REDIS_HOST", "REDIS_PASSWORD"]),
        ({"general_settings": {"alerting": ["slack"]}}, ["SLACK_WEBHOOK_URL"]),
        ({"general_settings": {"key_management_system": "hashicorp_vault"}}, ["HCP_VAULT_ADDR", "HCP_VAULT_TOKEN"]),
        ({"guardrails": [{"litellm_params": {"guardrail": "lakera_v2"}}]}, ["LAKERA_API_KEY"]),
    ],
)
def test_a_service_that_the_config_names_gets_its_own_and_no_others(section: dict[str, Any], names: list[str]) -> None:
    others = [name for name in ("ARGILLA_API_KEY", "POSTHOG_API_KEY", "OPENAI_BASE_URL") if name not in names]
    assert sorted(kept_out(dict.fromkeys([*names, *others], "x"), PLAIN | section)) == sorted(others)


def test_a_models_name_is_no_service() -> None:
    model = {"model_name": "langfuse", "litellm_params": {"model": "openai/langfuse", "api_key": "x"}}
    assert list(kept_out({"LANGFUSE_SECRET_KEY": "x"}, PLAIN | {"model_list": [model]})) == ["LANGFUSE_SECRET_KEY"]


def test_the_secret_of_an_issuer_passes_whatever_it_is_called() -> None:
    assert kept_out({"OAUTH_CLIENT_SECRET": "x"}, PLAIN, ["OAUTH_CLIENT_SECRET"]) == {}


def test_the_shipped_config_names_no_service() -> None:
    config = read_config(ROOT / "litellm_proxy_config.yaml", {}, demo=True).litellm
    services = {name for name in KEPT_OUT if not name.endswith(("_BASE", "_URL"))}
    assert services <= kept_out(dict.fromkeys(services, "x"), config).keys()


def test_the_operator_is_told_names_and_reasons_and_no_value() -> None:
    values = {"REDIS_HOST": "canary", "REDIS_PORT": "canary", "OPENAI_BASE_URL": "canary", "DATABASE_URL": "canary"}
    lines = list(explained(kept_out(values, PLAIN)))
    assert len(lines) == 3
    assert "canary" not in "".join(lines)
    assert any("REDIS_HOST, REDIS_PORT" in line for line in lines)
    assert any("OPENAI_BASE_URL" in line and "${OPENAI_BASE_URL} in the config" in line for line in lines)
