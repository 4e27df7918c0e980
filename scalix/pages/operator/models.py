"""Models and providers: who serves, who rests or fails, and how each deployment has done."""

from collections import Counter

from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.durations import length_in_words
from scalix.edge.model_views import Served, engines
from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.deployments.health_checks import HealthChecking
from scalix.service.exchange.candidates import Fallbacks
from scalix.service.policy_source import PolicySource
from scalix.service.queries import date_of, one_of
from scalix.service.usage.reporting import Reporting

PERIODS = ("1", "7", "30")
"""How many days figures may be of, today the last of them."""


def dates_of(asked: PageRequest, fallback: str = "7") -> dict[str, str]:
    """The parameters of a report over the days that are asked for. Raises `BadRequest`."""
    today, days = asked.now_ms // DAY_MS, int(one_of(asked.query, "days", PERIODS, fallback))
    return {"from": date_of(today - days + 1), "to": date_of(today)}


async def _state(services: Services, asked: PageRequest) -> Context:
    policy = services[PolicySource].current
    checked = await services[HealthChecking].last()
    rests_s = services[Fallbacks].cooldowns.wait_s
    served = engines({**policy.models, **policy.wildcards}.values(), checked, rests_s).data
    rows = [_row(one) for one in served]
    return {"rows": rows, "states": Counter(row["tone"] for row in rows)}


async def _models(services: Services, asked: PageRequest) -> Context:
    reports = await services[Reporting].of_sums(("deployment", "provider", "errors"), dates_of(asked))
    return {"periods": PERIODS, **reports, **await _state(services, asked)}


def _row(one: Served) -> dict[str, str | None]:
    tone, state = "good", "in service"
    if one.rests_s:
        tone, state = "warn", f"rests {length_in_words(1000 * one.rests_s)} more, after failures"
    if one.health is not None and not one.health.answers:
        tone, state = "bad", "fails its checks"
    return {
        "model": one.model,
        "deployment": one.deployment or "the only one",
        "engine": one.engine,
        "why": one.reason,
        "tone": tone,
        "state": state,
        "checked_at": one.health.checked_at if one.health is not None else None,
        "reason": one.health.reason if one.health is not None else None,
    }


MODELS_ROWS = (page("/ui/models", Role.OPERATOR, _models, "operator/models.html", "Models", state=_state),)
