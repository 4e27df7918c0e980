"""What the gateway has done lately, in one look."""

from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.usage.reporting import Reporting


async def _overview(services: Services, asked: PageRequest) -> Context:
    reporting = services[Reporting]
    return {"days": await reporting.report("day", {}), "tiers": await reporting.report("tier", {})}


OVERVIEW_ROWS = (page("/ui", Role.OPERATOR, _overview, "operator/overview.html", "Overview"),)
