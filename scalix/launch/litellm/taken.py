"""Reads the settings of LiteLLM's that go into the policy directly: second names of models, the header that names
a user, and the defaults and bounds of new keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import re2

from scalix.domain.deployments import STRATEGIES, WEIGHTS
from scalix.domain.identity.key_bounds import AMOUNTS, DEFAULTS, SPANS
from scalix.domain.limits.spans import span_ms
from scalix.launch.config.findings import Findings
from scalix.launch.config.name_checks import model_names

_HEADER = re2.compile(r"[A-Za-z0-9-]{1,64}")
# By which callers show who they are, or which a client or a proxy sets for another purpose.
_OUR_NAME = "weighted_round_robin"  # what it is called in the product's documents
_NO_USER = frozenset({"authorization", "x-api-key", "api-key", "host", "x-forwarded-for", "content-type", "cookie"})


@dataclass(frozen=True, slots=True)
class Taken:
    """The settings, as plain data for the policy. `user_header` is in lower case, and empty for none."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    user_header: str = ""
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    key_bounds: Mapping[str, Any] = field(default_factory=dict)
    routing_strategy: str = WEIGHTS


def take_rest(findings: Findings) -> Taken:
    """Remove these settings from the file and return them."""
    return Taken(
        _aliases(findings),
        _user_header(findings),
        _of_keys(findings, "default_key_generate_params", DEFAULTS),
        _of_keys(findings, "upperbound_key_generate_params", frozenset({*AMOUNTS, *SPANS})),
        _strategy(findings),
    )


def _strategy(findings: Findings) -> str:
    """How deployments are chosen. LiteLLM is told too: it chooses among those of one wildcard."""
    steps = ("router_settings", "routing_strategy")
    written = findings.source.at(steps)
    if written is None:
        return WEIGHTS
    if written == _OUR_NAME:
        findings.source.mapping("router_settings")["routing_strategy"] = written = WEIGHTS
    if written not in STRATEGIES:
        what = f"router_settings.routing_strategy: {str(written)[:64]!r} is no way to choose a deployment"
        findings.wrong(steps, what, f"write one of {', '.join(STRATEGIES)}")
        return WEIGHTS
    return str(written)


def _user_header(findings: Findings) -> str:
    steps = ("general_settings", "user_header_name")
    written = findings.source.take(*steps)
    if written is None:
        return ""
    name = str(written).lower()
    if not _HEADER.fullmatch(name) or name in _NO_USER:
        what = f"general_settings.user_header_name: {str(written)[:64]!r} can't name a user"
        findings.wrong(steps, what, "write a header of your own, such as X-App-User-Id")
        return ""
    findings.becomes(steps, f"user_header_name: {written} names the user of requests with the master key")
    return name


def _of_keys(findings: Findings, setting: str, known: frozenset[str]) -> dict[str, Any]:
    """Return the fields of a setting about new keys, of which keys have those that are `known`."""
    steps = ("litellm_settings", setting)
    written = findings.source.take(*steps)
    found: dict[str, Any] = {}
    for name, value in written.items() if isinstance(written, dict) else ():
        if value is None:
            continue
        if name not in known:
            findings.no_effect((*steps, name), f"{setting}.{name}", "keys have no such field")
        elif name in SPANS and span_ms(value) is None:
            findings.wrong((*steps, name), f"{setting}.{name} is no time", "write one such as 24h, 30d or 1mo")
        elif name in AMOUNTS and (isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0):
            findings.wrong((*steps, name), f"{setting}.{name} is no number", "write one such as 10, 0 for none")
        else:
            found[name] = float(value) if isinstance(value, Decimal) else value
    if found:
        findings.becomes(steps, f"{setting} holds for keys: {', '.join(found)}")
    return found


def _aliases(findings: Findings) -> dict[str, str]:
    """Return the second names of models by alias, without those that name a model or whose target does not exist."""
    steps = ("router_settings", "model_group_alias")
    written = findings.source.take(*steps)
    models = model_names(findings.source)
    found: dict[str, str] = {}
    for alias, value in written.items() if isinstance(written, dict) else ():
        target = value.get("model") if isinstance(value, dict) else value
        subject = f"model_group_alias.{alias}"
        if alias in models:
            findings.no_effect((*steps, alias), subject, "it is a model in model_list")
        elif target not in models:
            findings.no_effect((*steps, alias), subject, f"model_list does not have {target}")
        else:
            found[str(alias)] = str(target)
            findings.becomes((*steps, alias), f"{subject} stands for {target}, whose tier and price hold")
    return found
