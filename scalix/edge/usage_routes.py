"""`GET /scalix/v1/usage`, `/scalix/v1/usage/events` and `/scalix/v1/requests`: everybody's own use, whatever the
credential, and the operator's view of all."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from scalix.edge.names_in_paths import name_in
from scalix.edge.rows import Access, Request, Row, caller_now
from scalix.edge.tables import Format, Page, format_of, json_page, rows_page
from scalix.edge.unmetered_reads import Turns, while_there
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.queries import one_of, refuse_unknown_parameters
from scalix.service.usage.requests import OneRequest, Requests, RequestsPage
from scalix.service.usage.status_line import status_line
from scalix.service.usage.usage import USER, Overview, UsageReading
from scalix.service.usage.usage_events import (
    EVENT_COLUMNS,
    LAST_COLUMNS,
    OPERATORS_COLUMNS,
    EventsPage,
    UsageEvents,
)

# Of one caller, those that wait included; the operator waits.
MOST_OF_ONE = 3
_SHAPES: tuple[Format, ...] = ("json", "csv", "jsonl")
_ONE_REQUEST = "/scalix/v1/requests/"


class UsageRoutes:
    """Answers callers about their own use, and the operator about anybody's."""

    def __init__(self, identity: Identity, usage: UsageReading, events: UsageEvents, requests: Requests) -> None:
        self._identity = identity
        self._usage = usage
        self._events = events
        self._requests = requests
        self._turns = Turns("requests for events")

    async def overview(self, asked: Request) -> Overview | Page:
        """What was used by day and by model, or all of it in one line. Raises `GatewayError`s, `StoreUnavailable`."""
        caller = await caller_now(self._identity, asked.scope)
        query = asked.query
        shape = one_of(query, "format", ("json", "line"), "json")
        query.pop("format", None)
        if shape == "json":
            return await self._usage.overview(caller, query)
        refuse_unknown_parameters(query, {USER})
        whose = await self._usage.whose(caller, query)
        line = status_line(whose, await self._usage.use(whose))
        return Page(f"{line}\n".encode(), b"text/plain; charset=utf-8")

    async def events(self, asked: Request) -> Page:
        """Each request with what it used. Raises `GatewayError`s, `StoreUnavailable`."""
        caller, query = await caller_now(self._identity, asked.scope), asked.query
        shape = format_of(asked.scope, query, _SHAPES)
        async with self._turn(caller):
            page = await while_there(asked.receive, self._events.page(caller, query))
        return json_page(page) if shape == "json" else _rows(caller, page.events, page.next_cursor, shape)

    async def requests(self, asked: Request) -> Page:
        """The same of everybody, for the operator. Raises `GatewayError`s, `StoreUnavailable`."""
        caller, query = await caller_now(self._identity, asked.scope), asked.query
        shape = format_of(asked.scope, query, _SHAPES)
        async with self._turn(caller):
            page = await while_there(asked.receive, self._requests.page(caller, query))
        return json_page(page) if shape == "json" else _rows(caller, page.requests, page.next_cursor, shape, "user_id")

    async def request(self, asked: Request) -> OneRequest:
        """One request. Raises `GatewayError`s, `StoreUnavailable`."""
        caller = await caller_now(self._identity, asked.scope)
        return await self._requests.one(caller, name_in(asked.scope, _ONE_REQUEST, param="request"), asked.query)

    def _turn(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        return self._turns.turn(str(caller.subject), None if caller.may_name_users else MOST_OF_ONE)


def _rows(
    caller: Caller, rows: Sequence[Mapping[str, Any]], next_cursor: str | None, shape: Format, *first: str
) -> Page:
    columns = (*first, *EVENT_COLUMNS, *(OPERATORS_COLUMNS if caller.may_name_users else ()), *LAST_COLUMNS)
    more = ((b"x-scalix-next-cursor", next_cursor.encode()),) if next_cursor else ()
    return rows_page(rows, columns, shape, more)


_PARAMETERS = ("user_id", "days", "format")
_EVENT_FILTERS = ("user_id", "limit", "cursor", "from", "to", "model", "outcome", "error", "key", "format")
USAGE_ROWS: tuple[Row[UsageRoutes], ...] = (
    Row("GET", "/scalix/v1/usage", UsageRoutes.overview, Access.CALLERS, query=_PARAMETERS, gives=Overview),
    Row("GET", "/scalix/v1/usage/events", UsageRoutes.events, Access.CALLERS, query=_EVENT_FILTERS, gives=EventsPage),
    Row("GET", "/scalix/v1/requests", UsageRoutes.requests, Access.CALLERS, query=_EVENT_FILTERS, gives=RequestsPage),
    Row("GET", f"{_ONE_REQUEST}{{request}}", UsageRoutes.request, Access.CALLERS, query=("user_id",)),
)
