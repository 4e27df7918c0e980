"""What is taken out of LiteLLM's proxy, and what stays where it has something to do or is not known."""

import logging

import pytest
from litellm.proxy import hooks
from litellm.proxy.proxy_server import app as litellm_app
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from scalix.litellm_adapter.trimming import HOOKS, MIDDLEWARE, trim


@pytest.fixture(autouse=True)
def _hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "PROXY_HOOKS", dict(hooks.PROXY_HOOKS))


def names(app: Starlette) -> list[str]:
    return [entry.cls.__name__ for entry in app.user_middleware]  # type: ignore[attr-defined]


def test_every_name_is_one_of_this_litellms() -> None:
    assert HOOKS.keys() <= hooks.PROXY_HOOKS.keys()
    assert MIDDLEWARE.keys() <= set(names(litellm_app))


def test_what_is_needed_stays() -> None:
    app = Starlette(middleware=[Middleware(CORSMiddleware), Middleware(TrustedHostMiddleware)])
    trim(app, "model_list: []")
    assert names(app) == ["TrustedHostMiddleware"]
    assert set(hooks.PROXY_HOOKS) == {"responses_id_security"}


def test_what_the_config_asks_for_stays() -> None:
    trim(Starlette(), "guardrails:\n  - guardrail_name: pii")
    assert "sensitive_data_routing" in hooks.PROXY_HOOKS


def test_another_version_of_litellm_is_a_warning_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(hooks, "PROXY_HOOKS")
    logging.getLogger("scalix.trimming").propagate = True
    with caplog.at_level("WARNING", "scalix.trimming"):
        trim(object(), "")
    assert "list of hooks is not where it was" in caplog.text
    assert "list of middleware is not where it was" in caplog.text
