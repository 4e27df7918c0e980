"""LiteLLM's budgets of users as spending limits of tiers."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from scalix.domain.limits.spans import span_ms
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.litellm.told import Told
from scalix.launch.problems import Problem

_SECTION = "litellm_settings"
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_WINDOWS = {_MINUTE_MS: "minute", 60 * _MINUTE_MS: "hour", _DAY_MS: "day"}
_WORDS = {"minute": "1m", "hour": "1h", "day": "1d", "month": "1mo"}
_LEAST_MONTH_DAYS, _MOST_MONTH_DAYS = 28, 31
_DEFAULT = "default_internal_user_params"


def take_budgets(source: YamlSource, told: Told, problems: list[Problem]) -> None:
    """Put them into the tiers of `source.data`, each where a tier has no spending limit for that window."""
    settings = source.data.get(_SECTION)
    if not isinstance(settings, dict):
        return
    found: dict[str, Decimal | int] = {}
    for steps, amount, duration in _budgets(source, told):
        if amount is None:
            continue
        window = _window(source, steps, duration, problems)
        if window is None:
            continue
        if isinstance(amount, bool) or not isinstance(amount, int | Decimal) or amount < 0:
            what = f"{steps[-1]} is no amount of US dollars"
            problems.append(Problem(source.where(steps), what, "write a number such as 0.5"))
            continue
        found[window] = min(amount, found.get(window, amount))
        lasting = f" ({'internal_user_' if len(steps) < 3 else ''}budget_duration: {duration})" if duration else ""
        subject = f"{source.where(steps)}: {'.'.join(map(str, steps))}{lasting}"
        note = f"{subject} is spend_usd: {{{window}: {amount}}} of each tier"
        told.translated.append(
            f"{note} that has no limit of its own{'' if duration else ', as no window here is without an end'}"
        )
    section = source.data.get("scalix")
    tiers = section.get("tiers") if isinstance(section, dict) else None
    for tier in tiers.values() if isinstance(tiers, dict) and found else ():
        if isinstance(tier, dict) and isinstance(tier.get("spend_usd") or {}, dict):
            tier["spend_usd"] = {**found, **(tier.get("spend_usd") or {})}


def _budgets(source: YamlSource, told: Told) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where a budget stands, its amount, and how long it lasts; all are taken out."""
    settings = source.data[_SECTION]
    duration = settings.pop("internal_user_budget_duration", None)
    yield (_SECTION, "max_end_user_budget"), settings.pop("max_end_user_budget", None), None
    for name in ("max_internal_user_budget", "default_max_internal_user_budget"):
        yield (_SECTION, name), settings.pop(name, None), duration
    params = settings.pop(_DEFAULT, None)
    if isinstance(params, dict):
        for name in params.keys() - {"max_budget", "budget_duration"}:
            where = source.where((_SECTION, _DEFAULT, name))
            told.without_effect.append(
                f"{where}: {_DEFAULT}.{name}: without effect here: what a user may is their tier's"
            )
        yield (_SECTION, _DEFAULT, "max_budget"), params.get("max_budget"), params.get("budget_duration") or duration


def _window(source: YamlSource, steps: tuple[Step, ...], duration: Any, problems: list[Problem]) -> str | None:
    length_ms = span_ms(duration) if duration is not None else None
    if duration is None:
        return "month"
    if length_ms in _WINDOWS:
        return _WINDOWS[length_ms]
    if length_ms is not None and _LEAST_MONTH_DAYS <= length_ms / _DAY_MS <= _MOST_MONTH_DAYS:
        return "month"
    lengths = {**{window: ms for ms, window in _WINDOWS.items()}, "month": 30 * _DAY_MS}
    near = min(lengths, key=lambda window: abs(lengths[window] - length_ms)) if length_ms else "month"
    what = f"{'.'.join(map(str, steps))} lasts for {duration}, which is no window here"
    problems.append(Problem(source.where(steps), what, f"write {_WORDS[near]}, or spend_usd: {{{near}: …}} for a tier"))
    return None
