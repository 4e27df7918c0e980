"""Money by day, tier, model and provider; and limits, with who they stop and whom they would stop."""

from scalix.pages.operator.models import PERIODS, dates_of
from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.administration.limit_administration import LimitAdministration
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.todays_figures import TodaysFigures

_MONEY = ("day", "tier", "model", "provider", "margin")
_A_MONTH = "30"


async def _money(services: Services, asked: PageRequest) -> Context:
    dates = dates_of(asked, _A_MONTH)
    reports = {name: await services[Reporting].report(name, dates) for name in _MONEY}
    top = await services[Reporting].report("top", {**dates, "by": "cost", "limit": "10"})
    return {"periods": PERIODS, "dates": dates, "top": top, **reports}


async def _limits(services: Services, asked: PageRequest) -> Context:
    today = await services[TodaysFigures].today({})
    shadow = await services[LimitAdministration].shadow({})
    return {"today": today, "shadow": shadow.would_have_refused}


MONEY_ROWS = (
    page("/ui/money", Role.OPERATOR, _money, "operator/money.html", "Money"),
    page("/ui/limits", Role.OPERATOR, _limits, "operator/limits.html", "Limits"),
)
