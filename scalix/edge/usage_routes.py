"""`GET /scalix/v1/usage` and `/scalix/v1/usage/events`: everybody's own use, whatever the credential."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from scalix.domain.errors import Overloaded
from scalix.edge.asgi import Scope, credential_of
from scalix.edge.rows import Access, Request, Row
from scalix.edge.tables import Page, format_of, json_page, rows_page
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.usage.usage import Overview, UsageReading
from scalix.service.usage.usage_events import EVENT_COLUMNS, OPERATORS_COLUMNS, EventsPage, UsageEvents

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

    async def overview(self, asked: Request) -> Overview:
        """What was used by day and by model. Raises `GatewayError`s, `StoreUnavailable`."""
        caller = await self._caller(asked.scope)
        return await self._usage.overview(caller, asked.query)

    async def events(self, asked: Request) -> Page:
        """Each request with what it used. Raises `GatewayError`s, `StoreUnavailable`."""
        caller = await self._caller(asked.scope)
        query = asked.query
        shape = format_of(asked.scope, query, ("json", "csv", "jsonl"))
        page = await self._page(caller, query)
        if shape == "json":
            return json_page(page)
        columns = (*EVENT_COLUMNS, *OPERATORS_COLUMNS) if caller.may_name_users else EVENT_COLUMNS
        more = ((b"x-scalix-next-cursor", page.next_cursor.encode()),) if page.next_cursor else ()
        return rows_page(page.events, columns, shape, more)

    async def _page(self, caller: Caller, query: Mapping[str, str]) -> EventsPage:
        who = str(caller.subject)
        if not caller.may_name_users and self._asking[who] >= MOST_OF_ONE:
            message = f"{MOST_OF_ONE} of your requests for events are being answered. Try again in {_RETRY_S} seconds."
            raise Overloaded(message, retry_after_s=_RETRY_S)
        self._asking[who] += 1
        try:
            async with self._turn:
                return await self._events.page(caller, query)
        finally:
            self._asking[who] -= 1
            if not self._asking[who]:
                del self._asking[who]

    async def _caller(self, scope: Scope) -> Caller:
        caller = await self._identity.authenticate(credential_of(scope))
        # No admission follows that would compare versions, so what was revoked must show here.
        return caller if caller.reread is None else await caller.reread()


_EVENT_FILTERS = ("user_id", "limit", "cursor", "from", "to", "model", "outcome", "key", "format")
USAGE_ROWS: tuple[Row[UsageRoutes], ...] = (
    Row("GET", "/scalix/v1/usage", UsageRoutes.overview, Access.CALLERS, query=("user_id", "days")),
    Row("GET", "/scalix/v1/usage/events", UsageRoutes.events, Access.CALLERS, query=_EVENT_FILTERS, gives=EventsPage),
)
