"""What a user has used, and what is left."""

from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.usage.usage import UsageReading


async def _usage(services: Services, asked: PageRequest) -> Context:
    return {"use": await services[UsageReading].overview(asked.caller, {})}


USAGE_ROWS = (page("/me", Role.USER, _usage, "user/usage.html", "Usage"),)
