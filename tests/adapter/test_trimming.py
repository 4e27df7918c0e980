"""What is taken out of LiteLLM's proxy, and what stays where it has something to do or is not known."""

import logging
import re
from pathlib import Path

import pytest
from litellm.proxy.proxy_server import app as litellm_app
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from scalix.launch.config.config_file import read_config
from scalix.launch.config.render import render
from scalix.litellm_adapter import sdk_models, trimmed_calls, trimmed_reports
from scalix.litellm_adapter.direct_endpoints import DirectEndpoints
from scalix.litellm_adapter.trimming import PARTS, parts_of, trim

ROOT = Path(__file__).parent.parent.parent
CALLED = {
    "leave_out_deployment_counts": trimmed_calls,
    "leave_out_rewriting": trimmed_calls,
    "leave_out_cost": trimmed_reports,
    "leave_out_logging_payload": trimmed_reports,
    "shorten": sdk_models,
    "remember_extras": sdk_models,
}


@pytest.fixture(autouse=True)
def trimmed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what would have been left out of LiteLLM's calls, which stay whole in this process."""
    done: list[str] = []
    for name, module in CALLED.items():
        monkeypatch.setattr(module, name, lambda name=name: done.append(name))
    return done


def test_calls_are_trimmed_of_what_nothing_in_the_config_asks_for(trimmed: list[str]) -> None:
    trim(Starlette(), "model_list: []\nlitellm_settings:\n  callbacks:\n    - scalix_callbacks.gateway_callbacks\n")
    assert set(trimmed) == CALLED.keys()


@pytest.mark.parametrize(
    ("config", "stays"),
    [
        ("litellm_params: {model: openai/x, rpm: 60}", "leave_out_deployment_counts"),
        ("router_settings: {routing_strategy: latency-based-routing}", "leave_out_deployment_counts"),
        ("success_callback: [langfuse]", "leave_out_cost"),
        ('  "callbacks":\n    - "scalix_callbacks.gateway_callbacks"\n    - "langfuse"\n', "leave_out_cost"),
        ("success_callback: [langfuse]", "leave_out_logging_payload"),
        ('  "callbacks":\n    - "scalix_callbacks.gateway_callbacks"\n    - "langfuse"\n', "leave_out_logging_payload"),
        ("litellm_settings: {include_cost_in_streaming_usage: true}", "leave_out_cost"),
        ("router_settings: {provider_budget_config: {}}", "leave_out_cost"),
        ("litellm_params: {model: openai/x, tpm: 60}", "leave_out_logging_payload"),
        ("router_settings: {optional_pre_call_checks: [prompt_caching]}", "leave_out_logging_payload"),
        ("guardrails: []", "leave_out_logging_payload"),
        ("general_settings: {database_url: x}", "leave_out_cost"),
        ("include: [more.yaml]", "shorten"),
    ],
)
def test_what_the_config_asks_for_stays_in_calls(config: str, stays: str, trimmed: list[str]) -> None:
    trim(Starlette(), config)
    assert stays not in trimmed


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("", PARTS.keys()),
        ("1", PARTS.keys()),
        ("on", PARTS.keys()),
        ("0", frozenset()),
        ("off", frozenset()),
        ("rewriting, http_layer", {"rewriting", "http_layer"}),
    ],
)
def test_the_setting_names_what_is_trimmed(setting: str, parts: frozenset[str]) -> None:
    assert parts_of(setting) == parts


def test_endpoints_are_called_directly_where_nothing_stands_around_them() -> None:
    app = Starlette(middleware=[Middleware(CORSMiddleware)])
    assert trim(app, "", parts_of("rewriting")) is app
    assert isinstance(trim(app, "", parts_of("http_layer")), DirectEndpoints)
    assert isinstance(trim(app, ""), DirectEndpoints)
    for config in ("general_settings: {custom_auth_run_common_checks: true}", "litellm_settings: {callbacks: [otel]}"):
        assert trim(app, config) is app
    assert trim(Starlette(middleware=[Middleware(TrustedHostMiddleware)]), "").__class__ is Starlette


def test_middleware_that_the_config_gives_something_to_do_has_fastapi_call_the_endpoints() -> None:
    class AdmissionControlMiddleware(CORSMiddleware): ...

    app = Starlette(middleware=[Middleware(AdmissionControlMiddleware)])
    assert isinstance(trim(app, "model_list: []"), DirectEndpoints)
    assert trim(app, "general_settings: {admission_control: {}}") is app


def test_another_version_of_litellm_is_a_warning_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(litellm_app, "user_middleware")
    logging.getLogger("scalix.seams").propagate = True
    with caplog.at_level("WARNING", "scalix.seams"):
        assert trim(litellm_app, "") is litellm_app
    assert "user_middleware is not there" in caplog.text


def test_nothing_is_trimmed_when_it_is_off(trimmed: list[str]) -> None:
    app = Starlette(middleware=[Middleware(CORSMiddleware)])
    assert trim(app, "", parts_of("0")) is app
    assert not trimmed


@pytest.mark.parametrize("keys", ["every provider's", "one"])
def test_the_shipped_config_is_trimmed_of_all_of_it(keys: str, trimmed: list[str]) -> None:
    shipped = ROOT / "litellm_proxy_config.yaml"
    names_of_keys = set(re.findall(r"[A-Z_]+_(?:API_KEY|BASE_URL)", shipped.read_text(encoding="utf-8")))
    given = names_of_keys if keys == "every provider's" else {"OPENAI_API_KEY"}
    environment = dict.fromkeys(given, "http://provider/v1") | {"LITELLM_MASTER_KEY": "sk-master-0123456789"}
    config = read_config(shipped, environment)
    app = Starlette(middleware=[Middleware(entry.cls) for entry in litellm_app.user_middleware])
    assert isinstance(trim(app, render(config.litellm)), DirectEndpoints)
    assert set(trimmed) == CALLED.keys()
