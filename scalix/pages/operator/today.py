"""What the owner looks at each morning: who came, who ran into limits, who pays, and what the free tier costs."""

from datetime import date, timedelta
from typing import Any

from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.usage.today import DayFigures, Today
from scalix.service.usage.todays_figures import TodaysFigures

_WEEK = 7


async def _today(services: Services, asked: PageRequest) -> Context:
    found = await services[TodaysFigures].today(asked.query)
    chosen = date.fromisoformat(found.date)
    return {
        "today": found,
        "before": str(chosen - timedelta(days=1)),
        "after": str(chosen + timedelta(days=1)) if found.is_over else None,
        "labels": [one.date for one in found.series],
        "by_tier": _by_tier(found),
        "series": {name: [getattr(one, name) for one in found.series] for name in DayFigures.__slots__},
        "change": _changes(found),
    }


def _by_tier(found: Today) -> list[tuple[str, list[int | None]]]:
    """Active users of each tier over the days."""
    names = [one.tier for one in found.day.tiers if one.tier]
    return [
        (name, [next((one.active_users for one in day.tiers if one.tier == name), None) for day in found.series])
        for name in names
    ]


def _changes(found: Today) -> dict[str, Any]:
    """How each figure of the day is against the same day of the week before, as a share of that one; `None` while the
    day goes on, and where there was nothing."""
    then = found.series[-1 - _WEEK] if found.is_over and len(found.series) > _WEEK else None
    changes: dict[str, Any] = {}
    for name in DayFigures.__slots__:
        now, was = getattr(found.day, name), getattr(then, name, None)
        is_figure = isinstance(now, int | float) and isinstance(was, int | float) and was > 0
        changes[name] = (now - was) / was if is_figure else None
    return changes


TODAY_ROWS = (page("/ui", Role.OPERATOR, _today, "operator/today.html", "Today"),)
