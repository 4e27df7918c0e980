"""Figures by day for charts, in which days without any have their place too."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from scalix.domain.limits.calendar import DAY_MS
from scalix.service.queries import date_of

DAYS = 30


def over_days(rows: Iterable[Mapping[str, Any]], name: str, now_ms: int) -> tuple[list[str], list[float]]:
    """The dates of the last `DAYS` days, today the last, and of each the sum of `name` in the `rows` of that date."""
    sums: defaultdict[str, float] = defaultdict(int)
    for row in rows:
        sums[row["date"]] += row[name]
    dates = [date_of(now_ms // DAY_MS - before) for before in range(DAYS - 1, -1, -1)]
    return dates, [sums[date] for date in dates]
