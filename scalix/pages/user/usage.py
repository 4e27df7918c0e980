"""What a user has used, what is left, and what comes next; and the user's own requests."""

from functools import partial

from scalix.pages.days import over_days
from scalix.pages.request_list import requests_found
from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.usage.pace import coming
from scalix.service.usage.requests import Requests
from scalix.service.usage.usage import UsageReading


async def _figures(services: Services, asked: PageRequest, **days: str) -> Context:
    reading = services[UsageReading]
    whose, use = await reading.read(asked.caller, days)
    return {"use": await reading.shown(whose, use), "coming": coming(whose, use)}


async def _usage(services: Services, asked: PageRequest) -> Context:
    figures, tier = await _figures(services, asked), asked.caller.tier
    return {
        **figures,
        "tokens": over_days(figures["use"]["by_day"], "tokens", asked.now_ms),
        "upgrade_url": tier.upgrade_url if tier is not None else None,
    }


async def _request(services: Services, asked: PageRequest) -> Context:
    return {"request": await services[Requests].one(asked.caller, asked.names["request"], {})}


USAGE_ROWS = (
    page("/me", Role.USER, _usage, "user/usage.html", "Usage", figures=partial(_figures, days="1")),
    page("/me/requests", Role.USER, requests_found, "user/requests.html", "Requests"),
    page("/me/requests/{request}", Role.USER, _request, "user/request.html"),
)
