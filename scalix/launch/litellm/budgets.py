"""Turns LiteLLM's budgets of users into spending limits of tiers."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from scalix.domain.limits.spans import span_ms
from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step

_SECTION = "litellm_settings"
_DEFAULT = (_SECTION, "default_internal_user_params")
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
# The windows of our limits, each with how long it is and how LiteLLM writes that.
_WINDOWS = {
    "minute": (_MINUTE_MS, "1m"),
    "hour": (60 * _MINUTE_MS, "1h"),
    "day": (_DAY_MS, "1d"),
    "month": (30 * _DAY_MS, "1mo"),
}
_LEAST_MONTH_DAYS, _MOST_MONTH_DAYS = 28, 31


def take_budgets(findings: Findings) -> None:
    """Move the budgets into the tiers of the file, where a tier has no spending limit for that window."""
    found: dict[str, Decimal | int] = {}
    for steps, amount, duration in _budgets(findings):
        if amount is None:
            continue
        window = _window(findings, steps, duration)
        if window is None:
            continue
        if isinstance(amount, bool) or not isinstance(amount, int | Decimal) or amount < 0:
            findings.wrong(steps, f"{steps[-1]} is no amount of US dollars", "write a number such as 0.5")
            continue
        found[window] = min(amount, found.get(window, amount))
        lasting = f" ({'internal_user_' if len(steps) < 3 else ''}budget_duration: {duration})" if duration else ""
        note = f"{'.'.join(map(str, steps))}{lasting} is spend_usd: {{{window}: {amount}}} of each tier"
        endless = "" if duration else ", as no window here is without an end"
        findings.becomes(steps, f"{note} that has no limit of its own{endless}")
    for tier in findings.source.mapping("scalix", "tiers").values() if found else ():
        if isinstance(tier, dict) and isinstance(tier.get("spend_usd") or {}, dict):
            tier["spend_usd"] = {**found, **(tier.get("spend_usd") or {})}


def _budgets(findings: Findings) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Take the budgets out of the file, and yield for each its place, its amount and its duration."""
    take = findings.source.take
    duration = take(_SECTION, "internal_user_budget_duration")
    yield (_SECTION, "max_end_user_budget"), take(_SECTION, "max_end_user_budget"), None
    for name in ("max_internal_user_budget", "default_max_internal_user_budget"):
        yield (_SECTION, name), take(_SECTION, name), duration
    params = take(*_DEFAULT)
    if isinstance(params, dict):
        for name in params.keys() - {"max_budget", "budget_duration"}:
            findings.no_effect((*_DEFAULT, name), f"{_DEFAULT[1]}.{name}", "what a user may is their tier's")
        yield (*_DEFAULT, "max_budget"), params.get("max_budget"), params.get("budget_duration") or duration


def _window(findings: Findings, steps: tuple[Step, ...], duration: Any) -> str | None:
    """Return the window that a budget's duration is; for any other duration `None`, with a problem."""
    if duration is None:
        return "month"
    length_ms = span_ms(duration)
    if length_ms is not None and _LEAST_MONTH_DAYS <= length_ms / _DAY_MS <= _MOST_MONTH_DAYS:
        return "month"
    near = min(_WINDOWS, key=lambda window: abs(_WINDOWS[window][0] - length_ms)) if length_ms else "month"
    length, word = _WINDOWS[near]
    if length == length_ms:
        return near
    what = f"{'.'.join(map(str, steps))} lasts for {duration}, which is no window here"
    findings.wrong(steps, what, f"write {word}, or spend_usd: {{{near}: …}} for a tier")
    return None
