"""Requests of everybody, newest first, and one of them with all that is known of it but its content."""

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Outcome
from scalix.pages.rows import A_PAGE, Context, PageRequest, Role, Services, page
from scalix.service.policy_source import PolicySource
from scalix.service.usage.requests import Requests


async def _requests(services: Services, asked: PageRequest) -> Context:
    found = await services[Requests].page(asked.caller, {**asked.query, "limit": A_PAGE})
    return {
        "requests": found.requests,
        "cursor": found.next_cursor,
        "searched_until": found.searched_until,
        "models": list(services[PolicySource].current.models),
        "outcomes": [one.value for one in Outcome],
        "errors": [one.value for one in ErrorClass],
    }


async def _request(services: Services, asked: PageRequest) -> Context:
    return {"request": await services[Requests].one(asked.caller, asked.names["request"], asked.query)}


REQUESTS_ROWS = (
    page("/ui/requests", Role.OPERATOR, _requests, "operator/requests.html", "Requests"),
    page("/ui/requests/{request}", Role.OPERATOR, _request, "operator/request.html"),
)
