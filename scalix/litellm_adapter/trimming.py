"""Takes out of LiteLLM's proxy what has nothing to do under the gateway's edge, and costs every request its share.

These are hooks and middleware of a proxy that keeps keys, budgets and sessions of its own and is open to browsers; the
edge authenticates, limits and filters before LiteLLM sees a request. LiteLLM has no settings for them, so its lists are
changed before it starts. What can't be found is left as it is, with a warning: it works all the same, only slower.
"""

import importlib
import logging
import re
from collections.abc import Mapping
from typing import Any

log = logging.getLogger("scalix.trimming")

# Name of the hook or middleware -> what in LiteLLM's config gives it something to do after all: patterns, for the text
# in small letters.
HOOKS: Mapping[str, tuple[str, ...]] = {
    # Limits by key, user and team, of which our callers' have none: theirs are held by the edge.
    "parallel_request_limiter": (),
    "cache_control_check": (),
    "responses_id_security": (),  # for users that it is not told of; the edge binds ids to its own
    "max_iterations_limiter": ("max_iterations",),
    "max_budget_per_session_limiter": ("budget",),
    "litellm_skills": (),  # read from its database
    "sensitive_data_routing": ("guardrails",),
    "prompt_cache_prediction": ("cache_aware", "prompt_cach"),
    "autorouter_baseline_cache": ("auto_router",),
}
MIDDLEWARE: Mapping[str, tuple[str, ...]] = {
    # The edge is the only client, and writes the headers itself.
    "CORSMiddleware": (),
    "SecurityHeadersMiddleware": (),
    "GZipBufferedResponseMiddleware": (),
    "PrometheusAuthMiddleware": (),
    # Need its database or its licence.
    "BillableRequestMetricsMiddleware": (),
    "BudgetReservationReleaseMiddleware": (),
    "RequestSizeLimitMiddleware": (),
    # The edge counts what is in flight, and uvicorn waits for it at the end.
    "InFlightRequestsMiddleware": (),
    "AdmissionControlMiddleware": ("admission",),
    "RedisRequestBatchMiddleware": ("redis", r"""(?m)^\s*["']?cache(?:_params)?["']?\s*:"""),
}


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
    hooks = getattr(importlib.import_module("litellm.proxy.hooks"), "PROXY_HOOKS", None)
    if not isinstance(hooks, dict):
        log.warning("LiteLLM's list of hooks is not where it was: none is taken out")
        return
    _warn_of_unknown("hook", HOOKS, hooks)
    for name in _unneeded(HOOKS, config_text):
        hooks.pop(name, None)


def _trim_middleware(app: Any, config_text: str) -> None:
    stack = getattr(app, "user_middleware", None)
    if not isinstance(stack, list) or getattr(app, "middleware_stack", None) is not None:
        log.warning("LiteLLM's list of middleware is not where it was: none is taken out")
        return
    _warn_of_unknown("middleware", MIDDLEWARE, {_name(entry) for entry in stack})
    unneeded = _unneeded(MIDDLEWARE, config_text)
    app.user_middleware = [entry for entry in stack if _name(entry) not in unneeded]


def _name(entry: Any) -> str:
    return str(getattr(getattr(entry, "cls", None), "__name__", ""))


def _unneeded(table: Mapping[str, tuple[str, ...]], config_text: str) -> set[str]:
    return {name for name, words in table.items() if not any(re.search(word, config_text) for word in words)}


def _warn_of_unknown(what: str, table: Mapping[str, Any], present: Any) -> None:
    missing = [name for name in table if name not in present]
    if missing:
        log.warning("LiteLLM has no %s %s any more: nothing to take out", what, ", ".join(missing))
