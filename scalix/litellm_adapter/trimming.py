"""Takes out of LiteLLM's proxy what has nothing to do under the gateway's edge, and costs every request its share.

These are hooks and middleware of a proxy that keeps keys, budgets and sessions of its own and is open to browsers; the
edge authenticates, limits and filters before LiteLLM sees a request. LiteLLM has no settings for them, so its lists are
changed before it starts. What is not as `seams` says is left as it is, with a warning: it works all the same, only
slower.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from scalix.litellm_adapter.seam_checks import APP, found_at, name_of, stand
from scalix.litellm_adapter.seams import HOOKS, MIDDLEWARE

log = logging.getLogger("scalix.trimming")

_HOOKS = "litellm.proxy.hooks:PROXY_HOOKS"

# Under these LiteLLM's own authentication has something to do: its checks, or the spans of a request's trace.
_AUTH = (
    "custom_auth_run_common_checks",
    "enable_post_custom_auth_checks",
    "otel",
    "opentelemetry",
    "logfire",
    "langtrace",
    "agentops",
    "levo",
    "traceloop",
    "signoz",
    "arize",
)
# Under these its router or its proxy counts by deployment.
_COUNTS = ("tpm", "rpm", "routing_strategy", "rate_limit", "usage-based")
# Under these somebody reads what it says of costs.
_COSTS = ("success_callback", "discount", "margin", "budget", "include_cost", "database_url")
# A file that LiteLLM reads besides, and which may ask for anything.
_INCLUDE = re.compile(r"""(?m)^\s*["']?include["']?\s*:""")
# Parts of LiteLLM's work for each call -> what gives them something to do after all.
CALLS: Mapping[str, tuple[str, ...]] = {
    "auth": _AUTH,
    "http_layer": _AUTH,
    "deployment_counts": _COUNTS,
    **dict.fromkeys(("cost", "cost_breakdown"), _COSTS),
    "logging_payload": (*_COSTS, *_COUNTS, "pre_call_checks", "guardrails"),
    "rewriting": (),
    "sdk_models": (),
}
PARTS = frozenset({"hooks", "middleware", *CALLS})
# Somebody else's callback may want what ours does not.
_SEVERAL_CALLBACKS = re.compile(r"""^\s*["']?callbacks["']?:\s*\n(?:\s*- .*\n?){2,}""", re.M)


def parts_of(setting: str) -> frozenset[str]:
    """`SCALIX_TRIM_LITELLM`: 0 or 1 for none or all of `PARTS`, or a list of them with commas."""
    text = setting.strip().lower()
    if text in ("", "1", "true", "yes", "on"):
        return PARTS
    return PARTS & frozenset(word.strip() for word in text.split(","))


def trim(app: Any, config_text: str, parts: frozenset[str] = PARTS) -> Any:
    """Trim LiteLLM's proxy `app`, which must not have started, and return what is to be called in its place.
    `config_text` is the config that it will read."""
    text = config_text.lower()
    if _INCLUDE.search(text):
        log.warning("the config includes other files, which may ask for anything: LiteLLM is left as it is")
        return app
    if "hooks" in parts:
        _trim_hooks(text)
    if "middleware" in parts:
        _trim_middleware(app, text)
    calls = parts & _unneeded(CALLS, text)
    _trim_calls(calls, several_callbacks=bool(_SEVERAL_CALLBACKS.search(text)))
    return _direct(app) if {"auth", "http_layer"} <= calls else app


def _direct(app: Any) -> Any:
    from scalix.litellm_adapter.direct_endpoints import DirectEndpoints, is_possible

    return DirectEndpoints(app) if is_possible(app) else app


def _trim_calls(parts: frozenset[str], *, several_callbacks: bool) -> None:
    from scalix.litellm_adapter import sdk_models, trimmed_calls, trimmed_reports

    if "auth" in parts:
        trimmed_calls.trust_the_edge()
    if "deployment_counts" in parts:
        trimmed_calls.leave_out_deployment_counts()
    if not several_callbacks:
        for name, leave_out in (
            ("cost_breakdown", trimmed_calls.leave_out_cost_breakdown),
            ("cost", trimmed_reports.leave_out_cost),
            ("logging_payload", trimmed_reports.leave_out_logging_payload),
        ):
            if name in parts:
                leave_out()
    if "rewriting" in parts:
        trimmed_calls.leave_out_rewriting()
    if "sdk_models" in parts:
        sdk_models.shorten()
        sdk_models.remember_extras()


def _trim_hooks(config_text: str) -> None:
    if stand(_HOOKS):
        for name in _unneeded(HOOKS, config_text):
            if stand(f"{_HOOKS}[{name}]"):
                del found_at(_HOOKS)[name]


def _trim_middleware(app: Any, config_text: str) -> None:
    if stand(f"{APP}.user_middleware"):
        unneeded = {name for name in _unneeded(MIDDLEWARE, config_text) if stand(f"{APP}.user_middleware[{name}]")}
        app.user_middleware = [entry for entry in app.user_middleware if name_of(entry) not in unneeded]


def _unneeded(table: Mapping[str, tuple[str, ...]], config_text: str) -> set[str]:
    return {name for name, words in table.items() if not any(re.search(word, config_text) for word in words)}
