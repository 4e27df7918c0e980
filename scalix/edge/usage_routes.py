"""`GET /scalix/v1/usage` and `/scalix/v1/usage/events`: everybody's own use, whatever the credential."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from scalix.domain.errors import Overloaded
from scalix.edge.rows import Access, Request, Row, caller_now
from scalix.edge.tables import Page, format_of, json_page, rows_page
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.queries import one_of, refuse_unknown_parameters
from scalix.service.usage.status_line import status_line
from scalix.service.usage.usage import USER, Overview, UsageReading
from scalix.service.usage.usage_events import (
    EVENT_COLUMNS,
    LAST_COLUMNS,
    OPERATORS_COLUMNS,
    EventsPage,
    UsageEvents,
)

# A page may go through all events of many days, and no quota counts it: so many at once in one worker, of everybody and
# of one caller, those that wait included.
MOST_AT_ONCE, MOST_OF_ONE = 2, 3
_RETRY_S = 2


class UsageRoutes:
    """Answers callers about their own use, and the operator about anybody's."""

    def __init__(self, identity: Identity, usage: UsageReading, events: UsageEvents) -> None:
        self._identity = identity
        self._usage = usage
        self._events = events
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)
        self._asking: Counter[str] = Counter()

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
        caller = await caller_now(self._identity, asked.scope)
        query = asked.query
        shape = format_of(asked.scope, query, ("json", "csv", "jsonl"))
        page = await self._page(caller, query)
        if shape == "json":
            return json_page(page)
        columns = (*EVENT_COLUMNS, *(OPERATORS_COLUMNS if caller.may_name_users else ()), *LAST_COLUMNS)
        more = ((b"x-scalix-next-cursor", page.next_cursor.encode()),) if page.next_cursor else ()
        return rows_page(page.events, columns, shape, more)

    async def _page(self, caller: Caller, query: Mapping[str, str]) -> EventsPage:
        who = str(caller.subject)
        if not caller.may_name_users and self._asking[who] >= MOST_OF_ONE:
            what = f"{MOST_OF_ONE} of your requests for events are being answered."
            busy = Overloaded(f"{what} Try again in {_RETRY_S} seconds.", retry_after_s=_RETRY_S)
            busy.reason = what
            raise busy
        self._asking[who] += 1
        try:
            async with self._turn:
                return await self._events.page(caller, query)
        finally:
            self._asking[who] -= 1
            if not self._asking[who]:
                del self._asking[who]


_PARAMETERS = ("user_id", "days", "format")
_EVENT_FILTERS = ("user_id", "limit", "cursor", "from", "to", "model", "outcome", "key", "format")
USAGE_ROWS: tuple[Row[UsageRoutes], ...] = (
    Row("GET", "/scalix/v1/usage", UsageRoutes.overview, Access.CALLERS, query=_PARAMETERS, gives=Overview),
    Row("GET", "/scalix/v1/usage/events", UsageRoutes.events, Access.CALLERS, query=_EVENT_FILTERS, gives=EventsPage),
)
