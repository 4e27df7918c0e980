"""Money by day, tier, model and provider; and limits, with who they stop and whom they would stop."""

from dataclasses import asdict
from datetime import date, timedelta

from scalix.domain.ledger.people import AFTER_DAYS
from scalix.domain.limits.quota import ANY_LIMIT
from scalix.pages.operator.models import PERIODS, dates_of
from scalix.pages.rows import A_PAGE, Context, PageRequest, Role, Services, page
from scalix.service.administration.limit_administration import LimitAdministration
from scalix.service.usage.limited import LimitedUsers
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.todays_figures import TodaysFigures
from scalix.store.quota.redis_limits import WORD_OF_LIMIT

_MONEY = ("day", "tier", "model", "provider", "margin")
_A_MONTH = "30"
_TOP_DAYS = 7  # everybody's rankings of a month take the store a third of a second to join


async def _money(services: Services, asked: PageRequest) -> Context:
    dates = dates_of(asked, _A_MONTH)
    reports = await services[Reporting].of_sums(_MONEY, dates)
    begin = max(dates["from"], str(date.fromisoformat(dates["to"]) - timedelta(days=_TOP_DAYS - 1)))
    top = await services[Reporting].report("top", {**dates, "from": begin, "by": "cost", "limit": "10"})
    return {"periods": PERIODS, "dates": dates, "top": top, **reports}


async def _limits(services: Services, asked: PageRequest) -> Context:
    today = await services[TodaysFigures].today({})
    shadow = await services[LimitAdministration].shadow({})
    limited = await services[LimitedUsers].page({**asked.query, "page_size": A_PAGE})
    return {
        "today": today,
        "shadow": shadow.would_have_refused,
        "limited": limited,
        "users": [{**asdict(one), "limits": ", ".join(one.limits)} for one in limited.users],
        "days": [one.date for one in reversed(today.series[-AFTER_DAYS - 1 :])],
        "limits": sorted(WORD_OF_LIMIT.keys() - {ANY_LIMIT}),
    }


MONEY_ROWS = (
    page("/ui/money", Role.OPERATOR, _money, "operator/money.html", "Money"),
    page("/ui/limits", Role.OPERATOR, _limits, "operator/limits.html", "Limits"),
)
