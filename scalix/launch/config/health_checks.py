"""Takes LiteLLM's settings of its background health checks: the gateway makes them itself, once for all workers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalix.domain.health_checks import HealthChecks
from scalix.launch.config.deployments import Rendered
from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step

_GENERAL, _ROUTER = "general_settings", "router_settings"
_ON, _INTERVAL = "background_health_checks", "health_check_interval"
_GROUPS = "background_health_check_model_groups"
_TIMEOUT, _OFF = "health_check_timeout", "disable_background_health_check"
DEFAULT_INTERVAL_S, DEFAULT_TIMEOUT_S = 300, 10  # the first as in LiteLLM
_LEAST_INTERVAL_S, _LONGEST_INTERVAL_S, _LONGEST_TIMEOUT_S = 5, 86_400, 60


@dataclass(frozen=True, slots=True)
class WantedChecks:
    """What the file asks for; `interval_s` of 0 is nothing. `groups`: the only models that are checked, if not all."""

    interval_s: int = 0
    groups: Collection[str] | None = None


def take_health_checks(findings: Findings) -> WantedChecks:
    """Remove the settings from LiteLLM's sections, by which each worker would make checks, and return them."""
    source = findings.source
    on, interval_s = source.take(_GENERAL, _ON), source.take(_GENERAL, _INTERVAL)
    routers, groups = source.take(_ROUTER, _GROUPS), source.take(_GENERAL, _GROUPS)
    groups = routers if groups is None else groups
    if on not in (None, True, False):
        findings.wrong((_GENERAL, _ON), f"{_GENERAL}.{_ON} is neither true nor false", "write true or false")
    if not _is_whole(interval_s, _LEAST_INTERVAL_S, _LONGEST_INTERVAL_S):
        what = f"{_GENERAL}.{_INTERVAL} is not a number of seconds from {_LEAST_INTERVAL_S} to {_LONGEST_INTERVAL_S}"
        findings.wrong((_GENERAL, _INTERVAL), what, f"write a number such as {DEFAULT_INTERVAL_S}")
        interval_s = None
    if groups is not None and not (isinstance(groups, list) and all(isinstance(name, str) for name in groups)):
        findings.wrong((_GENERAL, _GROUPS), f"{_GROUPS} is not a list of models", "write [first, second]")
        groups = None
    if on is not True:
        for name, value in ((_INTERVAL, interval_s), (_GROUPS, groups)):
            if value is not None:
                findings.no_effect((_GENERAL, name), f"{_GENERAL}.{name}", f"{_ON} is not true")
        return WantedChecks()
    interval_s = DEFAULT_INTERVAL_S if interval_s is None else interval_s
    what = (
        f"{_ON}: each deployment is asked for one token every {interval_s} s, by one worker of all, and rests while it"
    )
    findings.becomes((_GENERAL, _ON), f"{what} does not answer (docs/deployments.md)")
    return WantedChecks(interval_s, groups)


def health_checks(wanted: WantedChecks, in_service: Sequence[Rendered], findings: Findings) -> HealthChecks:
    """The checks of the deployments in service. What is wrong in their `model_info` is a problem."""
    timeouts_s, names = dict[str, int](), [item.name for item in in_service]
    for item in in_service:
        info, name = item.entry.get("model_info", {}), item.ident or item.name
        steps = (*item.steps, "model_info")
        timeout_s = _timeout_of(info, steps, findings)
        if not wanted.interval_s or info.get(_OFF) is True:
            continue
        if wanted.groups is not None and item.name not in wanted.groups:
            continue
        if "*" in item.name or (not item.ident and names.count(item.name) > 1):
            why = "names behind a wildcard have none" if "*" in item.name else "LiteLLM chooses among its entries"
            findings.no_effect(item.steps, f"{_ON} for '{item.name}'", why)
            continue
        timeouts_s[name] = timeout_s
    return HealthChecks(wanted.interval_s, timeouts_s)


def _timeout_of(info: Mapping[str, Any], steps: Sequence[Step], findings: Findings) -> int:
    written = info.get(_TIMEOUT)
    if not _is_whole(written, 1, _LONGEST_TIMEOUT_S):
        what = f"model_info.{_TIMEOUT} is not a number of seconds from 1 to {_LONGEST_TIMEOUT_S}"
        findings.wrong((*steps, _TIMEOUT), what, f"write a number such as {DEFAULT_TIMEOUT_S}")
        written = None
    return DEFAULT_TIMEOUT_S if written is None else int(written)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return value is None or (type(value) is int and least <= value <= most)
