"""Leaves out of LiteLLM what has nothing to do under the gateway's edge, and costs every request its share.

The edge authenticates, limits and filters before LiteLLM sees a request, and settles after it. LiteLLM has no settings
for what it does besides, so its functions are replaced before it starts. What is not as `seams` says is left as it is,
with a warning: it works all the same, only slower.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from scalix.litellm_adapter.seams import MIDDLEWARE

log = logging.getLogger("scalix.trimming")

# A file that LiteLLM reads besides, and which may ask for anything.
_INCLUDE = re.compile(r"""(?m)^\s*["']?include["']?\s*:""")
# Under these its router or its proxy counts by deployment.
_COUNTS = ("tpm", "rpm", "routing_strategy", "rate_limit", "usage-based")
# Under these somebody reads what it says of costs; the last: callbacks beside ours.
_SEVERAL_CALLBACKS = r"""(?m)^\s*["']?callbacks["']?:\s*\n(?:\s*- .*\n?){2,}"""
_COSTS = ("success_callback", "discount", "margin", "budget", "include_cost", "database_url", _SEVERAL_CALLBACKS)
# Parts of LiteLLM's work for each call -> what in its config gives them something to do after all.
PARTS: Mapping[str, tuple[str, ...]] = {
    # Its own authentication has something to do: its checks, or the spans of a request's trace.
    "http_layer": (
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
    ),
    "deployment_counts": _COUNTS,
    "cost": _COSTS,
    "logging_payload": (*_COSTS, *_COUNTS, "pre_call_checks", "guardrails"),
    "rewriting": (),
    "sdk_models": (),
}


def parts_of(setting: str) -> frozenset[str]:
    """`SCALIX_TRIM_LITELLM`: 0 or 1 for none or all of `PARTS`, or a list of them with commas."""
    text = setting.strip().lower()
    if text in ("", "1", "true", "yes", "on"):
        return frozenset(PARTS)
    return frozenset(PARTS.keys() & {word.strip() for word in text.split(",")})


def trim(app: Any, config_text: str, parts: frozenset[str] = frozenset(PARTS)) -> Any:
    """Trim LiteLLM's proxy `app`, which must not have started, and return what is to be called in its place.
    `config_text` is the config that it will read."""
    from scalix.litellm_adapter import sdk_models, trimmed_calls, trimmed_reports
    from scalix.litellm_adapter.direct_endpoints import DirectEndpoints, is_possible

    text = config_text.lower()
    if _INCLUDE.search(text):
        log.warning("the config includes other files, which may ask for anything: LiteLLM is left as it is")
        return app
    parts &= _unneeded(PARTS, text)
    if "deployment_counts" in parts:
        trimmed_calls.leave_out_deployment_counts()
    if "cost" in parts:
        trimmed_reports.leave_out_cost()
    if "logging_payload" in parts:
        trimmed_reports.leave_out_logging_payload()
    if "rewriting" in parts:
        trimmed_calls.leave_out_rewriting()
    if "sdk_models" in parts:
        sdk_models.shorten()
        sdk_models.remember_extras()
    return DirectEndpoints(app) if "http_layer" in parts and is_possible(app, _unneeded(MIDDLEWARE, text)) else app


def _unneeded(table: Mapping[str, tuple[str, ...]], config_text: str) -> set[str]:
    return {name for name, words in table.items() if not any(re.search(word, config_text) for word in words)}
