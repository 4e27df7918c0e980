"""A page of requests by the filters of its URL: everybody's for the operator, a user's own for the user."""

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Outcome
from scalix.pages.rows import A_PAGE, Context, PageRequest, Services
from scalix.service.policy_source import PolicySource
from scalix.service.usage.requests import Requests


async def requests_found(services: Services, asked: PageRequest) -> Context:
    """The requests, and what may be filtered by."""
    found = await services[Requests].page(asked.caller, {**asked.query, "limit": A_PAGE})
    return {
        "requests": found.requests,
        "cursor": found.next_cursor,
        "searched_until": found.searched_until,
        "models": [name for name in services[PolicySource].current.models if asked.caller.allows(name)],
        "outcomes": [one.value for one in Outcome],
        "errors": [one.value for one in ErrorClass],
    }
