"""What a user has used, what is left, and what comes next; and the user's own requests."""

from scalix.domain.limits.quota import Outcome
from scalix.pages.days import over_days
from scalix.pages.rows import A_PAGE, Context, PageRequest, Role, Services, page
from scalix.service.policy_source import PolicySource
from scalix.service.usage.pace import coming
from scalix.service.usage.requests import Requests
from scalix.service.usage.usage import UsageReading


async def _usage(services: Services, asked: PageRequest) -> Context:
    reading = services[UsageReading]
    whose = await reading.whose(asked.caller, {})
    tier, use = asked.caller.tier, await reading.overview(asked.caller, {})
    return {
        "use": use,
        "tokens": over_days(use["by_day"], "tokens", asked.now_ms),
        "coming": coming(whose, await reading.use(whose)),
        "upgrade_url": tier.upgrade_url if tier is not None else None,
    }


async def _requests(services: Services, asked: PageRequest) -> Context:
    found = await services[Requests].page(asked.caller, {**asked.query, "limit": A_PAGE})
    return {
        "requests": found.requests,
        "cursor": found.next_cursor,
        "searched_until": found.searched_until,
        "models": [name for name in services[PolicySource].current.models if asked.caller.allows(name)],
        "outcomes": [one.value for one in Outcome],
    }


async def _request(services: Services, asked: PageRequest) -> Context:
    return {"request": await services[Requests].one(asked.caller, asked.names["request"], {})}


USAGE_ROWS = (
    page("/me", Role.USER, _usage, "user/usage.html", "Usage"),
    page("/me/requests", Role.USER, _requests, "user/requests.html", "Requests"),
    page("/me/requests/{request}", Role.USER, _request, "user/request.html"),
)
