"""Requests of everybody, newest first, and one of them with all that is known of it but its content."""

from scalix.pages.request_list import requests_found
from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.usage.requests import Requests


async def _request(services: Services, asked: PageRequest) -> Context:
    return {"request": await services[Requests].one(asked.caller, asked.names["request"], asked.query)}


REQUESTS_ROWS = (
    page("/ui/requests", Role.OPERATOR, requests_found, "operator/requests.html", "Requests"),
    page("/ui/requests/{request}", Role.OPERATOR, _request, "operator/request.html"),
)
